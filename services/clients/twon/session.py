"""Calls to one device: one at a time, logged in as the device asks.

The nonce of a device may run out at any moment, and two independent clients took that for a wrong password. So a
refused nonce is answered anew once, and credentials count as wrong only after two refusals in a row that do not say
that the nonce was stale.
"""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from pydantic import SecretStr

from schemas.errors import OurFault, TryAgain
from services.clients.answers import Answer
from services.clients.line import Line
from services.clients.transport import Bounds, Transport
from services.clients.twon.address import TwonAddress
from services.clients.twon.digest import DIGESTS, Responder, read_challenge, schemes
from services.clients.twon.envelope import read_result
from services.clients.twon.pin import pinned_context

_MOST_REFUSALS: Final = 2
_MOST_STALE: Final = 2


class _Turn:
    """The lock of one device; it lives as long as somebody holds a session with the device."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()


_turns: Final[WeakValueDictionary[str, _Turn]] = WeakValueDictionary()
_turns_lock: Final = threading.Lock()


class Session:
    """Sends requests to one device.

    Args:
        bounds: `pool` is how long to wait for another caller of the same device.
    """

    def __init__(self, address: TwonAddress, bounds: Bounds) -> None:
        self._address, self._bounds = address, bounds
        self._prefix = urlsplit(address.url).path.rstrip("/")
        pin = None if address.fingerprint is None else pinned_context(address.fingerprint)
        self._transport = Transport(
            address.url.rstrip("/"), ca_file=address.ca_file, verify=pin, bounds=bounds, wire=Line
        )
        self._password = address.password or SecretStr("")
        self._responder: Responder | None = None
        with _turns_lock:
            self._turn = _turns.setdefault(address.name, _Turn())

    def call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: Mapping[str, Any] | None = None,
        conceal: tuple[str, ...] = (),
        patience: float = 0.0,
    ) -> Any:
        """Send one request and give the `result` of its answer; arguments as of `Transport.request`.

        Raises:
            TryAgain: somebody else speaks with the device, the network failed, or the device says so.
            Refused: the device says no.
            OurFault: the request or the credentials are wrong, the certificate is, or this is no 2N device.
        """
        conceal = (*conceal, self._password.get_secret_value())

        def send(authorization: str | None) -> Answer:
            headers = {} if authorization is None else {"Authorization": authorization}
            return self._transport.request(
                method, path, query=query, body=body, headers=headers, conceal=conceal, patience=patience
            )

        uri = f"{self._prefix}{path}" + (f"?{query}" if query else "")
        with self._my_turn(path):
            answer = self._digested(method, uri, send) if self._address.auth == "digest" else send(self._basic())
        self._check_method(answer)
        return read_result(answer, conceal)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    @contextmanager
    def _my_turn(self, path: str) -> Iterator[None]:
        if not self._turn.lock.acquire(timeout=self._bounds.pool):
            raise TryAgain("another call to the same device is still under way", call=path, sent=False)
        try:
            yield
        finally:
            self._turn.lock.release()

    def _basic(self) -> str | None:
        if self._address.auth == "none":
            return None
        pair = f"{self._address.user}:{self._password.get_secret_value()}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    def _digested(self, method: str, uri: str, send: Callable[[str | None], Answer]) -> Answer:
        refusals = stale = 0
        while True:
            responder = self._responder
            answer = send(None if responder is None else responder.answer(method, uri))
            challenge = read_challenge(answer.challenges) if answer.status == HTTPStatus.UNAUTHORIZED else None
            if challenge is None:
                return answer
            self._responder = Responder(self._address.user, self._password, challenge)
            if responder is not None:
                stale += challenge.stale
                refusals = 0 if challenge.stale else refusals + 1
            if refusals == _MOST_REFUSALS:
                return answer
            if stale == _MOST_STALE:
                text = f"{answer.text}: the nonce ran out again before it could be used"
                raise TryAgain(text, call=answer.path, status=answer.status)

    def _check_method(self, answer: Answer) -> None:
        asked = schemes(answer.challenges) if answer.status == HTTPStatus.UNAUTHORIZED else []
        if asked and self._address.auth not in asked:
            text = f"{answer.text}: the device asks for {' or '.join(asked)}, its address says {self._address.auth}"
        elif asked and self._address.auth == "digest" and read_challenge(answer.challenges) is None:
            text = f"{answer.text}: expected a Digest challenge with {DIGESTS}"
        else:
            return
        raise OurFault(text, call=answer.path, status=answer.status)
