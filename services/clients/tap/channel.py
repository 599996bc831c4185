"""The encrypted channel: inner frames, AES-128-CBC, and what one end remembers of a session (Tap protocol notes §9).

The channel wraps a whole request into the body of ``GET /1024//48`` (or ``//44``, with fresh IVs) and its whole answer
into the body of that response. Both ends hold the same four things, so one class serves both: the session key, the IV
of requests, the IV of answers, and the number of the next frame. What surprises:

- The inner request has no APDU envelope, the inner answer ends with its status word (§9.1).
- IVs do not chain: every frame under an IV starts from the same 16 bytes until an exchange replaces it (§9.2).
- A new key sets the frame number to 0; a login keeps the IVs, everything else that ends a session zeroes them (§8.3).
- CRC under CBC is no authentication (§9.7): transport security stays necessary.
"""

import struct
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from services.clients.tap.crc import CRC_SIZE, crc_fits, with_crc
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError

KEY_SIZE: Final = 16
"""A session key has 16 bytes (§7.4, §8.2)."""

BLOCK: Final = 16
"""AES works on blocks of 16 bytes; an IV is one block (§9.2)."""

ZERO_IV: Final = bytes(BLOCK)
"""Both IVs at the start of a session (§9.2)."""

ID_SPAN: Final = 1 << 16
"""Frame numbers count 0 … 65535 and start again (§9.1)."""

MAX_LEAP: Final = ID_SPAN // 2
"""How far ahead a frame number may run, for frames that were lost; anything further is behind, so a repeat."""

_INNER_HEAD: Final = struct.Struct(">HH")
INNER_OVERHEAD: Final = _INNER_HEAD.size + CRC_SIZE
"""Number, length and checksum of an inner frame (§9.1)."""


