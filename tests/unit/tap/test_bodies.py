"""Bodies: what each layout looks like, and what is refused."""

from typing import Any

import pytest

from services.clients.tap import LocalProtocolError, RemoteProtocolError
from services.clients.tap.body_types import BODY_TYPES
from services.clients.tap.enumerations import (
    FlowControl,
    HostProtocol,
    PacketType,
    Parity,
    SerialPort,
    WifiMode,
    WifiProtocol,
)
from services.clients.tap.layouts import (
    BundleAcl,
    CrcCheck,
    DataLogOptions,
    FrameSizes,
    LoginCredential,
    LoginCredentialHashed,
    LoraConfig,
    NameUnit,
    PacketStore,
    SecurityOptions,
    VariableType,
)
from services.clients.tap.packets import PacketChunk, PacketHeader, SinglePacket
from services.clients.tap.scram import Challenge, DeviceLogin, LoginParams, Verifier, decode_name
from services.clients.tap.target_layouts import (
    AdapterControl,
    MemoryInfo,
    MemoryWrite,
    ModbusAddress,
    ModbusOptions,
    ModbusWrite,
    S3pConfig,
    SerialModbus,
    TapnpassConfig,
    TapnpassLine,
    TargetStatistics,
    UsbAlias,
)

LINE = SerialModbus(
    slave=1, baud_rate=115_200, port=SerialPort.RS485, parity=Parity.EVEN, flow_control=FlowControl.RTS, timeout=9
)
HEADER = PacketHeader(48, 1, 0x02030004, PacketType.COMMAND, False, True, True, 7, 0xABCD)

BODIES: list[tuple[str, Any, str]] = [
    ("uint8", 255, "ff"),
    ("uint16", 5000, "1388"),
    ("uint32", 0x65920080, "65920080"),
    ("int8", -5, "fb"),
    ("int16", -2, "fffe"),
    ("int32", -3, "fffffffd"),
    ("float", 0.5, "3f000000"),
    ("bool", True, "01"),
    ("bool", False, "fe"),
    ("ascii", "Zoé", "5a6fe9"),
    ("utf8", "Zoé", "5a6fc3a9"),
    ("version", "255.255.65535", "ffffffff"),
    ("ipv4", "192.168.1.50", "c0a80132"),
    ("mac", "C1:32:E9:BF:DE:58", "c132e9bfde58"),
    ("host_protocol", HostProtocol.MQTT, "0200"),
    ("host_protocol_set", HostProtocol.WIFI | HostProtocol.MQTT, "0220"),
    ("wifi_protocol_set", WifiProtocol.B | WifiProtocol.N, "05"),
    ("wifi_mode", WifiMode.NETWORK, "01"),
    ("target_protocol_set", 0x43, "43"),
    ("security_options", SecurityOptions(scram_activated=True, hash_password=True), "0018"),
    ("security_options", SecurityOptions(disable_resource_factory_reset=True), "0001"),
    ("frame_sizes", FrameSizes(255, 256), "00ff0100"),
    ("bundle_acl", BundleAcl(1, read=True), "410101"),
    ("bundle_acl", BundleAcl(65535, read=True, write=True), "61ffff03"),
    ("data_log_options", DataLogOptions(security=True, log_on_change=True, rolling=True, autorun=True), "0207"),
    ("lora_config", LoraConfig(class_a=True, single_packet=True), "88"),
    ("variable_type", VariableType(2, 35), "a3"),
    ("crc_check", CrcCheck(1, 2, 3), "000000010000000200000003"),
    ("packet_store", PacketStore(2), "00000002"),
    ("name_unit", NameUnit("température", "°C"), "74656d70c3a97261747572653ac2b043"),
    ("login_credential", LoginCredential("admin", "pw"), "61646d696e" + "00" * 11 + "7077" + "00" * 14),
    ("login_credential_hashed", LoginCredentialHashed("é", bytes(16)), "e9" + "00" * 31),
    ("login_params", LoginParams("admin", 0x01020304), "61646d696e" + "00" * 11 + "01020304"),
    ("challenge", Challenge(1, b"salt", 100), "0000000173616c7400000064"),
    ("modbus_address", ModbusAddress(3, 1, 0x1234), "03011234"),
    ("memory_info", MemoryInfo(0x20000000, 4, 3), "200000000000000403"),
    ("memory_write", MemoryWrite(0x20000000, 1, 1, b"\x99"), "20000000000000010199"),
    ("modbus_options", ModbusOptions(3, 1, 16, 2, 2), "03010010" + "00000002" + "02"),
    ("modbus_write", ModbusWrite(3, 1, 16, 1, 2, b"\x12\x34"), "03010010" + "00000001" + "021234"),
    ("serial_modbus", LINE, "0901090a00c20101"),
    ("tapnpass_config", TapnpassConfig(TapnpassLine()), "00000100" + "80250000"),
    (
        "tapnpass_config",
        TapnpassConfig(TapnpassLine(identification=True, led_status=True), (UsbAlias(1, 2, 3), UsbAlias(4, 5, 6))),
        "000001a0" + "80250000" + "0001000203" + "0004000506",
    ),
    ("s3p_config", S3pConfig(5, 1), "0501"),
    ("target_statistics", TargetStatistics(1, 2), "0000000100000002"),
    ("adapter_control", AdapterControl(1, 2), "00010002"),
    ("packet_chunk", PacketChunk(32, bytes(16)), "00010002" + "00" * 16),
    ("packet_chunk", PacketChunk(32, bytes(16), long=True), "800100000002" + "00" * 16),
]


