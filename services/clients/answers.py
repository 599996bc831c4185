"""What an upstream answered, told without its headers, without our secrets and at a bounded length."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Self

from schemas.errors import TryAgain

_MESSAGE_LENGTH: Final = 300
_NOT_JSON: Final = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer that came whole.

    Attributes:
        message: the upstream's own text, bounded and without control characters or our secrets; may be empty.
        content_type: the header of that name; may be empty.
        challenges: the WWW-Authenticate headers.
        date: the header of that name.
    """

    method: str
    path: str
    status: int
    message: str
    body: bytes = field(repr=False)
    document: Any = field(repr=False)
    content_type: str = field(default="", repr=False)
    challenges: tuple[str, ...] = field(default=(), repr=False)
    date: str | None = field(default=None, repr=False)

    @classmethod
    def read(  # noqa: PLR0913 - what there is of an answer
        cls,
        *,
        method: str,
        path: str,
        status: int,
        body: bytes,
        conceal: tuple[str, ...] = (),
        content_type: str = "",
        challenges: tuple[str, ...] = (),
        date: str | None = None,
    ) -> Self:
        """Understand a body as far as is needed for an error text; `conceal` is struck out of its message."""
        document = _decoded(body)
        return cls(
            method=method,
            path=path,
            status=status,
            message=cleaned(_message(document), conceal),
            body=body,
            document=document,
            content_type=content_type,
            challenges=challenges,
            date=date,
        )

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx; the presence of a message says nothing about that."""
        return self.status // 100 == HTTPStatus.OK // 100

    @property
    def text(self) -> str:
        """What happened, for a person."""
        told = f"{self.method} {self.path} answered {self.status}"
        return f"{told}: {self.message}" if self.message else told

    @property
    def server_time(self) -> datetime | None:
        """What time it is there; None where it does not say."""
        return None if self.date is None else _moment(self.date)

    def json(self) -> Any:
        """Give the decoded body.

        Raises:
            TryAgain: it is not JSON, as when a gateway answered in the upstream's place.
        """
        if self.document is _NOT_JSON:
            raise TryAgain(f"{self.text}, but not in JSON", call=self.path, status=self.status)
        return self.document


def read_retry_after(value: str, *, now: float) -> float | None:
    """Read Retry-After as seconds or as an HTTP date (RFC 9110, 10.2.3); None if it is neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    moment = _moment(text)
    return None if moment is None else max(0.0, moment.timestamp() - now)


def _moment(text: str) -> datetime | None:
    """Read an HTTP date (RFC 9110, 5.6.7); None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _decoded(body: bytes) -> Any:
    """Decode JSON; the standard library keeps whole numbers of any size, and a certificate's serial may be one."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _message(document: object) -> str:
    """Find the text under ``message`` or ``Message``; u-blox uses both, also for success."""
    pairs = document.items() if isinstance(document, dict) else ()
    return next((text for key, text in pairs if key.lower() == "message" and isinstance(text, str)), "")


def cleaned(message: str, secrets: tuple[str, ...]) -> str:
    """Make an upstream's text fit for an error: printable, of bounded length, and with our secrets struck out."""
    text = "".join(letter if letter.isprintable() else " " for letter in message)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "•••")
    return text if len(text) <= _MESSAGE_LENGTH else f"{text[:_MESSAGE_LENGTH]}…"
