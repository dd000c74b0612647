"""What providers keep: responses, files, batches. Made through a deployment, and fetched from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from msgspec import Struct

from penstock.calls.failures import error_of
from penstock.gateway.call import place_of
from penstock.gateway.forms import Form
from penstock.gateway.forward import GATEWAYS_OWN, Destination, ForwardCall, Keeping
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.made import Made
from penstock.gateway.policies.model_access import allowed, denied
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Refused
from penstock.gateway.relay import joined, members_of, text
from penstock.gateway.route import Members
from penstock.gateway.unserved import unserved
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment
from penstock.types.errors import DialectError

_log = logging.getLogger("penstock.gateway")

Begin = Callable[[Any, Inbound, Principal | None], None]


class Collection(Struct, frozen=True):
    """A kind of thing that providers keep.

    name        of the collection, as in the path; capability and format: what is asked of a provider for it
    members     what may be asked of one of them: (method, what stands below its id)
    made        the answer to who makes one -> the ids in it
    grown       the answer to who asks for one -> the ids in it of what was made meanwhile
    """

    name: str
    capability: str
    format: str
    members: frozenset[tuple[str, str]]
    made: Callable[[Mapping[str, Any]], tuple[str, ...]]
    grown: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None


def _ids(*names: str) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    def read(answer: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(found for name in names if isinstance(found := answer.get(name), str))

    return read


RESPONSES = Collection(
    name="responses",
    capability="chat",
    format="openai_responses",
    members=frozenset({("GET", ""), ("DELETE", ""), ("POST", "cancel"), ("GET", "input_items")}),
    made=_ids("id"),
)
FILES = Collection(
    name="files",
    capability="files",
    format="",
    members=frozenset({("GET", ""), ("DELETE", ""), ("GET", "content")}),
    made=_ids("id"),
)
BATCHES = Collection(
    name="batches",
    capability="batches",
    format="",
    members=frozenset({("GET", ""), ("POST", "cancel")}),
    made=_ids("id", "output_file_id", "error_file_id"),
    grown=_ids("output_file_id", "error_file_id"),
)


def fetched(kind: Collection) -> Begin:
    """How requests begin that name one thing of a collection: `/v1/{collection}/{id}`, and what is below it."""

    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        assert principal is not None, "only who has a key is served"
        name, _, below = inbound.path.partition(f"/{kind.name}/")[2].partition("/")
        _allow(kind, inbound, name, below.rstrip("/"))

        def found(made: Made) -> None:
            deployment = deployment_of(plane, made, name)
            place = (name, *([below.rstrip("/")] if below else []))
            destination = Destination(deployment, "", kind.capability, kind.format, place)
            keeping = None if kind.grown is None else Keeping(made.principal, kind.grown)
            ForwardCall(plane, inbound, principal, destination, _one(kind), keeping).admit()

        look_up(plane, inbound, principal, name, found)

    return begin


def look_up(plane: Any, inbound: Inbound, principal: Principal, name: str, found: Callable[[Made], None]) -> None:
    """Find out who has a thing, and go on; what is not the principal's is not there."""

    def then(made: Made | None, why: str | None) -> None:
        try:
            if why is not None:
                message = f"who has {name[:100]!r} cannot be found out now: {why}"
                raise Refused("unavailable", 503, message, retry_after=1)
            if made is None or (principal.role != "master" and made.principal != principal.id):
                raise _absent(name)
            found(made)
        except Exception as error:
            plane.refuse(inbound, refused_of(error))

    plane.shared.made.look_up(name, then)


def _one(kind: Collection) -> str:
    return {"batches": "batch"}.get(kind.name, kind.name.removesuffix("s"))


def _absent(name: str) -> Refused:
    return Refused("not_found", 404, f"there is nothing called {name[:100]!r} here that is yours")