@pytest.mark.parametrize(("name", "value", "data"), BODIES, ids=[f"{name} {data[:8]}" for name, _, data in BODIES])
def test_bodies(name: str, value: Any, data: str) -> None:
    assert BODY_TYPES[name].encode(value).hex() == data
    assert BODY_TYPES[name].decode(bytes.fromhex(data)) == value


REFUSED: list[tuple[str, Any]] = [
    ("uint8", 256),
    ("uint8", True),
    ("uint8", "7"),
    ("uint16", -1),
    ("float", 1e300),
    ("bool", 1),
    ("ascii", "€"),
    ("version", "1.2"),
    ("version", "1.2.70000"),
    ("version", "a.b.c"),
    ("ipv4", "192.168.1"),
    ("mac", "C1:32:E9:BF:DE"),
    ("mac", "C1:32:E9:BF:DE:5G"),
    ("wifi_mode", 7),
    ("wifi_protocol_set", 8),
    ("wifi_protocol_set", -1),
    ("bundle_acl", BundleAcl(70000)),
    ("variable_type", VariableType(4, 0)),
    ("frame_sizes", FrameSizes(70000, 1)),
    ("memory_write", MemoryWrite(1, 2, 3, "text")),  # type: ignore[arg-type]
    ("name_unit", NameUnit("a:b", "c")),
    ("login_credential", LoginCredential("a-name-of-seventeen", "pw")),
    ("login_credential", LoginCredential("admin", "€")),
    ("login_credential_hashed", LoginCredentialHashed("admin", b"short")),
    ("login_params", LoginParams("admin", -1)),
    ("challenge", Challenge(1, b"short salt", 1)),
    ("packet_chunk", PacketChunk(8, bytes(16))),
    ("packet_chunk", PacketChunk(0, bytes(208))),
    ("packet_chunk", PacketChunk(16 * 65536, bytes(16))),
    ("single_packet", SinglePacket(-1, HEADER, b"")),
]


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=[f"{name} {value!r:.40}" for name, value in REFUSED])
def test_what_does_not_fit_is_not_written(name: str, value: Any) -> None:
    with pytest.raises(LocalProtocolError):
        BODY_TYPES[name].encode(value)


