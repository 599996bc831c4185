"""The calls that an operation makes for a batch, as a dry run tells them; each verb's own file says more."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from schemas.fleet import LOCATION, TwonDevice
from schemas.triggers import Calls, Expected
from services.operations import OPERATIONS

EACH: Final[Mapping[str, tuple[str, ...]]] = {
    "ublox.rotate_e2e_key": (
        "POST /device/info/get, to look",
        "POST /e2e/key/rotate, where the device has not the policy already",
        "POST /device/info/get, to look again",
    ),
    "ublox.renew_certificate": (
        "POST /device/info/get, to look",
        "POST /ztp/devicecertificate/renew, once for each CA; billed for each device",
        "POST /device/info/get, when the device has had its heartbeat",
    ),
    "ublox.roll_root_ca": (
        "POST /ztp/rootca/get, to look",
        "POST /ztp/rootca/create, where the new one is not there",
        "POST /ztp/rootca/popcertificate/generate, where a registration code is given",
        "POST /ztp/rootca/device/get and /device/info/get, for every hundred devices",
        "after a person agreed: a job ublox.transfer_root_ca for each device; billed for each device",
        "POST /device/list/get, /device/info/get and /deviceprofile/get, to look at every device and profile",
        "after a person agreed once more: POST /ztp/rootca/delete, and /ztp/rootca/get to look again",
    ),
    "ublox.replace_certificate": (
        "POST /device/info/get, to look",
        "POST /ztp/rootca/crl/get and /ztp/rootca/get, where it waits for the revocation",
        "POST /ztp/devicecertificate/update, once for each CA; billed for each device",
        "POST /device/info/get, when the device has had two heartbeats",
    ),
    "ublox.revoke_certificate": (
        "POST /device/info/get, to look",
        "POST /ztp/rootca/crl/get and /ztp/rootca/get, to see what is revoked already",
        "POST /ztp/devicecertificate/revoke, once for each certificate",
        "POST /ztp/rootca/crl/get and /ztp/rootca/get, to see it in the list",
    ),
    "ublox.delete_certificate": (
        "POST /device/info/get, to look",
        "POST /ztp/devicecertificate/delete",
        "POST /device/info/get, when the device has had its heartbeat",
    ),
    "ublox.transfer_root_ca": (
        "POST /device/info/get, to look",
        "POST /ztp/devicecertificate/rootca/transfer",
        "POST /device/info/get, when the device has had its heartbeat",
    ),
    "ublox.set_provisioning": (
        "POST /device/info/get, to look",
        "POST /device/provisioning/set; billed for each device that applies an authorization",
        "POST /device/info/get, when the device has had its heartbeat",
    ),
    "ublox.set_whitelist": (
        "POST /device/whitelist/get, page by page, to look",
        "POST /device/whitelist/add, where there is anything to change",
        "POST /device/info/get, where devices are to leave a list with entries by IMEI alone, and once more the change",
        "POST /device/whitelist/get, page by page, to look again",
    ),
    "ublox.tag": (
        "POST /tag/get and /device/rotpublicuid/get for each tag, to look",
        "POST /tag/create, /tag/assign and /tag/remove, where there is anything to change",
        "POST /device/rotpublicuid/get for each tag, to look again",
    ),
    "ublox.check_clones": (
        "POST /device/clone/get",
        "POST /device/suspicious/get",
    ),
    "twon.rotate_mobile_key": (
        "GET /api/system/info and GET /api/mobilekey/config, of each device of the location, to look",
        "where the devices have four keys: GET /api/log/subscribe, /pull, /unsubscribe of each, to know which may go",
        "PUT /api/mobilekey/config and GET to look again, for each device without the new key: it becomes the second",
        "PUT /api/mobilekey/config and GET to look again, for each device, when all have it: it becomes the first",
    ),
    "centagate.register_token": (
        "PUT /user/auth/list, to look; /token/getStatus too where the list does not say",
        "PUT /token/registerActiveToken, where the user has no such token",
        "PUT /user/auth/list, and /token/getStatus, to look again",
    ),
    "tap.reconfigure": (
        "a connection to the Tap, to read what it holds",
        "the writes that are missing, in an order that keeps the way back open",
        "a second login, to read what was written",
    ),
}


def calls_of(operation: str, expected: Iterable[Expected], locations: Mapping[str, Sequence[TwonDevice]]) -> Calls:
    """The batches of what would run now.

    Args:
        operation: which verb.
        expected: what would become of each target.
        locations: the 2N devices of each location.
    """
    due = [one.target for one in expected if one.then == "due"]
    largest = OPERATIONS[operation].batch
    return Calls(
        batches=-(-len(due) // largest),
        largest=largest,
        devices=sum(_devices(target, locations) for target in due),
        each=list(EACH[operation]),
    )


def _devices(target: str, locations: Mapping[str, Sequence[TwonDevice]]) -> int:
    """How many devices a target stands for."""
    return len(locations.get(target.removeprefix(LOCATION), ())) if target.startswith(LOCATION) else 1
