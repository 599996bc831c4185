"""What a transport needs of whatever carries its requests: a connection for one thread, and errors without secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """How long and how much we are willing to wait for and to read; times in seconds.

    Attributes:
        connect: until the connection stands, TLS included.
        read: between two pieces of the answer.
        write: between two pieces of the request.
        pool: until another caller of the same device is done, where only one is let in.
        whole: for the whole call, however steadily the answer drips.
        retry_after: the longest pause that an upstream may ask of us.
        answer_bytes: the largest answer.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 10.0
    pool: float = 5.0
    whole: float = 120.0
    retry_after: float = 3600.0
    answer_bytes: int = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """A request.

    Attributes:
        target: path and query, encoded.
        headers: all but Host and Content-Length.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """An answer; of the body at most one byte more than the bounds allow."""

    status: int
    content: bytes = field(repr=False)
    content_type: str = ""
    challenges: tuple[str, ...] = ()
    retry_after: str | None = None
    date: str | None = None


class Broken(Exception):
    """No answer came.

    Attributes:
        kind: the class of the cause; its text stays out, since it may quote a header.
        sent: whether the upstream may have seen something of the request.
        untrusted: what is wrong with the other end's certificate.
        unsendable: the request holds what HTTP has no room for.
    """

    def __init__(self, kind: str, *, sent: bool = False, untrusted: str = "", unsendable: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.sent = sent
        self.untrusted = untrusted
        self.unsendable = unsendable


class Wire(Protocol):
    """A connection that opens itself when it is needed, for one thread; another one may hang up."""

    def exchange(self, message: Message, bounds: Bounds, patience: float) -> Received:
        """Send a request and read its answer; `patience` is added to the read bound.

        Raises:
            Broken: no whole answer came.
        """

    def hang_up(self) -> None:
        """Let whoever reads or writes see the end; the connection's own thread closes it."""

    def close(self) -> None:
        """Forget the connection."""
