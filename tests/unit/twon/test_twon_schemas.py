"""What a 2N device tells, read leniently, and what its codes mean."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError, UpstreamError
from schemas.secret import Secret
from schemas.twon import (
    ERROR_CODES,
    Generation,
    KeyType,
    LogEvent,
    MobileKey,
    MobileKeyConfig,
    MobKeyEntered,
    SystemInfo,
    SystemStatus,
)

SAMPLE = Path(__file__).resolve().parents[2] / "fixtures" / "twon-mobilekey-config.json"
SHOWN = {"type": "rsa", "key": "cHJpdmF0ZQ==", "ctime": 1_600_000_000}
HIDDEN = {"type": "ecc", "publicKey": "cHVibGlj", "ctime": 1_600_000_000}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=10,
)


def config(*slots: Any, **more: Any) -> MobileKeyConfig:
    return MobileKeyConfig.read({"location": "house", "keys": [*slots, *[{}] * (4 - len(slots))], **more})


def test_the_manuals_sample_is_read_without_its_empty_slot() -> None:
    read = MobileKeyConfig.read(json.loads(SAMPLE.read_text())["result"])
    assert read.location == "54-1046-0745"
    assert [key.ctime for key in read.keys] == [1608047754, 1608046389, None]
    assert [key.type for key in read.keys] == [KeyType.RSA] * 3
    assert read.slots[3] is None
    assert read.generation() is Generation.SHOWN


def test_no_private_key_shows_itself() -> None:
    read = config(SHOWN, pairingKey={"key": "c2VjcmV0"})
    for text in (repr(read), str(read), repr(read.keys[0]), str(read.model_dump())):
        assert "cHJpdmF0ZQ" not in text
        assert "c2VjcmV0" not in text
    with pytest.raises(Exception, match="not written as JSON"):
        read.model_dump_json()


@pytest.mark.parametrize(
    ("slots", "version", "expected"),
    [
        ([SHOWN], (), Generation.SHOWN),
        ([SHOWN], (2, 49, 3), Generation.SHOWN),
        ([SHOWN], (2, 50), Generation.AMBIGUOUS),
        ([HIDDEN], (), Generation.HIDDEN),
        ([HIDDEN], (2, 50, 0, 76, 2), Generation.HIDDEN),
        ([HIDDEN], (2, 49), Generation.AMBIGUOUS),
        ([HIDDEN, SHOWN], (2, 50), Generation.AMBIGUOUS),
        ([{**HIDDEN, **SHOWN}], (), Generation.AMBIGUOUS),
        ([{"type": "rsa"}], (2, 50), Generation.AMBIGUOUS),
        ([], (), Generation.AMBIGUOUS),
        ([], (2, 39), Generation.SHOWN),
        ([], (3, 0), Generation.HIDDEN),
    ],
)
def test_whether_private_keys_can_be_read_back_is_told_by_the_keys_and_the_firmware(
    slots: list[Any], version: tuple[int, ...], expected: Generation
) -> None:
    assert config(*slots).generation(version) is expected


def test_a_pairing_key_is_of_the_generation_that_hides_private_keys() -> None:
    assert config(pairingKey={"publicKey": "x"}).generation() is Generation.HIDDEN
    assert config(SHOWN, pairingKey={}).generation() is Generation.AMBIGUOUS


def test_a_key_of_a_kind_that_we_do_not_know_is_unknown_and_one_without_a_kind_is_rsa() -> None:
    read = config({"type": "pq", "publicKey": "x"}, {"key": "x", "ctime": 2**32}, {"type": ["rsa"], "key": 7})
    assert [key.type for key in read.keys] == [KeyType.UNKNOWN, KeyType.RSA, KeyType.UNKNOWN]
    assert [key.ctime for key in read.keys] == [None, None, None]
    assert read.keys[1].key == Secret("x")
    assert read.keys[2].key is None


def test_an_empty_first_slot_is_kept_so_that_no_other_key_passes_for_the_primary() -> None:
    read = config({}, SHOWN)
    assert read.slots[0] is None
    assert len(read.keys) == 1


@pytest.mark.parametrize("result", [None, [], {"keys": []}, {"location": "x"}, {"location": 1, "keys": []}, "x"])
def test_a_configuration_without_its_parts_is_named(result: object) -> None:
    with pytest.raises(InputError):
        MobileKeyConfig.read(result)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("2.50.0.76.2", (2, 50, 0, 76, 2)),
        ("2.9", (2, 9)),
        ("3.1.0-beta4", (3, 1, 0)),
        ("", ()),
        ("beta", ()),
        ("\u0661.\u0662", ()),
        (250, ()),
    ],
)
def test_a_firmware_version_can_be_compared(said: object, version: tuple[int, ...]) -> None:
    assert SystemInfo.read({"swVersion": said}).version == version


def test_what_a_device_tells_beyond_the_known_is_kept() -> None:
    info = SystemInfo.read({"serialNumber": "54-1046-0745", "swVersion": "2.40.1", "bootUuid": "b", "variant": None})
    assert (info.serial_number, info.variant) == ("54-1046-0745", "")
    assert info.model_extra == {"bootUuid": "b"}
    assert SystemStatus.read({"systemTime": 1608047754, "upTime": "long"}).up_time is None


def test_a_phone_that_was_let_in_is_read_from_the_log() -> None:
    params = {"ap": 0, "session": 7, "direction": "in", "authid": "a1", "uuid": "u", "valid": True, "new": [1]}
    event = LogEvent.read({"id": 3, "utcTime": 1608047754, "event": "MobKeyEntered", "params": params})
    entered = MobKeyEntered.read(event.params)
    assert (event.event, entered.ap, entered.authid, entered.valid) == ("MobKeyEntered", 0, "a1", True)


def test_every_listed_code_says_what_to_do() -> None:
    assert set(ERROR_CODES) == {*range(1, 5), *range(7, 16), 17, 18, 19}
    assert all(code.meaning and issubclass(code.kind, UpstreamError) for code in ERROR_CODES.values())
    assert "licence" in ERROR_CODES[1].advice


@given(anything)
def test_whatever_a_device_says_is_read_or_refused_in_our_words(said: Any) -> None:
    for model in (SystemInfo, SystemStatus, LogEvent, MobKeyEntered, MobileKey, MobileKeyConfig):
        for result in (said, {"keys": said, "location": said, "params": said, "type": said, "id": said}):
            with contextlib.suppress(InputError):
                assert isinstance(model.read(result), model)
