"""Every type of body by the name that the registry uses for it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from services.clients.tap import bodies, enumerations, layouts, packets, target_layouts
from services.clients.tap.bodies import Codec, choice, flags
from services.clients.tap.multi import decode_answers, decode_parts, encode_answers, encode_parts
from services.clients.tap.records import record
from services.clients.tap.scram import Challenge, LoginParams

_ALL: Final[tuple[Codec[Any], ...]] = (
    bodies.UINT8,
    bodies.UINT16,
    bodies.UINT32,
    bodies.INT8,
    bodies.INT16,
    bodies.INT32,
    bodies.FLOAT,
    bodies.BOOL,
    bodies.BYTES,
    bodies.ASCII,
    bodies.UTF8,
    bodies.VERSION,
    bodies.IPV4,
    bodies.MAC,
    Codec("appended", bytes, bytes, bytes),
    flags("host_protocol", enumerations.HostProtocol, size=2),
    flags("host_protocol_set", enumerations.HostProtocol, size=2),
    flags("service_code_set", enumerations.ServiceCode),
    flags("wifi_protocol", enumerations.WifiProtocol),
    flags("wifi_protocol_set", enumerations.WifiProtocol),
    choice("target_protocol", enumerations.TargetProtocol),
    Codec("target_protocol_set", int, bodies.UINT8.write, bodies.UINT8.read),  # values above 2 cannot be told apart
    choice("nfc_pairing_mode", enumerations.NfcPairingMode),
    choice("nfc_connection_priority", enumerations.NfcConnectionPriority),
    choice("power_level", enumerations.PowerLevel),
    choice("power_source", enumerations.PowerSource),
    choice("wifi_mode", enumerations.WifiMode),
    choice("ssid_visibility", enumerations.SsidVisibility),
    choice("key_visibility", enumerations.KeyVisibility),
    choice("cloud_platform", enumerations.CloudPlatform),
    choice("firmware_state", enumerations.FirmwareState),
    choice("target_core", enumerations.TargetCore),
    choice("gpio_mode", enumerations.GpioMode),
    record("login_params", LoginParams),
    record("challenge", Challenge),
    record("login_credential", layouts.LoginCredential),
    record("login_credential_hashed", layouts.LoginCredentialHashed),
    record("security_options", layouts.SecurityOptions),
    record("frame_sizes", layouts.FrameSizes),
    record("local_time", layouts.LocalTime),
    record("bundle_acl", layouts.BundleAcl),
    record("data_log_options", layouts.DataLogOptions),
    record("lora_config", layouts.LoraConfig),
    record("variable_type", layouts.VariableType),
    record("crc_check", layouts.CrcCheck),
    record("packet_store", layouts.PacketStore),
    record("name_unit", layouts.NameUnit),
    record("modbus_address", target_layouts.ModbusAddress),
    record("memory_info", target_layouts.MemoryInfo),
    record("memory_write", target_layouts.MemoryWrite),
    record("modbus_options", target_layouts.ModbusOptions),
    record("modbus_write", target_layouts.ModbusWrite),
    record("serial_modbus", target_layouts.SerialModbus),
    record("tapnpass_config", target_layouts.TapnpassConfig),
    record("s3p_config", target_layouts.S3pConfig),
    record("target_statistics", target_layouts.TargetStatistics),
    record("adapter_control", target_layouts.AdapterControl),
    record("single_packet", packets.SinglePacket),
    record("packet_chunk", packets.PacketChunk),
    Codec("multi_request", tuple, encode_parts, decode_parts),
    Codec("multi_response", tuple, encode_answers, decode_answers),
)

BODY_TYPES: Final[Mapping[str, Codec[Any]]] = MappingProxyType({codec.name: codec for codec in _ALL})
