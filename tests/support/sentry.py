"""A Sentry of our own: what really leaves the machine, byte by byte."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Inbox(ThreadingHTTPServer):
    """Keeps each envelope as it came, unpacked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Envelopes)
        self.envelopes: list[bytes] = []

    def events(self) -> list[dict[str, Any]]:
        """Give the error events of all envelopes."""
        lines = [json.loads(line) for envelope in self.envelopes for line in envelope.splitlines() if line]
        return [line for line in lines if "exception" in line or "logentry" in line]


class _Envelopes(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding")
        assert packed in {None, "gzip"}
        assert isinstance(self.server, Inbox)
        self.server.envelopes.append(gzip.decompress(body) if packed else body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def sentry_inbox() -> Iterator[Inbox]:
    """Take envelopes for as long as the block lasts."""
    with Inbox() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
