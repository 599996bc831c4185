"""Request and response frames, and the APDU envelope around them, as pure functions (Tap protocol notes §3).

request   ``A2 | CA or DA | 00 00 | Lc | method | path (6) | body``      one envelope on every transport, not only NFC
response  ``status | body | 90 00``                                     no length: a response arrives as one unit
"""

from typing import Final

from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.events import Method, Request, Response
from services.clients.tap.paths import PATH_SIZE, Path
from services.clients.tap.status import describe

CLA: Final = 0xA2
"""The class byte of every request (§3.2)."""

INS: Final = {Method.GET: 0xCA, Method.POST: 0xDA, Method.PUT: 0xDA}
"""The instruction byte says again what the method byte says (§3.2)."""

METHODS: Final = {int(method): method for method in Method}
"""Methods by their byte (§3.1)."""

HEADER_SIZE: Final = 5
"""CLA, INS, P1, P2 and Lc (§3.2)."""

MAX_LC: Final = 255
"""Lc is one byte and there is no extended form; the vendor's client wraps it modulo 256 (§3.2)."""

FRAME_HEAD: Final = 1 + PATH_SIZE
"""Method and path, before the body (§3.1)."""

MAX_BODY: Final = MAX_LC - FRAME_HEAD
"""A body in clear has at most 248 bytes (§3.5)."""

STATUS_WORD: Final = b"\x90\x00"
"""Ends every good response (§3.3)."""

MIN_RESPONSE: Final = 1 + len(STATUS_WORD)
"""A result code and the status word."""

MAX_RESPONSE: Final = 0xFFFF
"""The largest response that ``/1024//88`` can announce, its field being unsigned 16 bits (§3.5)."""

PAIRING: Final = bytes.fromhex("00A4040007F0024C774D324D9000")
"""The NFC pairing command: the one frame with two bytes after its data (§5.6)."""

PAIRED: Final = STATUS_WORD
"""The only good answer to the pairing command (§5.6)."""


def encode_request_frame(request: Request) -> bytes:
    """Give method, path and body: what the encrypted channel and multi requests carry (§3.1)."""
    return bytes([request.method]) + request.path.encode() + request.body


def decode_request_frame(frame: bytes) -> Request:
    """Read method, path and body.

    Raises:
        RemoteProtocolError: the frame is shorter than 7 bytes or names no method.
    """
    if len(frame) < FRAME_HEAD:
        raise RemoteProtocolError(f"a request frame has at least {FRAME_HEAD} bytes, not {len(frame)}")
    method = METHODS.get(frame[0])
    if method is None:
        raise RemoteProtocolError(f"{frame[0]:02X} is no method")
    return Request(method, Path.decode(frame[1:FRAME_HEAD]), frame[FRAME_HEAD:])


def encode_request(request: Request) -> bytes:
    """Wrap a request into its APDU (§3.2).

    Raises:
        LocalProtocolError: the body has over 248 bytes, which Lc cannot count.
    """
    if len(request.body) > MAX_BODY:
        raise LocalProtocolError(f"{request}: a body in clear has at most {MAX_BODY} bytes, not {len(request.body)}")
    frame = encode_request_frame(request)
    return bytes([CLA, INS[request.method], 0, 0, len(frame)]) + frame


def decode_request(apdu: bytes) -> Request:
    """Unwrap one whole APDU (§3.2).

    Raises:
        RemoteProtocolError: class, instruction, parameters or length are wrong, or the frame within is.
    """
    if len(apdu) < HEADER_SIZE or len(apdu) != HEADER_SIZE + apdu[4]:
        raise RemoteProtocolError("the length of an APDU and its Lc differ")
    if apdu[0] != CLA or apdu[2:4] != b"\x00\x00":
        raise RemoteProtocolError(f"{apdu[:4].hex()} does not open a request")
    request = decode_request_frame(apdu[HEADER_SIZE:])
    if apdu[1] != INS[request.method]:
        raise RemoteProtocolError(f"instruction {apdu[1]:02X} contradicts method {request.method.name}")
    return request


def request_length(data: bytes | bytearray) -> int | None:
    """Say how long the request is that opens a stream, or None while that cannot be known (§5.1).

    Raises:
        RemoteProtocolError: neither a request nor the pairing command begins like this.
    """
    if not data:
        return None
    if data[0] == CLA:
        return HEADER_SIZE + data[HEADER_SIZE - 1] if len(data) >= HEADER_SIZE else None
    if PAIRING.startswith(bytes(data[: len(PAIRING)])):
        return len(PAIRING)
    raise RemoteProtocolError(f"{bytes(data[:4]).hex()} does not open a request")


def encode_response(response: Response) -> bytes:
    """Give status, body and status word (§3.3).

    Raises:
        LocalProtocolError: the status is not one byte, or the response is larger than any Tap can announce.
    """
    if not 0 <= response.status <= MAX_LC:
        raise LocalProtocolError(f"a result code is one byte, not {response.status}")
    if len(response.body) > MAX_RESPONSE - MIN_RESPONSE:
        raise LocalProtocolError(f"a response has at most {MAX_RESPONSE} bytes")
    return bytes([response.status]) + response.body + STATUS_WORD


def split_response(data: bytes) -> tuple[int, bytes]:
    """Give the result code and the body of one whole response (§3.3).

    Raises:
        RemoteProtocolError: it does not end in ``90 00``, or there is no status before it.
    """
    if not data.endswith(STATUS_WORD):
        raise RemoteProtocolError(f"a response ends in 9000, not {data[-2:].hex() or 'nothing'}")
    if len(data) < MIN_RESPONSE:
        raise RemoteProtocolError("a response has a result code before its status word")
    return data[0], data[1 : -len(STATUS_WORD)]


def decode_response(data: bytes) -> Response:
    """Read one whole response; raises like ``split_response``."""
    return Response(*split_response(data))


def refusal(status: int) -> bytes:
    """Give the frame that says no and nothing else.

    Raises:
        LocalProtocolError: the code is a success.
    """
    response = Response(status)
    if response.ok:
        raise LocalProtocolError(f"{describe(status)} refuses nothing")
    return encode_response(response)
