"""Users: names, passwords, lifetimes, aliases (Tap protocol notes §10)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from services.clients.tap.events import Method, Request, Response
from services.clients.tap.scram import NAME_SIZE
from services.clients.tap.status import Status
from services.sandbox.tap import resources
from services.sandbox.tap.logins import Visitor
from services.sandbox.tap.memory import MOST_INSTANCES, Group

if TYPE_CHECKING:
    from services.sandbox.tap.device import Device


def _group(device: "Device", request: Request) -> Group:
    return device.memory.groups[request.path.instance or 0]


def _name(device: "Device", _visitor: Visitor, request: Request) -> Response:
    return Response(Status.CONTENT, _group(device, request).name)


def _put_name(device: "Device", _visitor: Visitor, request: Request) -> Response:
    group = _group(device, request)
    namesake = device.memory.named(request.body.decode("latin-1"))
    if not 1 <= len(request.body) <= NAME_SIZE or (namesake and namesake[1] is not group):
        return Response(Status.NOT_ACCEPTABLE)
    group.name = request.body
    return Response(Status.CHANGED)


def _password(device: "Device", _visitor: Visitor, request: Request) -> Response:
    return device.doorkeeper.password(_group(device, request), request.body)


def _lifetime(device: "Device", _visitor: Visitor, request: Request) -> Response:
    return Response(Status.CONTENT, _group(device, request).lifetime.to_bytes(2, "big"))


def _put_lifetime(device: "Device", _visitor: Visitor, request: Request) -> Response:
    if not resources.accepts(request):
        return Response(Status.NOT_ACCEPTABLE)
    _group(device, request).lifetime = int.from_bytes(request.body, "big")
    return Response(Status.CHANGED)


def _alias(device: "Device", _visitor: Visitor, request: Request) -> Response:
    return Response(Status.CONTENT, device.memory.rights_of(request.path.instance or 0).to_bytes(2, "big"))


def _put_alias(device: "Device", _visitor: Visitor, request: Request) -> Response:
    target = int.from_bytes(request.body, "big")
    if not resources.accepts(request) or target not in device.memory.groups:
        return Response(Status.NOT_ACCEPTABLE)
    _group(device, request).alias = target
    return Response(Status.CHANGED)


def _create(device: "Device", _visitor: Visitor, request: Request) -> Response:
    """Make a user without a name or a password; one that exists stays as it is."""
    groups = device.memory.groups
    if len(groups) >= MOST_INSTANCES:
        return Response(Status.NVM_FULL)
    groups.setdefault(request.path.instance or 0, Group())
    return Response(Status.CREATED)


DEEDS: Final[Mapping[tuple[Method, str], Callable[["Device", Visitor, Request], Response]]] = {
    (Method.GET, "/1025/{group}/0"): _name,
    (Method.PUT, "/1025/{group}/0"): _put_name,
    (Method.POST, "/1025/{group}/2"): _password,
    (Method.GET, "/1025/{group}/4"): _lifetime,
    (Method.PUT, "/1025/{group}/4"): _put_lifetime,
    (Method.GET, "/1025/{group}/5"): _alias,
    (Method.PUT, "/1025/{group}/5"): _put_alias,
    (Method.POST, "/1025/{group}/65535"): _create,
}
