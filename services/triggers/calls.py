"""The calls that an operation makes for a batch, as a dry run tells them; each verb's own file says more."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

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
    "tap.reconfigure": (
        "a connection to the Tap, to read what it holds",
        "the writes that are missing, in an order that keeps the way back open",
        "a second login, to read what was written",
    ),
}


def calls_of(operation: str, expected: Iterable[Expected]) -> Calls:
    """The batches of what would run now."""
    due = Counter(one.then for one in expected)["due"]
    largest = OPERATIONS[operation].batch
    return Calls(batches=-(-due // largest), largest=largest, each=list(EACH.get(operation, ())))
