"""Several requests in one: ``GET /1024//89``, firmware 1.13 and later (Tap protocol notes §6.4)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.events import Method, Request, Response
from services.clients.tap.frames import decode_request_frame, encode_request_frame
from services.clients.tap.state import MULTI_PATH, Form, Kind, form_of, kind_of

ANY_SUCCESS: Final = 0x7F
"""Expected status: any success will do."""

ANYTHING: Final = 0xFF
"""Expected status: anything will do."""

_LENGTH: Final = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Part:
    """One request of several, and the status without which the device stops: a result code or one of the two above."""

    request: Request
    expected: int = ANY_SUCCESS


def multi_request(parts: Sequence[Part]) -> Request:
    """Put several requests into one.

    Raises:
        LocalProtocolError: one of them would change the session under the others, or holds others itself.
    """
    for part in parts:
        if not _may_be_part(part.request):
            raise LocalProtocolError(f"{part.request} cannot be part of a multi request")
    return Request(Method.GET, MULTI_PATH, encode_parts(parts))


def encode_parts(parts: Sequence[Part]) -> bytes:
    """Give the body: for each part a length of 16 bits, the request frame, the expected status."""
    frames = [(encode_request_frame(part.request), part.expected) for part in parts]
    return b"".join(_LENGTH.pack(len(frame)) + frame + bytes([expected]) for frame, expected in frames)


def decode_parts(body: bytes) -> tuple[Part, ...]:
    """As the device, read the body.

    Raises:
        RemoteProtocolError: it is cut short, or a part may not be one.
    """
    parts = []
    while body:
        frame, body = _take(body, extra=1)
        part = Part(decode_request_frame(frame[:-1]), frame[-1])
        if not _may_be_part(part.request):
            raise RemoteProtocolError(f"{part.request} cannot be part of a multi request")
        parts.append(part)
    return tuple(parts)


def encode_answers(answers: Sequence[Response]) -> bytes:
    """As the device, give the body of the answer: for each part a length of 16 bits, status, body."""
    return b"".join(_LENGTH.pack(1 + len(answer.body)) + bytes([answer.status]) + answer.body for answer in answers)


def decode_answers(body: bytes) -> tuple[Response, ...]:
    """Read the answers, in the order of the parts. There are fewer of them where the device has stopped.

    Raises:
        RemoteProtocolError: the body is cut short, or an answer has no status.
    """
    answers = []
    while body:
        answer, body = _take(body)
        if not answer:
            raise RemoteProtocolError("an answer of a multi request has no status")
        answers.append(Response(answer[0], answer[1:]))
    return tuple(answers)


def meets(answer: Response, expected: int) -> bool:
    """Say whether an answer is the expected one."""
    return expected == ANYTHING or (answer.ok if expected == ANY_SUCCESS else answer.status == expected)


def _may_be_part(request: Request) -> bool:
    return kind_of(request) is Kind.ORDINARY and form_of(request) is Form.CLEAR and request.path != MULTI_PATH


def _take(body: bytes, *, extra: int = 0) -> tuple[bytes, bytes]:
    if len(body) < _LENGTH.size:
        raise RemoteProtocolError("a multi request is cut short in a length")
    end = _LENGTH.size + _LENGTH.unpack_from(body)[0] + extra
    if end > len(body):
        raise RemoteProtocolError("a multi request is cut short in a part")
    return body[_LENGTH.size : end], body[end:]
