"""What a Tap does at each call: the general rule for settings, and a table of the calls that are more than that."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from services.clients.tap.events import Method, Request, Response
from services.clients.tap.paths import CREATE, Path
from services.clients.tap.registry import APPENDED, calls_at
from services.clients.tap.status import Status
from services.sandbox.tap import deeds_of_groups, deeds_of_interface, deeds_of_sessions, resources
from services.sandbox.tap.logins import Visitor
from services.sandbox.tap.memory import MOST_APPENDED, MOST_INSTANCES, Memory

if TYPE_CHECKING:
    from services.sandbox.tap.device import Device

Deed = Callable[["Device", Visitor, Request], Response]

TARGET_OBJECT: Final = 1027
VARIABLE_OBJECT: Final = 1029
_STORED_VALUE: Final = 4
_LIVE_VALUE: Final = 5

_BEHIND_THE_TAP: Final = frozenset({30, 31, 32, 33, 34, 35, 37, 38})
"""Resources of the target; nothing is connected to a twin."""


DEEDS: Final[dict[tuple[Method, str], Deed]] = {
    **deeds_of_sessions.DEEDS,
    **deeds_of_interface.DEEDS,
    **deeds_of_groups.DEEDS,
}


def perform(device: "Device", visitor: Visitor, request: Request) -> Response:
    """Carry out a request that exists and that this user may make."""
    template = calls_at(request.method, request.path)[0].template
    deed = DEEDS.get((request.method, template)) or GENERAL[request.method]
    response = deed(device, visitor, request)
    if request.method is not Method.GET:
        device.memory.appending = (visitor.number, request.path)
    return response


def _read(device: "Device", _visitor: Visitor, request: Request) -> Response:
    if _is_behind(request.path):
        return Response(Status.UNABLE_TO_CONNECT_TO_TARGET)
    body = device.memory.read(request.path)
    return Response(Status.CONTENT, resources.initial(request.path) if body is None else body)


def _store(device: "Device", visitor: Visitor, request: Request) -> Response:
    """Keep a setting; the parts of an appended one are joined while nothing else is written between (notes §6.2)."""
    if not resources.accepts(request):
        return Response(Status.NOT_ACCEPTABLE)
    memory, body = device.memory, request.body
    if any(call.request == APPENDED for call in calls_at(request.method, request.path)):
        if body and memory.appending == (visitor.number, request.path):
            body = (memory.read(request.path) or b"") + body
        if len(body) > MOST_APPENDED:
            return Response(Status.NVM_FULL)
    memory.store(request.path, body)
    return Response(Status.CHANGED)


def _post(device: "Device", _visitor: Visitor, request: Request) -> Response:
    """Execute, or write until the next restart where the same resource can be read (notes §3.4)."""
    if request.path.resource == CREATE:
        return _create(device.memory, request.path)
    if _is_behind(request.path):
        return Response(Status.UNABLE_TO_CONNECT_TO_TARGET)
    if not resources.accepts(request):
        return Response(Status.NOT_ACCEPTABLE)
    path = _shown_at(request.path)
    if request.body and calls_at(Method.GET, path):
        device.memory.passing[path] = request.body
    return Response(Status.CHANGED)


GENERAL: Final[dict[Method, Deed]] = {Method.GET: _read, Method.PUT: _store, Method.POST: _post}


def _create(memory: Memory, path: Path) -> Response:
    """Create a bundle or a variable; one that exists stays as it is."""
    if path.instance is None or len(memory.instances) >= MOST_INSTANCES:
        return Response(Status.NVM_FULL if path.instance is not None else Status.NOT_ACCEPTABLE)
    memory.instances.add((path.object, path.instance))
    return Response(Status.CREATED)


def _shown_at(path: Path) -> Path:
    """Give the path where a passing value is read back: a live value of a variable has one of its own."""
    if path.object == VARIABLE_OBJECT and path.resource == _LIVE_VALUE:
        return Path(path.object, path.instance, _STORED_VALUE)
    return path


def _is_behind(path: Path) -> bool:
    return path.object == TARGET_OBJECT and path.resource in _BEHIND_THE_TAP
