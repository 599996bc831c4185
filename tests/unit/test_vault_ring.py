"""The key ring as the settings hold it."""

import pickle
import string
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.vault import KeyRing
from infra.vault.ring import RingKey
from schemas.errors import ConfigurationError
from schemas.key_ring import KEY_SIZE, ring_keys, ring_line
from tests.support.vault import ring, ring_text, told

KEY = b64encode(bytes(range(KEY_SIZE))).decode()
IDS = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)
KEYS = st.binary(min_size=KEY_SIZE, max_size=KEY_SIZE).filter(lambda key: len(set(key)) > 8)


@given(
    keys=st.dictionaries(IDS, KEYS, min_size=1, max_size=5).filter(lambda keys: len(set(keys.values())) == len(keys))
)
def test_a_ring_that_is_written_is_read_in_its_order(keys: dict[str, bytes]) -> None:
    text = "\r\n\n".join(f" {ring_line(key_id, key)} " for key_id, key in keys.items())
    assert list(ring_keys(text).items()) == list(keys.items())
    assert KeyRing.parse(text).ids == tuple(keys)


@given(st.text())
def test_any_text_is_a_ring_or_a_list_of_faults(text: str) -> None:
    try:
        ring_keys(text)
    except ValueError as error:
        assert str(error).startswith("must hold one ring key per line")  # noqa: PT017 - most texts raise, not all


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "there is none"),
        (" \n\t\n", "there is none"),
        (KEY, "line 1 does not begin with an id"),
        (f":{KEY}", "line 1 does not begin with an id"),
        (f"two words:{KEY}", "line 1 does not begin with an id"),
        (f"{'x' * 65}:{KEY}", "line 1 does not begin with an id"),
        (f"a:{KEY}\n\nb:{KEY[:-4]}", "line 3 has not the base64 of 32 bytes"),
        (f"a:{KEY.rstrip('=')}", "line 1 has not the base64"),
        (f"a:{KEY[:-2]}9=", "line 1 has not the base64"),  # the same bytes in another spelling
        (f"a:{KEY[:20]} {KEY[20:]}", "line 1 has not the base64"),
        (f"a:{KEY}é", "line 1 has not the base64"),
        (f"a:{b64encode(bytes(32)).decode()}", "line 1 has a key that is not random"),
        (f"a:{b64encode(b'changeme' * 4).decode()}", "line 1 has a key that is not random"),
        (f"{ring_text('b')}\na:{KEY}\nb:{KEY}", "line 3 repeats an id"),
        (f"a:{KEY}\nb:{KEY}", "line 2 repeats a key under another id"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_not_repeated(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        KeyRing.parse(text)
    assert str(caught.value).startswith("KEYTURN_VAULT_KEYS must hold one ring key per line")
    assert fault in str(caught.value)
    assert KEY[:12] not in told(caught.value)


def test_every_bad_line_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"line 1 .*, line 3 "):
        KeyRing.parse(f"x\na:{KEY}\nb:short")


def test_a_missing_key_is_named_with_what_needs_it() -> None:
    with pytest.raises(
        ConfigurationError, match="'token/alice/sms' is sealed by the ring key 'old', which KEYTURN_VAU"
    ):
        ring("new").key("old", of="token/alice/sms")


def test_neither_a_ring_nor_its_keys_show_or_travel() -> None:
    whole = ring("new", "old")
    assert repr(whole) == "KeyRing(new, old)"
    assert repr(whole.newest) == "RingKey('new')"
    for kept in (whole, whole.newest, RingKey("x", bytes(range(32)))):
        with pytest.raises(TypeError, match="is not pickled"):
            pickle.dumps(kept)
