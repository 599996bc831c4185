"""The table of calls, and the calls made from it."""

from collections import Counter

import pytest

from services.clients.tap import (
    DeviceRefusal,
    LocalProtocolError,
    Method,
    Path,
    RemoteProtocolError,
    Status,
    Tap,
    calls,
    calls_at,
    find,
    resolve,
)
from services.clients.tap.body_types import BODY_TYPES
from services.clients.tap.enumerations import WifiMode
from services.clients.tap.flows import APPEND_CHUNK
from services.clients.tap.layouts import SecurityOptions
from services.clients.tap.registry import ALIASES, APPENDED, services
from tests.unit.tap.lines import Desk, Line, Numbered, scripted

SCRAM_SERVICE = {
    "getHashIteration": ("GET", "/1024//42", "/scram/hash-iteration"),
    "initialize": ("GET", "/1024//47", "/scram/initialize"),
    "login": ("GET", "/1024//40", "/scram/login"),
    "loginProof": ("GET", "/1024//41", "/scram/login-proof"),
    "putHashIteration": ("PUT", "/1024//42", "/scram/hash-iteration"),
    "send": ("GET", "/1024//48", "/scram/com-send-receive"),
    "sendWithIV": ("GET", "/1024//44", "/scram/send-with-iv"),
    "setInitializationVector": ("GET", "/1024//45", "/scram/initialization-vector"),
}


def tap() -> Tap:
    return Tap(Line(Desk(nonces=Numbered())))


def test_there_are_254_calls_each_with_its_own_name_and_a_summary() -> None:
    assert len(calls()) == 254
    assert len({str(call) for call in calls()}) == 254
    assert len({f"{call.service}.{call.python_name}" for call in calls()}) == 254
    assert all(call.summary and not call.summary.endswith(".") for call in calls())


def test_every_type_of_body_is_known() -> None:
    named = {name.removesuffix("?") for call in calls() for name in (call.request, call.reply) if name}
    assert named <= set(BODY_TYPES)


@pytest.mark.parametrize("name", SCRAM_SERVICE)
def test_the_eight_operations_of_the_scram_service_exist_by_name(name: str) -> None:
    method, path, alias = SCRAM_SERVICE[name]
    call = find(f"scram.{name}")
    assert (call.method.name, str(call.path())) == (method, path)
    assert resolve(alias) == resolve(path) == call.path()
    assert getattr(tap().scram, name).call is getattr(tap().scram, call.python_name).call is call


def test_the_scram_service_has_these_eight_and_no_more() -> None:
    assert {call.name for call in services()["scram"].values()} == set(SCRAM_SERVICE)
    assert len(ALIASES) == 7


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("wifi.putSSID", "put_ssid"),
        ("wifi.getSSIDVisibility", "get_ssid_visibility"),
        ("target.getS3PConfiguration", "get_s3p_configuration"),
        ("scram.sendWithIV", "send_with_iv"),
        ("interface.getUID", "get_uid"),
        ("singlePacket.writeAndExecuteBytes", "write_and_execute_bytes"),
    ],
)
def test_names_as_python_writes_them(name: str, python: str) -> None:
    assert find(name).python_name == python
    assert find(f"{name.split('.', maxsplit=1)[0]}.{python}") is find(name)


def test_paths_take_their_numbers() -> None:
    assert find("group.putName").path(65535) == Path.parse("/1025/65535/0")
    assert find("interface.getSpecialFeatureProfile").path(101) == Path.parse("/1024//101")
    for numbers in ((), (1, 2), (65536,)):
        with pytest.raises(LocalProtocolError):
            find("group.putName").path(*numbers)
    with pytest.raises(LocalProtocolError):
        find("interface.getSpecialFeatureProfile").path(40)


def test_a_request_is_looked_up_the_other_way_round() -> None:
    assert calls_at(Method.PUT, Path.parse("/1024//25")) == (find("wifi.putSSID"),)
    assert calls_at(Method.GET, Path.parse("/1029//4")) == (find("variable.readProfile"),)
    assert calls_at(Method.GET, Path.parse("/1029/4/4")) == (find("variable.getValue"), find("gpio.getGpioMode"))
    assert calls_at(Method.GET, Path.parse("/1025/65535/0")) == (find("group.getName"),)
    assert calls_at(Method.GET, Path.parse("/1024//9999")) == ()


def test_every_call_is_found_by_its_own_path() -> None:
    for call in calls():
        numbers = [101] * len(call.variables)
        assert call in calls_at(call.method, call.path(*numbers))


