"""The sealed form of a secret: it opens with its key in its row, and in no other way."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.vault.ring import RingKey
from infra.vault.sealing import Envelope, Place, rewrap, seal, unseal
from schemas.errors import ConfigurationError, InputError
from tests.support.vault import ring, told

HERE = Place("0123456789abcdef", "tap/IOTZ00000000000042/password")
OLD, NEW = (ring(key_id).newest for key_id in ("old", "new"))
IMPOSTOR = RingKey("old", bytes(range(32)))
VALUE = b"correct-horse-battery"

VALUES = st.binary(min_size=1, max_size=200)
PLACES = st.builds(Place, st.text("0123456789abcdef", min_size=1, max_size=32), st.text("ab/ü", min_size=1, max_size=9))


def refused(sealed: bytes, key: RingKey = OLD, place: Place = HERE) -> str:
    """What is told where a secret must not open."""
    with pytest.raises((InputError, ConfigurationError)) as caught:
        unseal(sealed, key, place)
    assert VALUE.decode() not in told(caught.value)
    return f"{type(caught.value).__name__}: {caught.value}"


@given(VALUES, PLACES)
def test_what_is_sealed_opens_in_its_place_and_nothing_of_it_shows(value: bytes, place: Place) -> None:
    sealed = seal(value, OLD, place)
    assert unseal(sealed, OLD, place) == value
    assert len(value) < 4 or value not in sealed


@given(VALUES, PLACES, PLACES)
def test_what_is_moved_to_another_row_does_not_open(value: bytes, place: Place, other: Place) -> None:
    sealed = seal(value, OLD, place)
    for moved in {other, Place(place.id, other.name), Place(other.id, place.name)} - {place}:
        assert "it was changed or moved" in refused(sealed, place=moved)


@given(VALUES, st.data())
def test_a_changed_byte_does_not_open_wherever_it_stands(value: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(value, OLD, HERE))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    assert refused(bytes(sealed)).startswith(f"InputError: the secret '{HERE.name}' does not open")


@given(VALUES, st.data())
def test_what_is_cut_or_lengthened_does_not_open(value: bytes, data: st.DataObject) -> None:
    sealed = seal(value, OLD, HERE)
    refused(sealed[: data.draw(st.integers(0, len(sealed) - 1))])
    refused(sealed + data.draw(st.binary(min_size=1, max_size=40)))


PARTS = [field.name for field in fields(Envelope) if field.name != "check"]


@given(st.sets(st.sampled_from(PARTS), min_size=1, max_size=len(PARTS) - 1))
def test_parts_of_two_seals_of_one_row_do_not_mix(taken: set[str]) -> None:
    one, other = (Envelope.decode(seal(VALUE, OLD, HERE), HERE) for _ in range(2))
    mixed = replace(one, **{name: getattr(other, name) for name in taken})
    assert "it was changed or moved" in refused(mixed.encode())


def test_the_same_value_is_never_sealed_alike() -> None:
    assert len({seal(VALUE, OLD, HERE) for _ in range(50)}) == 50


def test_another_key_under_the_same_id_is_told_as_such() -> None:
    sealed = seal(VALUE, OLD, HERE)
    assert "KEYTURN_VAULT_KEYS holds another key under the id 'old' than the one that sealed it" in refused(
        sealed, IMPOSTOR
    )
    with pytest.raises(ConfigurationError, match="another key under the id 'old'"):
        rewrap(sealed, IMPOSTOR, HERE, to=NEW)


def test_a_key_under_another_id_does_not_open_what_it_has_not_sealed_under_that_id() -> None:
    renamed = RingKey("renamed", bytes(range(32)))
    assert "InputError" in refused(seal(VALUE, IMPOSTOR, HERE), renamed)


@given(VALUES, PLACES)
def test_sealing_again_moves_a_value_to_the_new_key_and_does_not_touch_it(value: bytes, place: Place) -> None:
    before = seal(value, OLD, place)
    after = rewrap(before, OLD, place, to=NEW)
    assert unseal(after, NEW, place) == value
    refused(after, OLD, place)
    was, now = Envelope.decode(before, place), Envelope.decode(after, place)
    assert (was.value_nonce, was.value) == (now.value_nonce, now.value)
    assert was.wrapped != now.wrapped


def test_another_format_is_told() -> None:
    assert "is not sealed in format 1" in refused(b"\x02" + seal(VALUE, OLD, HERE)[1:])
    assert "is not sealed in format 1" in refused(b"")