def refused_of(error: Exception) -> Refused:
    """What becomes of an error before there is a call that could tell it."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, ProviderError | DialectError):
        told = error_of(error)
        return Refused(told.kind, told.status, told.message)
    _log.error("a request failed in the gateway itself: %s", place_of(error))
    return Refused("server", 500, "the gateway failed; its log tells more")


def _allow(kind: Collection, inbound: Inbound, name: str, below: str) -> None:
    """Raise Refused where a member is not asked for anything that it can be asked for."""
    method = "GET" if inbound.method == "HEAD" else inbound.method
    if name in (".", "..") or not any(below == place for _, place in kind.members):
        raise Refused("not_found", 404, f"there is nothing at {inbound.path[:200]}")
    if (method, below) not in kind.members:
        takes = ", ".join(sorted(each for each, place in kind.members if place == below))
        raise Refused("invalid_request", 405, f"{inbound.path[:200]} takes {takes}, not {inbound.method}")


def deployment_of(plane: Any, made: Made, name: str) -> Deployment:
    """The deployment that made a thing. Raises Refused where the configuration has it no more."""
    deployments: Sequence[Deployment] = plane.snapshot.deployments
    for deployment in deployments:
        if deployment.id == made.deployment:
            return deployment
    raise _absent(name)


def created(kind: Collection) -> Begin:
    """How requests begin that make a thing (POST), or list them (GET), in a collection."""

    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        assert principal is not None, "only who has a key is served"
        if inbound.method != "POST" and principal.role != "master":
            message = f"a list of {kind.name} would show those of other keys too: ask for each by its id"
            raise Refused("permission", 403, message)
        said = said_in(inbound)
        if file := said.get("input_file_id"):
            look_up(plane, inbound, principal, file, lambda made: at(plane, inbound, principal, made, file))
        else:
            make(plane, inbound, principal, chosen(plane, said, principal, kind))

    def at(plane: Any, inbound: Inbound, principal: Principal, made: Made, file: str) -> None:
        make(plane, inbound, principal, deployment_of(plane, made, file))

    def make(plane: Any, inbound: Inbound, principal: Principal, deployment: Deployment) -> None:
        destination = Destination(deployment, "", kind.capability, kind.format, ())
        keeping = Keeping(principal.id, kind.made) if inbound.method == "POST" else None
        inbound.body = without_own_words(inbound)
        ForwardCall(plane, inbound, principal, destination, _one(kind), keeping).admit()

    return begin


def without_own_words(inbound: Inbound) -> bytes:
    """The body without what it says to the gateway."""
    kind = inbound.header(b"content-type")
    if kind.lower().startswith("multipart/form-data"):
        return Form(inbound.body, kind).without(GATEWAYS_OWN)
    if not inbound.body.strip():
        return inbound.body
    members = members_of(inbound.body)
    if GATEWAYS_OWN.isdisjoint(members):
        return inbound.body
    return joined({name: raw for name, raw in members.items() if name not in GATEWAYS_OWN})


def chosen(plane: Any, said: Mapping[str, str], principal: Principal, kind: Collection) -> Deployment:
    """The deployment where a thing is to be made: that of the model that the request names, else the first of the
    provider that it names, else the first that keeps such things and that this key may use. Raises Refused.
    """
    model = said.get("model") or said.get("target_model_names", "").partition(",")[0].strip()
    if model:
        group = principal.aliases.get(model, model)
        if not allowed(principal, model, group):
            raise denied(principal, model)
        try:
            members: Members = plane.router.members(group)
        except ProviderError:
            raise unserved(plane, principal, model) from None
        return members.deployments[0]
    provider = said.get("custom_llm_provider")
    deployments: Sequence[Deployment] = plane.snapshot.deployments
    for deployment in deployments:
        named = deployment.model.partition("/")[0]
        if provider not in (None, named) or not allowed(principal, deployment.group, deployment.group):
            continue
        if _keeps(plane, deployment, kind):
            return deployment
    whose = f" of {provider}" if provider else ""
    message = f"no deployment{whose} here keeps {kind.name}; name one with `model` or `custom_llm_provider`"
    raise Refused("not_found", 404, message)


def _keeps(plane: Any, deployment: Deployment, kind: Collection) -> bool:
    """Whether the deployment's host keeps such things."""
    bare = {**deployment.arguments, "model": f"{deployment.model.partition('/')[0]}/-"}
    try:
        made = Deployment(group=deployment.group, id=deployment.id, arguments=bare)
        plane.targets.of(made, kind.capability, kind.format, (), False)
    except ProviderError:
        return False
    return True


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
            found |= {name: said for name in names if (said := form.text(name))}
        elif inbound.body.strip():
            members = members_of(inbound.body)
            found |= {name: said for name in names if (said := text(members, name))}
    except DialectError:
        return found
    return {name: value for name, value in found.items() if value}
