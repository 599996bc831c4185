"""The named values of a Tap's settings (Tap protocol notes §11 and §12)."""

from enum import IntEnum, IntFlag


class HostProtocol(IntFlag):
    """Ways to reach a Tap; one of them is in use, a set of them is allowed."""

    NFC = 0x0001
    BLUETOOTH = 0x0002
    GSM = 0x0004
    USB_RLINK = 0x0008
    USB_CMSIS_DAP = 0x0010
    WIFI = 0x0020
    BLE = 0x0040
    UART = 0x0100
    MQTT = 0x0200
    WEBSOCKET = 0x0400


class TargetProtocol(IntEnum):
    """How a Tap speaks with its target."""

    SWD = 0
    S3P = 1
    JTAG = 2
    MODBUS = 3
    DIRECT_IO = 4
    SERIAL = 6
    CUSTOM = 7
    NONE = 255


class SpecialFeature(IntEnum):
    """Resources of object 1024 that grant a feature to a bundle."""

    SWD_DIRECT = 100
    SERIAL = 101
    MODBUS_DIRECT = 102
    TAPNPASS_CONTROL = 103
    CODE_EXECUTION = 104
    MQTT_IDS = 105


class NfcPairingMode(IntEnum):
    """Whether somebody must hold a phone to the Tap first."""

    NO = 0
    MANDATORY = 1
    MANDATORY_FOR_LOGIN = 2


class NfcConnectionPriority(IntEnum):
    """Whether NFC goes before other connections."""

    PRIORITY = 0
    NON_PRIORITY = 1


class PowerLevel(IntEnum):
    """How far a Tap saves power."""

    NO = 0
    STANDBY = 2
    SHUTDOWN = 3


class PowerSource(IntEnum):
    """Where a Tap has its power from."""

    DC = 1
    S3P = 16
    AC_EXTERNAL = 32


class ServiceCode(IntFlag):
    """Services that can be switched off."""

    DATALOG = 1
    JVM = 2


class WifiMode(IntEnum):
    """Whether a Tap is an access point of its own or a station of a network."""

    PEER_TO_PEER = 0
    NETWORK = 1


class WifiProtocol(IntFlag):
    """Generations of IEEE 802.11."""

    B = 1
    G = 2
    N = 4


class SsidVisibility(IntEnum):
    """Who may see the SSID."""

    VISIBLE = 0
    HIDDEN_FROM_SCAN = 1
    HIDDEN = 2


class KeyVisibility(IntEnum):
    """Whether the Wi-Fi key can be read back."""

    VISIBLE = 0
    HIDDEN = 1


class CloudPlatform(IntEnum):
    """Where data logs go."""

    NONE = 0
    IOTIZE = 1
    BLUEMIX = 2
    AWS = 3
    CUSTOM = 4


class FirmwareState(IntEnum):
    """How far an update of the Tap has come."""

    NORMAL = 1
    UPDATING = 2
    UPDATED = 4


class TargetCore(IntEnum):
    """The processor of the target."""

    CORTEX_M0 = 0
    CORTEX_M1 = 1


class GpioMode(IntEnum):
    """How a pin is wired."""

    INPUT_FLOATING = 0
    OUTPUT_OPEN_DRAIN = 1
    OUTPUT_PUSH_PULL = 3
    INPUT_PULL_UP = 4
    OUTPUT_OPEN_DRAIN_PULL_UP = 5
    INPUT_PULL_DOWN = 8


class Domain(IntEnum):
    """Where a variable lives."""

    TARGET = 0
    GPIO = 1
    TAP_STATIC = 2
    TAP_VOLATILE = 3


class DataType(IntEnum):
    """What a variable holds."""

    BOOL = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    ASCII = 8
    FLOAT32 = 19
    UINT8 = 33
    UINT16 = 34
    UINT32 = 35


class SerialPort(IntEnum):
    """The wires to the target."""

    NONE = 0
    RS232 = 1
    USB = 3
    AUTO = 6
    RS485 = 10


class StopBits(IntEnum):
    """Stop bits of a serial line."""

    ONE = 0
    ONE_AND_A_HALF = 1
    TWO = 2


class Parity(IntEnum):
    """Parity of a serial line."""

    NONE = 0
    ODD = 1
    EVEN = 2


class DataBits(IntEnum):
    """Data bits of a serial line."""

    SEVEN = 0
    EIGHT = 1
    NINE = 2


class Delimiter(IntEnum):
    """What ends a line."""

    NONE = 0
    CR = 1
    LF = 2
    CR_LF = 3


class FlowControl(IntEnum):
    """Flow control of a serial line."""

    NONE = 0
    RTS = 1
    CTS = 2
    RTS_CTS = 3


class StoreState(IntEnum):
    """What is in the store of single packets."""

    UNAVAILABLE = 0
    EMPTY = 1
    USED = 2
    FULL = 3
    ERROR = 4


class PacketType(IntEnum):
    """What a single packet carries."""

    DATA_LOG = 1
    COMMAND = 2
    CODE = 3
    CONFIGURATION_UPDATE = 4
    TOKEN = 5
    TARGET_FIRMWARE = 6
