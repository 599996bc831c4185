"""A sender of webhooks over many connections, which repeats what was not answered as a careful sender would."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.events import EventType

PATIENCE: Final = 60.0
"""Seconds for which a sender repeats one delivery before the story fails."""


@dataclass
class Flood:
    """What was sent and what came back."""

    port: int
    token: str
    receipts: dict[int, str] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0

    def send(self, bodies: Sequence[bytes], *, connections: int) -> None:
        """Send every body once, over so many connections, until each is answered 202."""
        turn = iter(enumerate(bodies))
        lock = threading.Lock()
        threads = [threading.Thread(target=self._send, args=(turn, lock)) for _ in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, turn: "enumerate[bytes]", lock: threading.Lock) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while True:
            with lock:
                number, body = next(turn, (-1, b""))
            if number < 0:
                connection.close()
                return
            self._deliver(connection, number, body, lock)

    def _deliver(self, connection: http.client.HTTPConnection, number: int, body: bytes, lock: threading.Lock) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                headers = {"Authorization": self.token, "Content-Type": "application/json"}
                connection.request("POST", "/webhooks/ublox", body, headers)
                answer = connection.getresponse()
                document = json.loads(answer.read())
            except (OSError, http.client.HTTPException):
                connection.close()
                with lock:
                    self.broken += 1
                time.sleep(0.1)
                continue
            with lock:
                self.statuses[answer.status] += 1
                if answer.status == 202:
                    self.receipts[number] = document["receipt"]
                    return
            time.sleep(0.1)


def notification(event_type: EventType, uid: str, **payload: object) -> bytes:
    """A notification as u-blox writes it."""
    document = {
        "ROTPublicUID": uid,
        "EventType": event_type,
        "Timestamp": "2026-05-10T19:39Z",
        "Payload": {"IsBlacklisted": False, **payload},
    }
    return json.dumps(document).encode()
