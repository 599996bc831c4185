"""The 47 endpoints of the document as a table, made from the requests: nothing of a request is said twice."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.ublox.requests import (
    account,
    authorities,
    certificates,
    devices,
    e2e,
    information,
    profiles,
    tags,
    webhooks,
)
from schemas.ublox.requests.base import UbloxRequest

REQUESTS: Final[tuple[type[UbloxRequest], ...]] = (
    *(account.Authenticate, account.RefreshAuthToken),
    *(
        profiles.ProfileGet,
        profiles.BootstrapProvisioningSet,
        profiles.BootstrapProvisioningGet,
        profiles.BootstrapProvisioningDelete,
    ),
    *(
        devices.DeviceListGet,
        devices.WhitelistAdd,
        devices.WhitelistGet,
        devices.ProvisioningSet,
        devices.ProvisioningGet,
        devices.ProvisioningDelete,
    ),
    *(e2e.KeyRotate, e2e.SymmetricKeyGet, e2e.UplinkProtectionGet, e2e.UplinkIntegrityGet),
    *(e2e.DownlinkProtectionGet, e2e.DownlinkIntegrityGet),
    *(
        information.DeviceInfoGet,
        information.NotificationGet,
        information.CloneGet,
        information.SuspiciousGet,
        information.ActivityGet,
        information.UsageGet,
        information.UidsGet,
        account.ApiVersion,
    ),
    *(
        authorities.RootCaCreate,
        authorities.RootCaUpdate,
        authorities.RootCaGet,
        authorities.CrlGet,
        authorities.RootCaDeviceGet,
        authorities.ProofOfPossession,
        authorities.RootCaDelete,
    ),
    *(
        certificates.CertificateRenew,
        certificates.CertificateUpdate,
        certificates.CertificateDelete,
        certificates.CertificateRevoke,
        certificates.RootCaTransfer,
    ),
    *(webhooks.WebhookCreate, webhooks.WebhookUpdate, webhooks.WebhookDelete, webhooks.WebhookGet),
    *(tags.TagCreate, tags.TagDelete, tags.TagGet, tags.TagAssign, tags.TagRemove),
)
"""In the order of the document; the CSV form of ``/device/whitelist/add`` is a second way into the same endpoint."""

_LIMITS: Final = ("minimum", "maximum", "maxLength", "minItems", "enum", "default")
"""Of these words of JSON Schema a limit is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A member of a request's body.

    Attributes:
        type: as JSON Schema names it; of an array, that of its items stands in `items`.
        limits: bounds and choices in the words of JSON Schema.
    """

    name: str
    type: str
    required: bool
    items: str | None = None
    limits: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """What is known of an endpoint.

    Attributes:
        one_of: the fields of which exactly one is given.
        at_most_one_of: the fields of which none or one is given.
        paged: whether the answer comes in pages.
        guarded: refused while a certificate update of the device is under way.
        subscribed: needs an active Device Certificate Management subscription.
        billed: leaves an entry in the usage log.
        reaches_back: the most days that ``FromDate`` may lie back.
    """

    path: str
    request: type[UbloxRequest]
    fields: tuple[Field, ...]
    one_of: tuple[str, ...]
    at_most_one_of: tuple[str, ...]
    paged: bool
    guarded: bool
    subscribed: bool
    billed: bool
    reaches_back: int | None


def endpoint_of(request: type[UbloxRequest]) -> Endpoint:
    """Say of a request what the table says."""
    names = {name: field.alias or name for name, field in request.model_fields.items()}
    schema = request.model_json_schema()
    required = set(schema.get("required", ()))
    return Endpoint(
        path=request.path,
        request=request,
        fields=tuple(
            _field(name, member, schema.get("$defs", {}), required=name in required)
            for name, member in schema.get("properties", {}).items()
        ),
        one_of=tuple(names[name] for name in request.one_of),
        at_most_one_of=tuple(names[name] for name in request.at_most_one_of),
        paged=request.paged(),
        guarded=request.guarded,
        subscribed=request.subscribed,
        billed=request.billed,
        reaches_back=request.reaches_back,
    )


def _field(name: str, member: Mapping[str, Any], definitions: Mapping[str, Any], *, required: bool) -> Field:
    told = {**member, **_resolved(member, definitions)}
    item = _resolved(told.get("items", {}), definitions) if told.get("type") == "array" else None
    limits = {word: told[word] for word in _LIMITS if told.get(word) is not None}
    of_items = {f"items.{word}": item[word] for word in _LIMITS if item and word in item}
    return Field(
        name=name,
        type=told["type"],
        required=required,
        items=item["type"] if item else None,
        limits={**limits, **of_items},
    )


def _resolved(member: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Give the schema of a value, without the word for "or nothing"."""
    options = [option for option in member.get("anyOf", (member,)) if option.get("type") != "null"]
    chosen = options[-1]  # where a wildcard is an alternative, the names come last
    reference = chosen.get("$ref")
    return dict(definitions[reference.rpartition("/")[2]] if reference else chosen)


@functools.cache
def endpoints() -> tuple[Endpoint, ...]:
    """Give the table, in the order of the document."""
    return tuple(endpoint_of(request) for request in REQUESTS)
