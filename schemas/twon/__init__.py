"""The words of the 2N HTTP API: what a device tells of itself, its mobile keys, its log, and its error codes.

What a device tells is read leniently: unknown fields are kept where they cannot be secrets, and a missing or odd one
costs no other.
"""

from schemas.twon.codes import ERROR_CODES, UNLISTED, ErrorCode
from schemas.twon.device import LogEvent, MobKeyEntered, SystemInfo, SystemStatus
from schemas.twon.keys import (
    KEYS_HIDDEN_FROM,
    LONGEST_LOCATION,
    MOST_KEYS,
    Generation,
    KeyType,
    MobileKey,
    MobileKeyConfig,
)

__all__ = [
    "ERROR_CODES",
    "KEYS_HIDDEN_FROM",
    "LONGEST_LOCATION",
    "MOST_KEYS",
    "UNLISTED",
    "ErrorCode",
    "Generation",
    "KeyType",
    "LogEvent",
    "MobKeyEntered",
    "MobileKey",
    "MobileKeyConfig",
    "SystemInfo",
    "SystemStatus",
]
