"""The result codes of a Tap (Tap protocol notes §4)."""

from enum import IntEnum
from typing import Final

FAILURE_BIT: Final = 0x80
"""A code with this bit is a failure, without it a success, whatever its value (§4)."""


class Status(IntEnum):
    """One byte that opens every response."""

    OK = 0x00
    CREATED = 0x41
    DELETED = 0x42
    CHANGED = 0x44
    CONTENT = 0x45
    BUSY = 0x46
    BAD_REQUEST = 0x80
    UNAUTHORIZED = 0x81
    NOT_FOUND = 0x84
    METHOD_NOT_ALLOWED = 0x85
    NOT_ACCEPTABLE = 0x86
    RESOURCE_LOCKED = 0x87
    INTERNAL_SERVER_ERROR = 0xA0
    NOT_IMPLEMENTED = 0xA1
    SERVICE_UNAVAILABLE = 0xA3
    NVM_ERROR = 0xA4
    UNABLE_TO_CONNECT_TO_TARGET = 0xA5
    TARGET_POWER_FAILURE = 0xA6
    NVM_FULL = 0xA7
    DEVICE_UNAVAILABLE = 0xA8
    TARGET_PROTOCOL_ERROR = 0xB0
    TARGET_PROTOCOL_BUSY = 0xB1
    TARGET_PROTOCOL_REAL = 0xB2
    TARGET_PROTOCOL_WRONG_PARAM = 0xB3
    TARGET_PROTOCOL_FORBIDDEN = 0xB4
    TARGET_PROTOCOL_DATA = 0xB5
    TARGET_PROTOCOL_COM = 0xB6
    TARGET_PROTOCOL_LOST_COM = 0xB7
    TARGET_PROTOCOL_PARAM = 0xB8
    TARGET_PROTOCOL_INT = 0xB9
    TARGET_PROTOCOL_ABORT = 0xBA
    TARGET_PROTOCOL_NOT_IMPLEMENTED = 0xBB


TEXTS: Final = {
    Status.OK: "done",
    Status.CREATED: "created",
    Status.DELETED: "deleted",
    Status.CHANGED: "written or executed",
    Status.CONTENT: "read",
    Status.BUSY: "busy",
    Status.BAD_REQUEST: "request not understood",
    Status.UNAUTHORIZED: "the present user may not do this",
    Status.NOT_FOUND: "no such resource",
    Status.METHOD_NOT_ALLOWED: "not in this way, or not in this state",
    Status.NOT_ACCEPTABLE: "parameters refused",
    Status.RESOURCE_LOCKED: "closed by the present configuration",
    Status.INTERNAL_SERVER_ERROR: "fault inside the device",
    Status.NOT_IMPLEMENTED: "not in this firmware",
    Status.SERVICE_UNAVAILABLE: "try later",
    Status.NVM_ERROR: "non-volatile memory did not take it",
    Status.UNABLE_TO_CONNECT_TO_TARGET: "target out of reach",
    Status.TARGET_POWER_FAILURE: "target without power",
    Status.NVM_FULL: "non-volatile memory full",
    Status.DEVICE_UNAVAILABLE: "another connection has priority",
    Status.TARGET_PROTOCOL_ERROR: "fault in the target protocol",
    Status.TARGET_PROTOCOL_BUSY: "target busy",
    Status.TARGET_PROTOCOL_REAL: "real fault in the target protocol",
    Status.TARGET_PROTOCOL_WRONG_PARAM: "target parameters not valid",
    Status.TARGET_PROTOCOL_FORBIDDEN: "forbidden by the target protocol",
    Status.TARGET_PROTOCOL_DATA: "unexpected data from the target",
    Status.TARGET_PROTOCOL_COM: "fault on the line to the target",
    Status.TARGET_PROTOCOL_LOST_COM: "line to the target lost",
    Status.TARGET_PROTOCOL_PARAM: "invalid target parameter",
    Status.TARGET_PROTOCOL_INT: "internal fault on the target side",
    Status.TARGET_PROTOCOL_ABORT: "stopped at a command with an unexpected result",
    Status.TARGET_PROTOCOL_NOT_IMPLEMENTED: "target protocol not implemented",
}
"""What each code means, for people."""

_KNOWN: Final = frozenset(map(int, Status))


def is_success(code: int) -> bool:
    """Say whether a result code is a success: bit 7 clear, whatever its value (§4)."""
    return not code & FAILURE_BIT


def status_of(code: int) -> Status | None:
    """Give the known result code of this number, or None where no document names it."""
    return Status(code) if code in _KNOWN else None


def describe(code: int) -> str:
    """Name a result code for people; one that no document names is shown as its number."""
    status = status_of(code)
    return (
        f"{code:02X}, a code that no document names"
        if status is None
        else f"{code:02X} {status.name} ({TEXTS[status]})"
    )
