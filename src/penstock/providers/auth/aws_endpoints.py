"""Where AWS services are, when the user says so: private endpoints, proxies, emulators.

In this order: AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, `endpoint_url` of the service in the `[services NAME]` that
the profile names, `endpoint_url` of the profile. AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true turns all of them off.
(docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html)
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.providers.auth.aws_profile import AwsFiles, nested


def endpoint_url(service: str, profile: str, files: AwsFiles, environment: Mapping[str, str]) -> str | None:
    """The address that the user set for `service` ("sts", "sso", "bedrock_runtime"); None: the service's own."""
    settings = files.profiles.get(profile, {})
    for ignore in (environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), settings.get(_IGNORE)):
        if ignore:
            if ignore.lower() == "true":
                return None
            break
    of_service = nested(files.services.get(settings.get("services", ""), {}).get(service, ""))
    found = (
        environment.get(f"AWS_ENDPOINT_URL_{service.upper()}"),
        environment.get("AWS_ENDPOINT_URL"),
        of_service.get("endpoint_url"),
        settings.get("endpoint_url"),
    )
    return next((url for url in found if url), None)


_IGNORE = "ignore_configured_endpoint_urls"
