"""Starts any twin as a real HTTP server: in the foreground for a person, in a thread for a test."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp

GRACE_SECONDS: Final = 2
"""How long a call that hangs may hold up a stop."""

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_START_SECONDS: Final = 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a twin really listens, also when it was asked for port 0."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The root URL, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is ready and ends with success on a stop signal."""

    def __init__(self, app: ASGIApp, ready: Callable[[], object]) -> None:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=GRACE_SECONDS
        )
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take the stop signals without raising them again afterwards, as uvicorn itself would."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(app: ASGIApp, *, host: str, port: int, ready: Callable[[Address], object]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called once, when calls are answered.

    Raises:
        OSError: the port cannot be had.
    """
    with _listening(host, port) as listener:
        address = _address_of(listener)
        _Server(app, lambda: ready(address)).run(sockets=[listener])


@contextmanager
def running(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Address]:
    """Serve from a thread of this process for as long as the block lasts.

    Raises:
        OSError: the port cannot be had.
        RuntimeError: the app did not start.
    """
    with _listening(host, port) as listener:
        ready = threading.Event()
        server = _Server(app, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="twin", daemon=True)
        thread.start()
        try:
            _await_start(thread, ready)
            yield _address_of(listener)
        finally:
            server.should_exit = True
            thread.join()


def _await_start(thread: threading.Thread, ready: threading.Event) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready.wait(0.02):
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the twin did not start")


def bound(host: str, port: int) -> socket.socket:
    """Bind, but do not listen yet.

    Raises:
        OSError: the port cannot be had.
    """
    line = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        line.bind((host, port))
        line.setblocking(False)
    except BaseException:
        line.close()
        raise
    return line


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def _address_of(listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    return Address(host=host, port=port)
