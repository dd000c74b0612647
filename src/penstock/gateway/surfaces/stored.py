"""What providers keep: responses, files, batches. Made through a deployment, and fetched from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote

from penstock.gateway.forms import Form
from penstock.gateway.forward import Destination, ForwardCall
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.made import Made
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Refused
from penstock.gateway.relay import members_of, text
from penstock.gateway.targets import Targets
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment
from penstock.types.errors import DialectError

Begin = Callable[[Any, Inbound, Principal | None], None]


def fetched(collection: str, capability: str) -> Begin:
    """How requests begin that name one thing of a collection: `/v1/{collection}/{id}`, and what is below it."""

    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        assert principal is not None, "only who has a key is served"
        rest = inbound.path.partition(f"/{collection}/")[2]
        name = rest.partition("/")[0]

        def then(made: Made | None, why: str | None) -> None:
            try:
                if why is not None:
                    raise Refused("unavailable", 503, f"who has {name!r} cannot be found out now: {why}", retry_after=1)
                deployment = deployment_of(plane, made, principal, name)
                path = f"/v1/{collection}/{quote(rest, safe='/')}"
                destination = Destination(deployment, path, capability)
                ForwardCall(plane, inbound, principal, destination, collection.rstrip("s")).admit()
            except Refused as refused:
                plane.refuse(inbound, refused)

        plane.shared.made.look_up(name, then)

    return begin


def deployment_of(plane: Any, made: Made | None, principal: Principal, name: str) -> Deployment:
    """The deployment that made a thing, if it is the principal's. Raises Refused: what is another's is not there."""
    if made is not None and (principal.role == "master" or made.principal == principal.id):
        for deployment in plane.snapshot.deployments:
            if deployment.id == made.deployment:
                return deployment  # type: ignore[no-any-return]
    raise Refused("not_found", 404, f"there is nothing called {name[:100]!r} here that is yours")


def created(collection: str, capability: str) -> Begin:
    """How requests begin that make a thing (POST), or list them (GET), in a collection."""

    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        assert principal is not None, "only who has a key is served"
        if inbound.method == "GET" and principal.role != "master":
            message = f"a list of {collection} would show those of other keys too: ask for each by its id"
            raise Refused("permission", 403, message)
        deployment = chosen(plane, inbound, principal, capability)

        def remember(name: str, made_by: Deployment) -> None:
            plane.shared.made.put(name, Made(made_by.id, principal.id))

        destination = Destination(deployment, f"/v1/{collection}", capability)
        ForwardCall(plane, inbound, principal, destination, collection.rstrip("s"), remember).admit()

    return begin


def chosen(plane: Any, inbound: Inbound, principal: Principal, capability: str) -> Deployment:
    """The deployment where a thing is to be made: that of the file or the model that the request names, else the
    first of
    the provider that it names, else the first that keeps such things. Raises Refused.
    """
    said = said_in(inbound)
    if file := said.get("input_file_id"):
        made = plane.shared.made.find(file)
        if made is not None:
            return deployment_of(plane, made, principal, file)
    model = said.get("model") or said.get("target_model_names", "").partition(",")[0].strip()
    if model:
        try:
            return plane.router.members(model).deployments[0]  # type: ignore[no-any-return]
        except ProviderError as error:
            raise Refused("not_found", 404, str(error), param="model") from None
    provider = said.get("custom_llm_provider")
    targets: Targets = plane.targets
    for deployment in plane.snapshot.deployments:
        named = deployment.model.partition("/")[0]
        if ("*" in deployment.model and not named) or provider not in (None, named):
            continue
        try:
            bare = Deployment(
                group=deployment.group, id=deployment.id, arguments={**deployment.arguments, "model": f"{named}/-"}
            )
            targets.of(bare, capability, "", (), False)
        except ProviderError:
            continue
        return deployment  # type: ignore[no-any-return]
    message = f"no deployment here offers {capability}; name one with `model` or `custom_llm_provider`"
    raise Refused("not_found", 404, message)


def said_in(inbound: Inbound) -> dict[str, str]:
    """What a request says about where it shall go: in its query, its headers, its form or its body."""
    names = ("model", "custom_llm_provider", "target_model_names", "input_file_id")
    found = {name: values[0] for name, values in parse_qs(inbound.query).items() if name in names}
    for name in ("x-penstock-model", "x-litellm-model"):
        if value := inbound.header(name.encode()):
            found.setdefault("model", value)
    kind = inbound.header(b"content-type").lower()
    try:
        if kind.startswith("multipart/form-data"):
            form = Form(inbound.body, inbound.header(b"content-type"))
            found |= {name: form.text(name) or "" for name in names}
        elif inbound.body.strip():
            members = members_of(inbound.body)
            found |= {name: text(members, name) or "" for name in names}
    except DialectError:
        return found
    return {name: value for name, value in found.items() if value}
