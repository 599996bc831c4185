"""What a 2N device tells of itself, and the events of its log: 2N HTTP API manual 2.x, chapters 5.1 and 5.10."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from schemas.twon.told import Text, Told, Whole


class SystemInfo(Told):
    """``/api/system/info``: what the device is.

    Attributes:
        serial_number: such as ``54-1046-0745``.
        sw_version: the firmware, such as ``2.50.0.76.2``.
    """

    serial_number: Text = ""
    sw_version: Text = ""
    variant: Text = ""
    device_name: Text = ""
    mac_addr: Text = ""

    @property
    def version(self) -> tuple[int, ...]:
        """The leading numbers of the firmware's version, for comparisons; empty when it starts with none."""
        found = re.match(r"\d{1,9}(\.\d{1,9})*", self.sw_version, re.ASCII)
        return tuple(map(int, found[0].split("."))) if found else ()


class SystemStatus(Told):
    """``/api/system/status``: Unix time of the device's clock and seconds since its start."""

    system_time: Whole = None
    up_time: Whole = None


class LogEvent(Told):
    """An event of the device's log.

    Attributes:
        id: starts at 1 again after a restart, so an event is told from others by `id` and `utc_time` together.
        utc_time: Unix time.
    """

    id: Whole = None
    utc_time: Whole = None
    up_time: Whole = None
    event: Text = ""
    params: Annotated[Mapping[str, Any], BeforeValidator(lambda value: value if isinstance(value, dict) else {})] = (
        Field(default_factory=dict)
    )


class MobKeyEntered(Told):
    """The parameters of the event of that name: a phone used its mobile key.

    Attributes:
        ap: the access point: 0 entry, 1 exit.
        session: groups the events of one access.
        authid: the mobile key identity of the user.
        uuid: the user in the device's directory.
        valid: whether the device let the phone in.
    """

    ap: Whole = None
    session: Whole = None
    direction: Text = ""
    authid: Text = ""
    uuid: Text = ""
    valid: Annotated[bool | None, BeforeValidator(lambda value: value if isinstance(value, bool) else None)] = None
    action: Text = ""
