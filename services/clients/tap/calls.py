"""Typed calls, made from the registry over anything that carries a request to a Tap and its response back.

::

    tap = Tap(client)
    tap.wifi.put_ssid("plant-7")
    tap.group.put_session_lifetime(65535, 30)
    tap.scram.getHashIteration()                    # the vendor's spelling serves as well
    tap.read("/1024//9")
    tap.write("/1024//10", "2.3.4")
"""

from dataclasses import dataclass
from typing import Any

from services.clients.tap.errors import DeviceRefusal, LocalProtocolError
from services.clients.tap.events import Exchanger, Method, Request, Response
from services.clients.tap.flows import APPEND_CHUNK, append, run
from services.clients.tap.paths import Path
from services.clients.tap.registry import APPENDED, Call, body_type, calls_at, resolve, services


@dataclass(frozen=True, slots=True)
class BoundCall:
    """One call of the registry over one line."""

    call: Call
    line: Exchanger
    append_chunk: int = APPEND_CHUNK

    def __call__(self, *arguments: Any) -> Any:
        """Make the call: first the number in its path, where it has one, then the value, where it takes one.

        Returns:
            The value of the reply, None where the call has none.

        Raises:
            LocalProtocolError: the arguments are not those of the call.
            DeviceRefusal: the device says no, or that it is busy.
            RemoteProtocolError: the reply cannot be read.
        """
        count = len(self.call.variables)
        path, values = self.call.path(*arguments[:count]), arguments[count:]
        required = bool(self.call.request) and not self.call.optional
        if not required <= len(values) <= bool(self.call.request):
            raise LocalProtocolError(f"{self.call} takes {self.call.request or 'no value'}, not {len(values)} values")
        body = self.call.encode(values[0]) if values else b""
        if self.call.request == APPENDED:
            return run(append(path, body, chunk=self.append_chunk), self.line.exchange)
        return self.call.decode(_done(self.line, str(self.call), Request(self.call.method, path, body)).body)


@dataclass(frozen=True, slots=True)
class Service:
    """The calls of one service over one line, as attributes, in Python's spelling or the vendor's."""

    name: str
    line: Exchanger
    append_chunk: int = APPEND_CHUNK

    def __getattr__(self, name: str) -> BoundCall:
        call = services()[self.name].get(name)
        if call is None:
            raise AttributeError(f"{self.name} has no call {name}")
        return BoundCall(call, self.line, self.append_chunk)

    def __dir__(self) -> list[str]:
        return sorted({call.python_name for call in services()[self.name].values()})


@dataclass(frozen=True, slots=True)
class Tap:
    """All services over one line, as attributes, and any path at all.

    Attributes:
        line: carries a request to the device and its response back.
        append_chunk: bytes of one write of a long value, at most the body that the line takes.
    """

    line: Exchanger
    append_chunk: int = APPEND_CHUNK

    def __getattr__(self, name: str) -> Service:
        if name not in services():
            raise AttributeError(f"a Tap has no service {name}")
        return Service(name, self.line, self.append_chunk)

    def __dir__(self) -> list[str]:
        return [*services(), "read", "write"]

    def read(self, path: str | Path, *, as_type: str | None = None) -> Any:
        """Read a resource: a known one as its type, an unknown one as bytes.

        Args:
            path: such as ``/1024//9``, or an alias such as ``/scram/hash-iteration``.
            as_type: the type of the body, needed where the path has several meanings (§11.4).

        Raises:
            LocalProtocolError: the path is none, or its type must be named.
            DeviceRefusal: the device says no, or that it is busy.
            RemoteProtocolError: the reply cannot be read.
        """
        place = resolve(path)
        types = {call.reply for call in calls_at(Method.GET, place) if call.reply}
        codec = body_type(as_type or _only(types, place))
        return codec.decode(_done(self.line, f"GET {place}", Request(Method.GET, place)).body)

    def write(self, path: str | Path, value: Any, *, as_type: str | None = None, method: Method = Method.PUT) -> None:
        """Write a resource: a known one as its type, an unknown one as bytes.

        Args:
            path: such as ``/1024//9``, or an alias.
            value: of the type of the body.
            as_type: the type of the body, needed where the path has several meanings (§11.4).
            method: PUT stores, POST writes without storing (§3.4).

        Raises:
            LocalProtocolError: the path is none, its type must be named, or the value does not fit.
            DeviceRefusal: the device says no, or that it is busy.
        """
        place = resolve(path)
        types = {call.request for call in calls_at(method, place) if call.request}
        name = as_type or _only(types, place)
        body = body_type(name).encode(value)
        if name == APPENDED:
            run(append(place, body, chunk=self.append_chunk), self.line.exchange)
        else:
            _done(self.line, f"{method.name} {place}", Request(method, place, body))


def _only(types: set[str], path: Path) -> str:
    if len(types) > 1:
        raise LocalProtocolError(f"{path} has several meanings, name one of {', '.join(sorted(types))}")
    return next(iter(types), "bytes")


def _done(line: Exchanger, name: str, request: Request) -> Response:
    response = line.exchange(request)
    if not response.done:
        raise DeviceRefusal(name, response.status)
    return response
