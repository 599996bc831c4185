"""Checks of the vectors that go in clear, each by the call that makes its request."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any, Final

import pytest

from services.clients.tap import (
    Connection,
    LocalProtocolError,
    Method,
    Paired,
    Pairing,
    Path,
    RemoteProtocolError,
    Request,
    Role,
    Tap,
)
from services.clients.tap.enumerations import DataType, Domain, HostProtocol, WifiMode, WifiProtocol
from services.clients.tap.layouts import BundleAcl, DataLogOptions, LoginCredentialHashed, VariableType
from services.clients.tap.multi import ANYTHING, Part
from services.clients.tap.scram import hash_password
from tests.unit.tap.lines import SERIAL, Line, Numbered, scripted
from tests.unit.tap.vectors import Vector

PLAIN: Final[dict[str, Callable[[Tap], Any]]] = {
    "GET /3//2 serial number": lambda tap: tap.device.get_serial_number(),
    "GET /3//3 firmware version": lambda tap: tap.device.get_firmware_version(),
    "GET /1024//7 current group": lambda tap: tap.interface.get_current_group_id(),
    "PUT /1024//42 hash iteration 5000 (16-bit body)": lambda tap: tap.scram.put_hash_iteration(5000),
    "POST /3//5 factory reset": lambda tap: tap.device.factory_reset(),
    "POST /1024//0 login hashed": lambda tap: tap.interface.login_with_hash(
        LoginCredentialHashed("admin", hash_password("admin"))
    ),
    "GET /1025/65535/0 group name": lambda tap: tap.group.get_name(65535),
    "PUT /1025/1/0 group name": lambda tap: tap.group.put_name(1, "tech"),
    "POST /1025/1/65535 create group": lambda tap: tap.group.create(1),
    "POST /1025/1/2 change password, clear text": lambda tap: tap.group.change_password(1, "secret"),
    "POST /1024//10 reload config": lambda tap: tap.interface.reload_config(),
    "PUT /1024//9 application name": lambda tap: tap.interface.put_app_name("TAP-1"),
    "GET /1024//9 name with terminator and trailing bytes": lambda tap: tap.interface.get_app_name(),
    "PUT /1024//34 inactivity 60 (8-bit body)": lambda tap: tap.interface.put_host_inactivity_period(60),
    "PUT /1024//17 authorised host protocols WIFI+MQTT+BLE": lambda tap: tap.interface.put_authorized_host_protocol(
        HostProtocol.WIFI | HostProtocol.MQTT | HostProtocol.BLE
    ),
    "GET /1024//17": lambda tap: list(tap.interface.get_authorized_host_protocol()),
    "PUT /1024//16 wifi key": lambda tap: tap.wifi.put_key("correct horse"),
    "PUT /1024//15 wifi mode network": lambda tap: tap.wifi.put_mode(WifiMode.NETWORK),
    "PUT /1024//30 ip": lambda tap: tap.wifi.put_ip("192.168.1.50"),
    "GET /1024//31 gateway": lambda tap: tap.wifi.get_gateway_ip(),
    "PUT /1024//95 country code 250": lambda tap: tap.wifi.put_country_code(250),
    "PUT /1024//96 wifi protocols B,G,N": lambda tap: tap.wifi.put_protocol(
        WifiProtocol.B | WifiProtocol.G | WifiProtocol.N
    ),
    "PUT /1024//97 tx power -5": lambda tap: tap.wifi.put_tx_power(-5),
    "PUT /1024//50 mqtt host": lambda tap: tap.mqtt.put_broker_hostname("mqtt.example.org"),
    "PUT /1024//51 mqtt port is text": lambda tap: tap.mqtt.put_broker_port("8883"),
    "PUT /1024//55 mqtt relay net key": lambda tap: tap.mqtt.put_relay_net_key("testnetkey"),
    "PUT /3//13 current time": lambda tap: tap.device.put_current_time(0x65920080),
    "PUT /1024//77 ntp": lambda tap: tap.time.put_ntp_server("pool.ntp.org"),
    "GET /1024//79 local time": lambda tap: astuple(tap.time.get_local_time()),
    "GET /1024//88 max frame sizes": lambda tap: astuple(tap.interface.get_current_host_protocol_max_frame_size()),
    "GET /1024//22 BLE MAC": lambda tap: tap.ble.get_address(),
    "PUT /1028/5/0 bundle ACL, group 1": lambda tap: tap.bundle.put_acl(5, BundleAcl(1, read=True)),
    "PUT /1028/5/2 bundle log period": lambda tap: tap.bundle.put_data_log_period(5, 60_000),
    "PUT /1031//2 datalog options": lambda tap: tap.dataLog.put_options(
        DataLogOptions(security=True, log_on_change=True, rolling=True, autorun=True)
    ),
    "PUT /1029/7/1 variable type": lambda tap: tap.variable.put_type(
        7, VariableType(Domain.TAP_STATIC, DataType.UINT32)
    ),
    "POST /1024//101 special feature": lambda tap: tap.interface.set_special_feature_profile(101, 5),
    "GET /1024//89 multi request": lambda tap: [
        (len(answer.body) + 1, answer.status, answer.body.hex())
        for answer in tap.interface.execute_multi_request_frame(
            (Part(SERIAL, ANYTHING), Part(Request(Method.PUT, Path.parse("/1024//34"), b"\x3c")))
        )
    ],
}


def check_plain(name: str, given: Vector, wanted: Vector) -> None:
    if name in ODD:
        ODD[name](given, wanted)
        return
    line = Line(scripted([given["reply"]]))
    value = PLAIN[name](Tap(line))
    assert [frame.hex() for frame in line.asked] == [wanted["request"]]
    assert [frame.hex() for frame in line.answered] == [given["reply"]]
    if value is None:
        value = line.responses[0].status
    assert plainly(value) == plainly(wanted["decoded"])


def plainly(value: Any) -> Any:
    """Give numbers, text and lists only, so that a value of ours can be compared with one out of JSON."""
    if isinstance(value, dict):
        return plainly(list(value.values()))
    return [plainly(item) for item in value] if isinstance(value, list | tuple) else value


def check_truncated(given: Vector, wanted: Vector) -> None:
    """The vendor's client sends the low 16 bits of 70 000; we refuse it."""
    line = Line(scripted([given["reply"]]))
    with pytest.raises(LocalProtocolError):
        Tap(line).scram.put_hash_iteration(70_000)
    Tap(line).scram.put_hash_iteration(70_000 % 65_536)
    assert line.asked[0].hex() == wanted["request"]


