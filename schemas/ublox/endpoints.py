"""The 47 endpoints of the document as a table, made from the requests: nothing of a request is said twice."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.ublox.requests.account import ApiVersion, Authenticate, RefreshAuthToken
from schemas.ublox.requests.authorities import (
    CrlGet,
    ProofOfPossession,
    RootCaCreate,
    RootCaDelete,
    RootCaDeviceGet,
    RootCaGet,
    RootCaUpdate,
)
from schemas.ublox.requests.base import UbloxRequest
from schemas.ublox.requests.certificates import (
    CertificateDelete,
    CertificateRenew,
    CertificateRevoke,
    CertificateUpdate,
    RootCaTransfer,
)
from schemas.ublox.requests.devices import (
    DeviceListGet,
    ProvisioningDelete,
    ProvisioningGet,
    ProvisioningSet,
    WhitelistAdd,
    WhitelistGet,
)
from schemas.ublox.requests.e2e import (
    DownlinkIntegrityGet,
    DownlinkProtectionGet,
    KeyRotate,
    SymmetricKeyGet,
    UplinkIntegrityGet,
    UplinkProtectionGet,
)
from schemas.ublox.requests.information import (
    ActivityGet,
    CloneGet,
    DeviceInfoGet,
    NotificationGet,
    SuspiciousGet,
    UidsGet,
    UsageGet,
)
from schemas.ublox.requests.profiles import (
    BootstrapProvisioningDelete,
    BootstrapProvisioningGet,
    BootstrapProvisioningSet,
    ProfileGet,
)
from schemas.ublox.requests.tags import TagAssign, TagCreate, TagDelete, TagGet, TagRemove
from schemas.ublox.requests.webhooks import WebhookCreate, WebhookDelete, WebhookGet, WebhookUpdate

REQUESTS: Final[tuple[type[UbloxRequest], ...]] = (
    *(Authenticate, RefreshAuthToken),
    *(ProfileGet, BootstrapProvisioningSet, BootstrapProvisioningGet, BootstrapProvisioningDelete),
    *(DeviceListGet, WhitelistAdd, WhitelistGet, ProvisioningSet, ProvisioningGet, ProvisioningDelete),
    *(KeyRotate, SymmetricKeyGet, UplinkProtectionGet, UplinkIntegrityGet),
    *(DownlinkProtectionGet, DownlinkIntegrityGet),
    *(DeviceInfoGet, NotificationGet, CloneGet, SuspiciousGet, ActivityGet, UsageGet, UidsGet, ApiVersion),
    *(RootCaCreate, RootCaUpdate, RootCaGet, CrlGet, RootCaDeviceGet, ProofOfPossession, RootCaDelete),
    *(CertificateRenew, CertificateUpdate, CertificateDelete, CertificateRevoke, RootCaTransfer),
    *(WebhookCreate, WebhookUpdate, WebhookDelete, WebhookGet),
    *(TagCreate, TagDelete, TagGet, TagAssign, TagRemove),
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
