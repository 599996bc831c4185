"""Logins, session keys and the questions about the present line (Tap protocol notes §7 to §9)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from services.clients.tap.channel import BLOCK
from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.events import Method, Request, Response
from services.clients.tap.status import Status
from services.sandbox.tap.factory import ADMIN
from services.sandbox.tap.logins import Visitor

if TYPE_CHECKING:
    from services.sandbox.tap.device import Device


def _challenge(device: "Device", visitor: Visitor, request: Request) -> Response:
    return device.doorkeeper.challenge(visitor, request)


def _prove(device: "Device", visitor: Visitor, request: Request) -> Response:
    return device.doorkeeper.prove(visitor, request)


def _plain_login(device: "Device", visitor: Visitor, request: Request) -> Response:
    return device.doorkeeper.plain(visitor, request)


def _logout(_device: "Device", visitor: Visitor, _request: Request) -> Response:
    visitor.leave()
    return Response(Status.CHANGED)


def _initialize(device: "Device", visitor: Visitor, _request: Request) -> Response:
    """Give a random key in clear; the page says over NFC only, the vendor's client asks on any line (§8.2)."""
    if device.dials.initialize_nfc_only and visitor.host is not HostProtocol.NFC:
        return Response(Status.RESOURCE_LOCKED)
    return Response(Status.CONTENT, device.nonces.iv())


def _set_iv(device: "Device", _visitor: Visitor, request: Request) -> Response:
    if len(request.body) != BLOCK:
        return Response(Status.BAD_REQUEST)
    return Response(Status.CONTENT, device.nonces.iv())


def _refuse_channel(_device: "Device", _visitor: Visitor, _request: Request) -> Response:
    """Refuse a sealed frame that stands where the channel cannot be, as in a multi request."""
    return Response(Status.METHOD_NOT_ALLOWED)


def _profile(_device: "Device", visitor: Visitor, _request: Request) -> Response:
    return Response(Status.CONTENT, visitor.group.to_bytes(2, "big"))


def _group(device: "Device", visitor: Visitor, _request: Request) -> Response:
    return Response(Status.CONTENT, device.memory.rights_of(visitor.group).to_bytes(2, "big"))


def _host(_device: "Device", visitor: Visitor, _request: Request) -> Response:
    return Response(Status.CONTENT, int(visitor.host).to_bytes(2, "big"))


def _uid(device: "Device", _visitor: Visitor, _request: Request) -> Response:
    return Response(Status.CONTENT, uid_of(device))


def _uid_login(device: "Device", visitor: Visitor, request: Request) -> Response:
    """Log in as administrator by the number of the chip, unless a lock bit forbids it (§11.2)."""
    if device.doorkeeper.locks.disable_login_with_uid:
        return Response(Status.RESOURCE_LOCKED)
    if request.body != uid_of(device):
        return Response(Status.UNAUTHORIZED)
    visitor.group = ADMIN
    return Response(Status.CHANGED)


def uid_of(device: "Device") -> bytes:
    """Give the number of the chip, made from the serial number."""
    return device.factory.serial.encode()[-8:].rjust(8, b"\x00")


DEEDS: Final[Mapping[tuple[Method, str], Callable[["Device", Visitor, Request], Response]]] = {
    (Method.GET, "/1024//40"): _challenge,
    (Method.GET, "/1024//41"): _prove,
    (Method.GET, "/1024//44"): _refuse_channel,
    (Method.GET, "/1024//45"): _set_iv,
    (Method.GET, "/1024//47"): _initialize,
    (Method.GET, "/1024//48"): _refuse_channel,
    (Method.POST, "/1024//0"): _plain_login,
    (Method.POST, "/1024//1"): _logout,
    (Method.GET, "/1024//2"): _profile,
    (Method.GET, "/1024//3"): _host,
    (Method.GET, "/1024//5"): _uid,
    (Method.POST, "/1024//5"): _uid_login,
    (Method.GET, "/1024//7"): _group,
}
