"""What a Tap says of itself, and the settings that are written in one form and read in another (notes §11, §12)."""

import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Final

from services.clients.tap.events import Method, Request, Response
from services.clients.tap.layouts import LocalTime
from services.clients.tap.paths import Path
from services.clients.tap.state import ITERATION_PATH, SECURITY_PATH
from services.clients.tap.status import Status
from services.sandbox.tap import resources
from services.sandbox.tap.factory import OPENED, UNCONFIGURED
from services.sandbox.tap.logins import Visitor
from services.sandbox.tap.memory import VERSION_PATH

if TYPE_CHECKING:
    from services.sandbox.tap.device import Device

INACTIVITY_PATH: Final = Path(1024, None, 34)
WIFI_KEY_PATH: Final = Path(1024, None, 16)
KEY_VISIBILITY_PATH: Final = Path(1024, None, 99)
RUNNING_PATH: Final = Path(1031, None, 0)

_YEAR_ZERO: Final = 1900


class Errand(Enum):
    """What is to be done once the answer is out."""

    RESTART = "restart"
    RELOAD = "reload"


def _serial(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    return Response(Status.CONTENT, device.factory.serial.encode())


def _firmware(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    return Response(Status.CONTENT, device.factory.firmware.encode())


def _restart(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    device.errand = Errand.RESTART
    return Response(Status.CHANGED)


def _factory_reset(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    """Forget all settings; the line and its session stay, for the vendor's configurator goes on (§10.3)."""
    if device.doorkeeper.locks.disable_resource_factory_reset:
        return Response(Status.RESOURCE_LOCKED)
    device.memory.factory_reset()
    return Response(Status.CHANGED)


def _reload(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    device.errand = Errand.RELOAD
    return Response(Status.CHANGED)


def _put_version(device: "Device", _visitor: Visitor, request: Request) -> Response:
    """Open a configuration, or close it: a Tap with a version of its own is closed to strangers (§10.3)."""
    if not resources.accepts(request):
        return Response(Status.NOT_ACCEPTABLE)
    if request.body not in {UNCONFIGURED, OPENED}:
        device.memory.configured = True
    device.memory.store(VERSION_PATH, request.body)
    return Response(Status.CHANGED)


def _put_locks(device: "Device", _visitor: Visitor, request: Request) -> Response:
    """Take two bytes, or the single one that the vendor's configurator writes (§10.3)."""
    return _widened(device, request, SECURITY_PATH, taken={1, 2}, size=2)


def _put_inactivity(device: "Device", _visitor: Visitor, request: Request) -> Response:
    """Take one byte, which is read back as two (§11)."""
    return _widened(device, request, INACTIVITY_PATH, taken={1}, size=2)


def _put_iterations(device: "Device", _visitor: Visitor, request: Request) -> Response:
    """Take two bytes, which are read back as four (§8.4)."""
    if not any(request.body):
        return Response(Status.NOT_ACCEPTABLE)
    return _widened(device, request, ITERATION_PATH, taken={2}, size=4)


def _widened(device: "Device", request: Request, path: Path, *, taken: set[int], size: int) -> Response:
    if len(request.body) not in taken:
        return Response(Status.NOT_ACCEPTABLE)
    device.memory.store(path, request.body.rjust(size, b"\x00"))
    return Response(Status.CHANGED)


def _wifi_key(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    """Give the key, unless it has been hidden (``/1024//99``)."""
    if device.memory.number(KEY_VISIBILITY_PATH):
        return Response(Status.RESOURCE_LOCKED)
    return Response(Status.CONTENT, device.memory.read(WIFI_KEY_PATH) or b"")


def _clock(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_now(device)))
    return Response(Status.CONTENT, text.encode())


def _put_clock(device: "Device", _visitor: Visitor, request: Request) -> Response:
    if not resources.accepts(request):
        return Response(Status.NOT_ACCEPTABLE)
    device.time_offset = int.from_bytes(request.body, "big") - time.time()
    return Response(Status.CHANGED)


def _local_time(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    """Give the parts of the clock, counted as in C (§12); a twin lives in UTC."""
    now = time.gmtime(_now(device))
    date = now.tm_mday, now.tm_mon - 1, now.tm_year - _YEAR_ZERO
    parts = LocalTime(now.tm_sec, now.tm_min, now.tm_hour, *date, (now.tm_wday + 1) % 7, now.tm_yday - 1, 0)
    return Response(Status.CONTENT, parts.encode())


def _now(device: "Device") -> float:
    return time.time() + device.time_offset


def _run_log(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    device.memory.passing[RUNNING_PATH] = b"\x01"
    return Response(Status.CHANGED)


def _stop_log(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    device.memory.passing.pop(RUNNING_PATH, None)
    return Response(Status.CHANGED)


def _no_packet(_device: "Device", _visitor: Visitor, _request: Request) -> Response:
    return Response(Status.NOT_FOUND)


DEEDS: Final[Mapping[tuple[Method, str], Callable[["Device", Visitor, Request], Response]]] = {
    (Method.GET, "/3//2"): _serial,
    (Method.GET, "/3//3"): _firmware,
    (Method.POST, "/3//4"): _restart,
    (Method.POST, "/3//5"): _factory_reset,
    (Method.GET, "/3//13"): _clock,
    (Method.PUT, "/3//13"): _put_clock,
    (Method.PUT, "/1024//6"): _put_locks,
    (Method.PUT, "/1024//10"): _put_version,
    (Method.POST, "/1024//10"): _reload,
    (Method.GET, "/1024//16"): _wifi_key,
    (Method.PUT, "/1024//34"): _put_inactivity,
    (Method.PUT, "/1024//42"): _put_iterations,
    (Method.GET, "/1024//79"): _local_time,
    (Method.POST, "/1031//0"): _run_log,
    (Method.POST, "/1031//1"): _stop_log,
    (Method.GET, "/1031//11"): _no_packet,
}
