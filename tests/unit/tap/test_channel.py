"""The encrypted channel beside plain AES-CBC, one fresh context for each frame."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from services.clients.tap.channel import BLOCK, KEY_SIZE, Channel, pack_inner

BLOCKS = st.binary(min_size=BLOCK, max_size=BLOCK)
FRAMES = st.lists(st.tuples(st.booleans(), BLOCKS, st.binary(max_size=70)), max_size=8)


@given(st.lists(st.tuples(st.binary(min_size=KEY_SIZE, max_size=KEY_SIZE), FRAMES), max_size=3))
def test_frames_in_any_order_are_those_of_plain_cbc(
    sessions: list[tuple[bytes, list[tuple[bool, bytes, bytes]]]],
) -> None:
    """Each frame stands by itself, though one cipher context serves a whole session."""
    channel = Channel()
    for key, frames in sessions:
        channel.take_key(key)
        for number, (ours, iv, payload) in enumerate(frames):
            encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
            sealed = encryptor.update(pack_inner(number, payload)) + encryptor.finalize()
            if ours:
                assert channel.seal(payload, frame_id=number, iv=iv) == sealed
            else:
                assert channel.open(sealed, iv=iv) == (number, payload)