UNREADABLE = [
    ("uint32", "1388"),
    ("bool", ""),
    ("utf8", "ff"),
    ("version", "010203"),
    ("ipv4", "c0a80132ff"),
    ("mac", "c132e9bfde"),
    ("security_options", "10"),
    ("frame_sizes", "00ff01"),
    ("bundle_acl", "420101"),
    ("bundle_acl", "41"),
    ("name_unit", "ff"),
    ("login_credential", "00" * 31),
    ("login_params", "00" * 19),
    ("challenge", "00" * 11),
    ("single_packet", "00" * 10),
    ("packet_chunk", "0001"),
]


@pytest.mark.parametrize(("name", "data"), UNREADABLE)
def test_what_means_nothing_is_not_read(name: str, data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        BODY_TYPES[name].decode(bytes.fromhex(data))


def test_a_reader_ignores_what_comes_after() -> None:
    assert BODY_TYPES["uint16"].decode(b"\x13\x88\xff") == 5000
    assert BODY_TYPES["ascii"].decode(b"TAP\x00A") == "TAP"
    assert BODY_TYPES["challenge"].decode(bytes(11) + b"\x01\xff") == Challenge(0, bytes(4), 1)
    assert BODY_TYPES["tapnpass_config"].decode(bytes(8) + bytes(4)).aliases == ()


def test_values_that_no_document_names_are_read_as_numbers() -> None:
    assert BODY_TYPES["wifi_mode"].decode(b"\x07") == 7
    assert int(BODY_TYPES["host_protocol_set"].decode(b"\x80\x20")) == 0x8020


def test_a_bundle_acl_with_a_lost_byte_is_read() -> None:
    assert BundleAcl.decode(bytes.fromhex("61ff03")) == BundleAcl(0xFF, read=True, write=True)


def test_single_packets() -> None:
    packet = SinglePacket(0x65920080, HEADER, bytes(32))
    data = packet.encode()
    assert len(data) == 4 + 12 + 32 + 4
    assert data[4:16].hex() == "003000010203000423" + "07abcd"
    assert SinglePacket.decode(data) == packet
    with pytest.raises(RemoteProtocolError):
        SinglePacket.decode(data[:-1] + b"\x00")


def test_user_names_are_latin_1_of_at_most_16() -> None:
    assert decode_name(b"Zo\xe9" + bytes(13)) == "Zoé"
    with pytest.raises(LocalProtocolError):
        LoginParams("a-name-of-seventeen", 1).encode()


def test_verifiers_have_their_sizes_and_do_not_print() -> None:
    verifier = Verifier.make("admin", salt=b"salt", iterations=1)
    assert Verifier.decode(verifier.encode()) == verifier
    assert repr(verifier) == "Verifier()"
    with pytest.raises(LocalProtocolError):
        Verifier(b"", b"", b"")
    for iterations in (0, 65_536):
        with pytest.raises(LocalProtocolError):
            Verifier.make("admin", salt=b"salt", iterations=iterations)
    with pytest.raises(RemoteProtocolError):
        Verifier.decode(bytes(35))


def test_a_device_judges_one_proof_per_challenge() -> None:
    verifier = Verifier.make("admin", salt=b"salt", iterations=1)
    login = DeviceLogin()
    assert login.admit(bytes(16)) is None
    login.challenge(LoginParams("admin", 1), verifier, iterations=1, nonce=2)
    assert login.admit(bytes(16)) is None
    assert login.admit(verifier.client_proof(1, 2)) is None
    login.challenge(LoginParams("admin", 1), verifier, iterations=1, nonce=3)
    admission = login.admit(verifier.client_proof(1, 3))
    assert admission is not None
    assert admission.key == verifier.session_key(1, 3)
    assert repr(admission) == "Admission()"


def test_an_all_zero_salt_disables_a_login() -> None:
    verifier = Verifier.make("admin", salt=bytes(4), iterations=1)
    login = DeviceLogin()
    login.challenge(LoginParams("admin", 1), verifier, iterations=1, nonce=2)
    assert login.admit(verifier.client_proof(1, 2)) is None