@pytest.mark.parametrize(
    ("call", "firmware", "there"),
    [
        ("scram.setInitializationVector", "1.84", False),
        ("scram.setInitializationVector", "1.85", True),
        ("scram.setInitializationVector", "1.113", True),
        ("scram.loginProof", "1.0", True),
        ("cloud.putMqttClientId", "1.103.0", True),
        ("cloud.putMqttClientId", "1.104", False),
        ("device.reboot", "0.1", True),
        ("time.getTimeZone", "1.113-rc1", True),
    ],
)
def test_firmware_gates(call: str, firmware: str, *, there: bool) -> None:
    assert find(call).is_in(firmware) is there


def test_what_is_no_firmware_version_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        find("time.getTimeZone").is_in("unknown")


def test_secrets_are_marked() -> None:
    secret = Counter(call.service for call in calls() if call.secret)
    assert secret == {"wifi": 2, "mqtt": 4, "interface": 1, "group": 2, "cloud": 2, "dataLog": 1}


def test_typed_calls_write_and_read() -> None:
    device = tap()
    assert device.wifi.put_ssid("plant-7") is None
    assert device.wifi.get_ssid() == device.wifi.getSSID() == "plant-7"
    device.wifi.put_mode(WifiMode.NETWORK)
    assert device.wifi.get_mode() is WifiMode.NETWORK
    device.group.put_session_lifetime(65535, 30)
    assert device.group.get_session_lifetime(65535) == 30
    device.variable.create(7)
    device.variable.create(7, 4)


@pytest.mark.parametrize("arguments", [(), ("a", "b"), (7,)])
def test_a_typed_call_takes_its_arguments_and_no_others(arguments: tuple[object, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        tap().wifi.put_ssid(*arguments)


def test_a_call_without_a_body_takes_no_value() -> None:
    with pytest.raises(LocalProtocolError):
        tap().wifi.get_ssid("x")
    with pytest.raises(LocalProtocolError):
        find("wifi.getSSID").encode("x")
    assert find("wifi.putSSID").decode(b"anything") is None


@pytest.mark.parametrize("status", [Status.BUSY, Status.UNAUTHORIZED])
def test_what_the_device_has_not_done_is_an_error(status: int) -> None:
    line = Line(scripted([f"{status:02x}9000"] * 3))
    with pytest.raises(DeviceRefusal) as put:
        Tap(line).wifi.put_ssid("x")
    with pytest.raises(DeviceRefusal) as read:
        Tap(line).read("/1024//9")
    with pytest.raises(DeviceRefusal) as appended:
        Tap(line).interface.put_certificate_public_key(b"PEM")
    assert {put.value.status, read.value.status, appended.value.status} == {status}


def test_any_path_can_be_read_and_written() -> None:
    device = tap()
    device.write("/1024//10", "2.3.4")
    assert device.read("/1024//10") == device.read(Path.parse("/1024//10")) == "2.3.4"
    device.write("/1024//9999", b"raw")
    assert device.read("/1024//9999") == b"raw"
    device.write("/1024//6", b"\x00\x10", as_type="bytes")
    assert device.read("/1024//6") == SecurityOptions(scram_activated=True)
    device.write("/1025/1/2", "secret", as_type="ascii", method=Method.POST)
    assert device.read("/1025/1/2") == b"secret"


def test_a_path_of_several_meanings_needs_the_type() -> None:
    with pytest.raises(LocalProtocolError, match="ascii, bytes"):
        tap().write("/1025/1/2", b"secret", method=Method.POST)
    with pytest.raises(LocalProtocolError, match="no type"):
        tap().read("/1024//9", as_type="novel")


def test_long_values_go_out_in_pieces() -> None:
    line = Line(scripted(["449000"] * 6))
    value = bytes(range(256)) * 2
    Tap(line).interface.put_certificate_public_key(value)
    Tap(line, append_chunk=400 // 2).write("/1024//38", value)
    bodies = [frame[12:] for frame in line.asked]
    assert [len(body) for body in bodies] == [APPEND_CHUNK, APPEND_CHUNK, 512 - 2 * APPEND_CHUNK, 200, 200, 112]
    assert b"".join(bodies) == value * 2


def test_an_empty_long_value_is_one_empty_write() -> None:
    line = Line(scripted(["449000"]))
    Tap(line).jvm.append_code(b"")
    assert [frame.hex() for frame in line.asked] == ["a2da000007030400ffff004a"]
    assert find("jvm.appendCode").request == APPENDED


def test_what_does_not_exist_is_no_attribute() -> None:
    with pytest.raises(AttributeError):
        _ = tap().kettle
    with pytest.raises(AttributeError):
        _ = tap().wifi.get_kettle
    with pytest.raises(LocalProtocolError):
        find("wifi.getKettle")


def test_services_and_calls_are_listed() -> None:
    assert {"wifi", "scram", "read", "write"} <= set(dir(tap()))
    assert "put_ssid" in dir(tap().wifi)