def check_short_group(given: Vector, wanted: Vector) -> None:
    """The vendor's client loses the high byte of a large group; we read its frame and write the right one."""
    device = Connection(Role.DEVICE, nonces=Numbered())
    device.receive_data(bytes.fromhex(wanted["request"]))
    request = device.next_event()
    assert isinstance(request, Request)
    assert BundleAcl.decode(request.body) == BundleAcl(0xFF, read=True, write=True)
    line = Line(scripted([given["reply"]]))
    Tap(line).bundle.put_acl(5, BundleAcl(0xFFFF, read=True, write=True))
    assert line.asked[0].hex() == wanted["request"].replace("0a0304", "0b0304").replace("61ff03", "61ffff03")


def check_bad_status_word(given: Vector, wanted: Vector) -> None:
    client = Connection(Role.CLIENT, nonces=Numbered())
    assert client.send(SERIAL).hex() == wanted["request"]
    client.receive_data(bytes.fromhex(given["reply"]))
    client.end_of_message()
    with pytest.raises(RemoteProtocolError, match="911e"):
        client.next_event()


def check_dropped_element(given: Vector, wanted: Vector) -> None:
    """The vendor's client drops a fourth element of a path without a word; we refuse the path."""
    with pytest.raises(LocalProtocolError):
        Path.parse("/1028/5/1/3")
    line = Line(scripted([given["reply"]]))
    assert Tap(line).read("/1028/5/1") == b""
    assert line.asked[0].hex() == wanted["request"]


def check_pairing(_: Vector, wanted: Vector) -> None:
    client, device = (Connection(role, nonces=Numbered()) for role in Role)
    command = client.send(Pairing())
    assert command.hex() == wanted["frame"]
    device.receive_data(command)
    assert device.next_event() == Pairing()
    client.receive_data(device.send(Paired()))
    assert client.next_event() == Paired()


ODD: Final[dict[str, Callable[[Vector, Vector], None]]] = {
    "PUT /1024//42 hash iteration 70000 (truncated by the client)": check_truncated,
    "PUT /1028/5/0 bundle ACL, group 65535": check_short_group,
    "reply with APDU status 911E": check_bad_status_word,
    "path with a resource instance: the client drops it": check_dropped_element,
    "NFC pairing command (raw, not a request)": check_pairing,
}