def sealed_size(payload: int) -> int:
    """Give the bytes of the ciphertext of a payload of so many bytes: the next multiple of 16 (§9.1)."""
    return -(-(payload + INNER_OVERHEAD) // BLOCK) * BLOCK


def pack_inner(frame_id: int, payload: bytes) -> bytes:
    """Lay out an inner frame: number, length, payload, zeros up to a multiple of 16, checksum (§9.1).

    Raises:
        LocalProtocolError: the payload does not fit its 16-bit length.
    """
    if len(payload) >= ID_SPAN:
        raise LocalProtocolError(f"an inner frame carries at most {ID_SPAN - 1} bytes, not {len(payload)}")
    head = _INNER_HEAD.pack(frame_id, len(payload))
    return with_crc((head + payload).ljust(sealed_size(len(payload)) - CRC_SIZE, b"\x00"))


def unpack_inner(frame: bytes) -> tuple[int, bytes]:
    """Read an inner frame: its number and its payload.

    Raises:
        RemoteProtocolError: length, padding or checksum are wrong: damaged, or sealed with another key or IV.
    """
    if len(frame) < BLOCK or len(frame) % BLOCK:
        raise RemoteProtocolError(f"an inner frame is a multiple of {BLOCK} bytes, not {len(frame)}")
    if not crc_fits(frame):
        raise RemoteProtocolError("the checksum of a sealed frame is wrong: damaged, or another key or IV")
    frame_id, length = _INNER_HEAD.unpack_from(frame)
    if sealed_size(length) != len(frame):
        raise RemoteProtocolError(f"an inner frame of {len(frame)} bytes cannot have a payload of {length}")
    payload, padding = frame[4 : 4 + length], frame[4 + length : -CRC_SIZE]
    if any(padding):
        raise RemoteProtocolError("the padding of an inner frame is not zero")
    return frame_id, payload


class _Cbc:
    """AES-128-CBC under one key, any number of frames, each under an IV of its own.

    Making a cipher context costs several times what a frame costs, so one serves each direction for as long as the key
    does. A context goes on from the last block of ciphertext that went through it; the first block of a frame is XORed
    with that block, which takes it back, and with the frame's IV, which belongs there.
    """

    def __init__(self, key: bytes) -> None:
        cipher = Cipher(algorithms.AES(key), modes.CBC(ZERO_IV))
        self._encryptor, self._sealed = cipher.encryptor(), ZERO_IV
        self._decryptor, self._opened = cipher.decryptor(), ZERO_IV

    def encrypt(self, data: bytes, iv: bytes) -> bytes:
        """Encrypt whole blocks, at least one."""
        sealed = self._encryptor.update(_with_first_block(data, iv, self._sealed))
        self._sealed = sealed[-BLOCK:]
        return sealed

    def decrypt(self, data: bytes, iv: bytes) -> bytes:
        """Decrypt whole blocks, at least one."""
        opened = _with_first_block(self._decryptor.update(data), iv, self._opened)
        self._opened = data[-BLOCK:]
        return opened


def _with_first_block(data: bytes, iv: bytes, last: bytes) -> bytes:
    first = int.from_bytes(data[:BLOCK], "big") ^ int.from_bytes(iv, "big") ^ int.from_bytes(last, "big")
    return first.to_bytes(BLOCK, "big") + data[BLOCK:]


class Channel:
    """What one end remembers of a session. Both ends change it in step, whatever their role.

    Attributes:
        key: the session key, 16 bytes, or None where there is no session.
        request_iv: the IV of client to device, 16 bytes.
        answer_iv: the IV of device to client, 16 bytes.
        next_id: the number of the next frame.
    """

    def __init__(self) -> None:
        self.key: bytes | None = None
        self.request_iv = ZERO_IV
        self.answer_iv = ZERO_IV
        self.next_id = 0
        self._cbc: _Cbc | None = None
        self._just_opened: tuple[tuple[bytes, bytes], tuple[int, bytes]] | None = None

    def take_key(self, key: bytes) -> None:
        """Start a session under a new key; the IVs stay (§8.3).

        Raises:
            LocalProtocolError: the key has not 16 bytes.
        """
        if len(key) != KEY_SIZE:
            raise LocalProtocolError(f"a session key has {KEY_SIZE} bytes, not {len(key)}")
        self.key, self.next_id = key, 0
        self._cbc, self._just_opened = _Cbc(key), None

    def take_ivs(self, request_iv: bytes, answer_iv: bytes) -> None:
        """Replace both IVs (§9.4)."""
        self.request_iv, self.answer_iv = request_iv, answer_iv

    def clear(self) -> None:
        """Forget the key and zero both IVs (§8.3)."""
        self.key, self.next_id = None, 0
        self._cbc, self._just_opened = None, None
        self.take_ivs(ZERO_IV, ZERO_IV)

    def seal(self, payload: bytes, *, frame_id: int, iv: bytes) -> bytes:
        """Encrypt a payload under the session key.

        Raises:
            LocalProtocolError: there is no session, the IV has not 16 bytes, or the payload is too long.
        """
        return self._cipher(iv).encrypt(pack_inner(frame_id, payload), iv)

    def open(self, data: bytes, *, iv: bytes) -> tuple[int, bytes]:
        """Decrypt a frame under the session key: its number and its payload. The session is as before.

        A client opens an answer to see whether it is whole, and then to read it; the second time costs nothing.

        Raises:
            LocalProtocolError: there is no session.
            RemoteProtocolError: the frame cannot be read.
        """
        if not data or len(data) % BLOCK:
            raise RemoteProtocolError(f"a sealed frame is a multiple of {BLOCK} bytes, not {len(data)}")
        seen = iv, data
        just_opened, self._just_opened = self._just_opened, None
        if just_opened is not None and just_opened[0] == seen:
            return just_opened[1]
        opened = unpack_inner(self._cipher(iv).decrypt(data, iv))
        self._just_opened = seen, opened
        return opened

    def is_repeat(self, frame_id: int) -> bool:
        """Say whether a number lies behind the next one, counting round the end (§9.2)."""
        return (frame_id - self.next_id) % ID_SPAN >= MAX_LEAP

    def count(self, frame_id: int) -> None:
        """Remember that this number has been used."""
        self.next_id = (frame_id + 1) % ID_SPAN

    def _cipher(self, iv: bytes) -> _Cbc:
        if self._cbc is None:
            raise LocalProtocolError("there is no session key")
        if len(iv) != BLOCK:
            raise LocalProtocolError(f"an IV has {BLOCK} bytes, not {len(iv)}")
        return self._cbc
