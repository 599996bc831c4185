"""The table of all 47 calls, in the order of the document."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.sandbox.ublox.bodies import Request
from services.sandbox.ublox.calls import (
    authentication,
    authorities,
    certificates,
    devices,
    information,
    profiles,
    protection,
    tags,
    webhooks,
)
from services.sandbox.ublox.twin import Twin

CAPITAL: Final = "Message"
"""Three calls write their texts under a capital letter."""

EITHER: Final = ("GET", "POST")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One call of the document.

    Attributes:
        act: reads the body and gives the answer's document; it may raise `Refusal`.
        authorised: whether the document marks it with Authorizations.
        text_key: the member under which this endpoint writes a refusal.
        methods: POST; also GET where the document shows no body.
        take_file: does the same with an ``application/octet-stream``, where the document allows one.
    """

    path: str
    act: Callable[[Twin, Request], object]
    authorised: bool = True
    text_key: str = "message"
    methods: tuple[str, ...] = ("POST",)
    take_file: Callable[[Twin, bytes], object] | None = None


ENDPOINTS: Final = (
    Endpoint(path="/authenticate", act=authentication.authenticate, authorised=False),
    Endpoint(path="/refreshauthtoken", act=authentication.refresh),
    Endpoint(path="/deviceprofile/get", act=profiles.profiles),
    Endpoint(path="/deviceprofile/bootstrapprovisioning/set", act=profiles.set_bootstrap),
    Endpoint(path="/deviceprofile/bootstrapprovisioning/get", act=profiles.get_bootstrap),
    Endpoint(path="/deviceprofile/bootstrapprovisioning/delete", act=profiles.delete_bootstrap),
    Endpoint(path="/device/list/get", act=devices.device_list),
    Endpoint(
        path="/device/whitelist/add", act=devices.change_whitelist, text_key=CAPITAL, take_file=devices.upload_whitelist
    ),
    Endpoint(path="/device/whitelist/get", act=devices.whitelist),
    Endpoint(path="/device/provisioning/set", act=devices.set_provisioning, text_key=CAPITAL),
    Endpoint(path="/device/provisioning/get", act=devices.get_provisioning),
    Endpoint(path="/device/provisioning/delete", act=devices.delete_provisioning),
    Endpoint(path="/e2e/key/rotate", act=protection.rotate, text_key=CAPITAL),
    Endpoint(path="/e2e/uplink/symmetrickey/get", act=protection.symmetric_key),
    Endpoint(path="/e2e/uplink/protectionparameters/get", act=protection.uplink_protection),
    Endpoint(path="/e2e/uplink/integrityparameters/get", act=protection.uplink_integrity),
    Endpoint(path="/e2e/downlink/protectionparameters/get", act=protection.downlink_protection),
    Endpoint(path="/e2e/downlink/integrityparameters/get", act=protection.downlink_integrity),
    Endpoint(path="/device/info/get", act=information.device_info),
    Endpoint(path="/notification/get", act=information.notifications),
    Endpoint(path="/device/clone/get", act=information.clones),
    Endpoint(path="/device/suspicious/get", act=information.suspicious),
    Endpoint(path="/device/activity/get", act=information.activities),
    Endpoint(path="/device/usage/get", act=information.usage),
    Endpoint(path="/device/rotpublicuid/get", act=information.uids),
    Endpoint(path="/apiversion", act=authentication.api_version, methods=EITHER),
    Endpoint(path="/ztp/rootca/create", act=authorities.create),
    Endpoint(path="/ztp/rootca/update", act=authorities.set_lead),
    Endpoint(path="/ztp/rootca/get", act=authorities.authorities),
    Endpoint(path="/ztp/rootca/crl/get", act=authorities.crls),
    Endpoint(path="/ztp/rootca/device/get", act=authorities.holders),
    Endpoint(path="/ztp/rootca/popcertificate/generate", act=authorities.prove_possession),
    Endpoint(path="/ztp/rootca/delete", act=authorities.delete),
    Endpoint(path="/ztp/devicecertificate/renew", act=certificates.renew),
    Endpoint(path="/ztp/devicecertificate/update", act=certificates.update),
    Endpoint(path="/ztp/devicecertificate/delete", act=certificates.delete),
    Endpoint(path="/ztp/devicecertificate/revoke", act=certificates.revoke),
    Endpoint(path="/ztp/devicecertificate/rootca/transfer", act=certificates.transfer),
    Endpoint(path="/notification/webhook/create", act=webhooks.create_hook),
    Endpoint(path="/notification/webhook/update", act=webhooks.update_hook),
    Endpoint(path="/notification/webhook/delete", act=webhooks.delete_hook),
    Endpoint(path="/notification/webhook/get", act=webhooks.list_hooks, methods=EITHER),
    Endpoint(path="/tag/create", act=tags.create_tag),
    Endpoint(path="/tag/delete", act=tags.delete_tag),
    Endpoint(path="/tag/get", act=tags.tags),
    Endpoint(path="/tag/assign", act=tags.assign_tags),
    Endpoint(path="/tag/remove", act=tags.remove_tags),
)
