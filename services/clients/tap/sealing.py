"""Requests into the encrypted channel and answers out of it, for either end (Tap protocol notes §9.2 and §9.3)."""

from dataclasses import dataclass, field
from typing import Final

from services.clients.tap.channel import BLOCK, Channel
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.events import Method, Nonces, Refusal, Request, Response
from services.clients.tap.frames import (
    MAX_BODY,
    MIN_RESPONSE,
    STATUS_WORD,
    decode_request_frame,
    decode_response,
    encode_request,
    encode_request_frame,
    encode_response,
    split_response,
)
from services.clients.tap.state import SEND_PATH, SEND_WITH_IV_PATH, Form, form_of
from services.clients.tap.status import Status, is_success

MAX_BODIES: Final = {Form.CLEAR: MAX_BODY, Form.SEALED: 225, Form.SEALED_WITH_IV: 209}
"""The largest body of a request in each form; one byte more overflows Lc (§3.5)."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One exchange under way.

    Attributes:
        request: what is asked.
        form: how it travels, and how its answer must.
        frame_id: the number of its frame, where it is sealed.
        iv: the IV that it brought along, where it did.
    """

    request: Request
    form: Form
    frame_id: int = 0
    iv: bytes = field(default=b"", repr=False)


def seal_request(channel: Channel, request: Request, form: Form, nonces: Nonces) -> tuple[Letter, bytes]:
    """As the client, give the letter of a request and its bytes; a frame number is used up (§9.2).

    Raises:
        LocalProtocolError: the body is too large for its form, or there is no session.
    """
    if len(request.body) > MAX_BODIES[form]:
        largest = f"a body that travels {form.value} has at most {MAX_BODIES[form]} bytes"
        raise LocalProtocolError(f"{request}: {largest}, not {len(request.body)}")
    if form is Form.CLEAR:
        return Letter(request, form), encode_request(request)
    own_iv = nonces.iv() if form is Form.SEALED_WITH_IV else b""
    frame_id = channel.next_id
    sealed = channel.seal(encode_request_frame(request), frame_id=frame_id, iv=own_iv or channel.request_iv)
    path = SEND_WITH_IV_PATH if own_iv else SEND_PATH
    apdu = encode_request(Request(Method.GET, path, own_iv + sealed))
    channel.count(frame_id)
    return Letter(request, form, frame_id, own_iv), apdu


def open_request(channel: Channel, outer: Request, *, check_ids: bool) -> Letter:
    """As the device, give the letter of a request that came in an APDU.

    Raises:
        RemoteProtocolError: it is sealed and there is no session, it cannot be read, its number is a repeat, or there
            is a second seal within.
    """
    form = form_of(outer)
    if form is Form.CLEAR:
        return Letter(outer, form)
    if channel.key is None:
        raise RemoteProtocolError("a sealed frame without a session", answer=Status.METHOD_NOT_ALLOWED)
    iv, sealed = _split_iv(outer.body, form)
    frame_id, frame = channel.open(sealed, iv=iv or channel.request_iv)
    if check_ids and channel.is_repeat(frame_id):
        raise RemoteProtocolError(f"frame {frame_id} repeats, the next one is {channel.next_id}")
    request = decode_request_frame(frame)
    if form_of(request) is not Form.CLEAR:
        raise RemoteProtocolError(f"{request} inside the encrypted channel")
    channel.count(frame_id)
    return Letter(request, form, frame_id, iv)


def seal_answer(channel: Channel, letter: Letter, response: Response, nonces: Nonces) -> bytes:
    """As the device, give the bytes of an answer, in the form of its request and with its number (§9.2).

    Raises:
        LocalProtocolError: the answer is too large.
    """
    inner = encode_response(response)
    if letter.form is Form.CLEAR:
        return inner
    own_iv = nonces.iv() if letter.iv else b""
    sealed = channel.seal(inner, frame_id=letter.frame_id, iv=own_iv or channel.answer_iv)
    data = encode_response(Response(Status.CONTENT, own_iv + sealed))
    if own_iv:
        channel.take_ivs(letter.iv, own_iv)
    return data


def open_answer(channel: Channel, letter: Letter, data: bytes, *, check_ids: bool) -> Response | Refusal:
    """As the client, read the whole answer to a letter.

    Raises:
        RemoteProtocolError: it cannot be read, or it answers another frame.
    """
    if letter.form is Form.CLEAR:
        return decode_response(data)
    status, body = split_response(data)
    if not is_success(status):
        return Refusal(status)
    iv, frame_id, inner = _unseal(channel, letter.form, body)
    if check_ids and frame_id != letter.frame_id:
        raise RemoteProtocolError(f"the answer has the number {frame_id}, its request had {letter.frame_id}")
    response = decode_response(inner)
    if iv:
        channel.take_ivs(letter.iv, iv)
    return response


def answer_ends(channel: Channel, form: Form, data: bytes | bytearray) -> bool:
    """Say whether a sealed answer is whole: its length allows it and its checksum proves it. In clear nobody can tell.

    ``90 00`` may stand inside a frame, so the ending alone says nothing (§5.1).
    """
    if not _may_end(form, data):
        return False
    status, body = split_response(bytes(data))
    try:
        return not is_success(status) or bool(_unseal(channel, form, body))
    except RemoteProtocolError:
        return False


def _may_end(form: Form, data: bytes | bytearray) -> bool:
    if form is Form.CLEAR or not data.endswith(STATUS_WORD) or len(data) < MIN_RESPONSE:
        return False
    if len(data) == MIN_RESPONSE:
        return not is_success(data[0])
    sealed = len(data) - MIN_RESPONSE - (BLOCK if form is Form.SEALED_WITH_IV else 0)
    return sealed > 0 and sealed % BLOCK == 0


def _unseal(channel: Channel, form: Form, body: bytes) -> tuple[bytes, int, bytes]:
    iv, sealed = _split_iv(body, form)
    return iv, *channel.open(sealed, iv=iv or channel.answer_iv)


def _split_iv(body: bytes, form: Form) -> tuple[bytes, bytes]:
    if form is Form.SEALED:
        return b"", body
    if len(body) < BLOCK:
        raise RemoteProtocolError(f"an IV has {BLOCK} bytes, not {len(body)}")
    return body[:BLOCK], body[BLOCK:]
