"""What a device takes for a key, and what a write makes of its four places."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from services.sandbox.twon.device import NEW_FIRMWARE, OLD_FIRMWARE, Device, Model
from services.sandbox.twon.dials import Dials
from services.sandbox.twon.envelope import ApiError
from services.sandbox.twon.factory import first_keys
from services.sandbox.twon.keys import AccessKey, read_key
from services.sandbox.twon.open_points import FifthKey, InvalidKey, PublicEncoding, SingleKey

SERIAL = "54-1046-0745"
KEYS = [first_keys(place, 1)[0] for place in range(4)] + [first_keys(9, 4)[3], first_keys(11, 3)[2]]
JUNK: list[Any] = [
    {},
    {"key": ""},
    {"key": "not Base64!"},
    {"key": KEYS[0].private[:-8]},
    {"key": KEYS[0].public},
    {"type": "dsa", "key": KEYS[0].private},
    {"key": 7},
    {"type": [], "key": KEYS[0].private},
    {"type": None, "key": KEYS[0].private},
    {"key": "é"},
]


def make_device(firmware: str = NEW_FIRMWARE, *, keys: tuple[AccessKey, ...] = (), **dials: Any) -> Device:
    return Device(Model(serial=SERIAL, firmware=firmware, keys=keys), dials=Dials(**dials))


def sent(key: AccessKey, **more: object) -> dict[str, object]:
    return {"type": "rsa", "key": key.private, **more}


def publics(keys: list[AccessKey]) -> tuple[str, ...]:
    return tuple(key.public for key in keys)


def der(private: Any, form: PrivateFormat = PrivateFormat.TraditionalOpenSSL) -> str:
    return base64.b64encode(private.private_bytes(Encoding.DER, form, NoEncryption())).decode()


@pytest.mark.parametrize("junk", JUNK)
def test_an_invalid_key_is_dropped_in_silence(junk: dict[str, object]) -> None:
    device = make_device()
    device.configure({"keys": [sent(KEYS[0]), junk, sent(KEYS[1])]})
    assert device.keys == publics([KEYS[0], KEYS[1]])


def test_keys_of_another_size_or_form_are_invalid() -> None:
    small, large = (rsa.generate_private_key(65537, bits) for bits in (1024, 2048))
    assert read_key({"key": der(small)}, ecc=True) is not None
    assert read_key({"key": der(small, PrivateFormat.PKCS8)}, ecc=True) is None
    assert read_key({"key": der(large)}, ecc=True) is None
    assert read_key({"key": der(small) + "\n"}, ecc=True) is None


def test_ecc_keys_exist_from_the_new_firmware_on() -> None:
    element = {"type": "ecc", "key": der(ec.generate_private_key(ec.SECP256R1()))}
    key = read_key(element, ecc=True)
    assert key is not None
    assert key.shown(Dials(), publicly=True) == {"type": "ecc", "publicKey": key.public}
    assert read_key(element, ecc=False) is None
    assert read_key({"type": "ecc", "key": der(ec.generate_private_key(ec.SECP384R1()))}, ecc=True) is None
    assert read_key({**element, "type": "rsa"}, ecc=True) is None


def test_type_and_creation_time_may_be_missing() -> None:
    device = make_device(OLD_FIRMWARE)
    device.configure({"keys": [{"key": KEYS[0].private}, sent(KEYS[1], ctime=1_608_047_606)]})
    first, second, *empty = device.config()["keys"]
    assert first == {"type": "rsa", "key": KEYS[0].private}
    assert second == {"type": "rsa", "key": KEYS[1].private, "ctime": 1_608_047_606}
    assert empty == [{}, {}]


@pytest.mark.parametrize("ctime", [0, -1, 2**32, "1608047606", 1.5, True, None])
def test_an_invalid_creation_time_is_not_returned(ctime: object) -> None:
    device = make_device()
    device.configure({"keys": [sent(KEYS[0], ctime=ctime)]})
    assert device.config()["keys"][0] == {"type": "rsa", "publicKey": KEYS[0].public}


def test_the_new_firmware_shows_public_halves_only_in_either_encoding() -> None:
    device = make_device(keys=(KEYS[0],))
    assert "key" not in device.config()["keys"][0]
    assert device.config()["keys"][0]["publicKey"].startswith("MIGfMA0G")
    device.turn({"public_encoding": PublicEncoding.PKCS1})
    assert device.config()["keys"][0]["publicKey"].startswith("MIGJAo")


def test_a_returned_creation_time_may_differ() -> None:
    device = make_device(ctime_shift=148)
    device.configure({"keys": [sent(KEYS[0], ctime=1000)]})
    assert device.config()["keys"][0]["ctime"] == 1148


def test_the_natural_rotation_keeps_old_keys_below_2_50_and_deletes_them_from_there_on() -> None:
    for firmware, kept in ((OLD_FIRMWARE, 2), (NEW_FIRMWARE, 1)):
        device = make_device(firmware, keys=(KEYS[0],))
        read_back = [key for key in device.config()["keys"] if key]
        device.configure({"keys": [sent(KEYS[1]), *read_back]})
        assert len(device.keys) == kept
        assert device.primary == KEYS[1].public


@pytest.mark.parametrize(
    ("decision", "left"),
    [
        (InvalidKey.CLOSED_UP, [KEYS[3]]),
        (InvalidKey.HOLE, [None, KEYS[3]]),
        (InvalidKey.FORMER, [KEYS[0], KEYS[3]]),
    ],
)
def test_the_place_of_an_invalid_key_is_an_open_point(decision: InvalidKey, left: list[AccessKey | None]) -> None:
    device = make_device(keys=(KEYS[0], KEYS[1]), invalid_key=decision)
    device.configure({"keys": [{"key": "junk"}, sent(KEYS[3])]})
    names = [key and key.public for key in device.slots]
    assert names == [key and key.public for key in [*left, None, None, None][:4]]


@pytest.mark.parametrize(
    ("decision", "left"),
    [
        (SingleKey.SHIFTED, [KEYS[4], KEYS[0], KEYS[1], KEYS[2]]),
        (SingleKey.OVERWRITTEN, [KEYS[4], KEYS[1], KEYS[2], KEYS[3]]),
        (SingleKey.UNKNOWN, KEYS[:4]),
    ],
)
def test_a_primary_key_alone_is_an_open_point(decision: SingleKey, left: list[AccessKey]) -> None:
    device = make_device(keys=tuple(KEYS[:4]), single_key=decision)
    device.configure({"key": {"key": "junk"}})
    assert device.keys == publics(KEYS[:4])
    device.configure({"key": sent(KEYS[4])})
    assert device.keys == publics(left)


def test_a_fifth_key_is_refused_or_cut_off() -> None:
    device = make_device()
    five = {"keys": [sent(key) for key in KEYS[:5]]}
    with pytest.raises(ApiError, match=r"12 .* keys"):
        device.configure(five)
    assert device.keys == ()
    device.turn({"fifth_key": FifthKey.CUT_OFF})
    device.configure(five)
    assert device.keys == publics(KEYS[:4])


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"location": "x" * 128}, "location"),
        ({"location": ""}, "location"),
        ({"location": 7}, "location"),
        ({"keys": {}}, "keys"),
        ({"keys": ["text"]}, "keys"),
        ({"key": "text"}, "key"),
        ({"location": "new", "keys": 1}, "keys"),
        ({"key": {}, "keys": []}, "key"),
    ],
)
def test_a_write_of_the_wrong_shape_changes_nothing(document: dict[str, object], param: str) -> None:
    device = make_device(keys=(KEYS[0],))
    with pytest.raises(ApiError) as refusal:
        device.configure(document)
    assert refusal.value.param == param
    assert (device.location, device.keys) == (SERIAL, publics([KEYS[0]]))


def test_location_and_keys_are_written_apart() -> None:
    device = make_device(keys=(KEYS[0],))
    device.configure({"location": "l" * 127})
    assert (device.location, device.keys) == ("l" * 127, publics([KEYS[0]]))
    device.configure({"keys": []})
    assert (device.location, device.keys) == ("l" * 127, ())


@given(st.lists(st.sampled_from([*(sent(key) for key in KEYS), *JUNK]), max_size=4))
@settings(deadline=None)
def test_four_places_hold_the_valid_keys_in_order(elements: list[dict[str, object]]) -> None:
    device = make_device(keys=(KEYS[5],))
    device.configure({"keys": elements})
    valid = [key.public for element in elements for key in KEYS if element == sent(key)]
    assert device.keys == tuple(valid)
    assert len(device.slots) == 4
    assert device.primary == (valid[0] if valid else None)


class KeyLists(RuleBasedStateMachine):
    """Writes of any kind against a plain list of what should stand in a device."""

    elements = Bundle("elements")

    @initialize(target=elements)
    def begin(self) -> Any:
        """Begin with one key."""
        self.device, self.model = make_device(keys=(KEYS[0],)), [KEYS[0].public]
        self.location = SERIAL
        return (sent(KEYS[0]), KEYS[0].public)

    @rule(target=elements, key=st.sampled_from(KEYS))
    def a_valid_key(self, key: AccessKey) -> Any:
        """Have a key."""
        return (sent(key), key.public)

    @rule(target=elements, junk=st.sampled_from(JUNK))
    def an_invalid_key(self, junk: Any) -> Any:
        """Have something else."""
        return (junk, None)

    @rule(chosen=st.lists(elements, max_size=6))
    def write_the_list(self, chosen: list[Any]) -> None:
        """Write some of both; more than four are refused."""
        wish = {"keys": [element for element, _ in chosen]}
        if len(chosen) > 4:
            with pytest.raises(ApiError, match="12"):
                self.device.configure(wish)
            return
        self.device.configure(wish)
        self.model = [public for _, public in chosen if public]

    @rule(chosen=elements)
    def write_the_primary(self, chosen: Any) -> None:
        """Write one alone."""
        element, public = chosen
        self.device.configure({"key": element})
        if public:
            self.model = [public, *self.model][:4]

    @rule(location=st.text(max_size=130))
    def write_the_location(self, location: str) -> None:
        """Write where it is; no text and one that is too long are refused."""
        if not 0 < len(location) <= 127:
            with pytest.raises(ApiError, match="location"):
                self.device.configure({"location": location})
            return
        self.device.configure({"location": location})
        self.location = location

    @rule()
    def restart(self) -> None:
        """Change nothing."""
        self.device.restart()

    @invariant()
    def the_device_holds_what_was_written(self) -> None:
        """Compare."""
        shown = self.device.config()
        assert [key["publicKey"] for key in shown["keys"] if key] == self.model
        assert (len(shown["keys"]), shown["location"]) == (4, self.location)


TestKeyLists = KeyLists.TestCase
