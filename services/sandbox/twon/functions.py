"""The functions of the HTTP API that the twin has: what each does, for whom, by which method.

Source: 2N HTTP API manual, 5. Overview of HTTP API Functions.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from services.sandbox.twon.calls import Call
from services.sandbox.twon.device import Device
from services.sandbox.twon.dials import Privilege
from services.sandbox.twon.envelope import ApiError
from services.sandbox.twon.events import KINDS, whole_number

RESTART: Final = "/api/system/restart"

Result = dict[str, Any] | None
Deed = Callable[[Device, Call], Awaitable[Result]]

_READ: Final = ("GET", "POST")
_DIRECTORY: Final = ("create", "delete", "get", "query", "template", "update")


@dataclass(frozen=True, slots=True)
class Function:
    """What a path does by method, and the privilege that it takes."""

    deeds: dict[str, Deed]
    privilege: Privilege | None = None


async def carry_out(device: Device, call: Call) -> Result:
    """Do what a request asks for.

    Raises:
        ApiError: the device refuses.
    """
    path = call.path
    function = FUNCTIONS.get(path)
    if function is None:
        raise ApiError(2)
    if call.method not in function.deeds:
        raise ApiError(3)
    if path in device.dials.refused:
        raise ApiError(device.dials.refused[path])
    if function.privilege is not None and function.privilege not in device.dials.privileges:
        raise ApiError(10)
    return await function.deeds[call.method](device, call)


def _parameters(device: Device, call: Call) -> dict[str, str]:
    return call.parameters(strict=device.public_halves)


async def _info(device: Device, call: Call) -> Result:
    _parameters(device, call)
    digits = device.serial.replace("-", "")
    result = {
        "variant": "2N Access Unit 2.0",
        "serialNumber": device.serial,
        "hwVersion": "599v2",
        "swVersion": device.model.firmware,
        "buildType": "release",
        "deviceName": f"Access Unit {device.serial}",
        "macAddr": "-".join(("7C", "1E", "B3", digits[-6:-4], digits[-4:-2], digits[-2:])),
        "devType": "20",
    }
    return result | ({"bootUuid": device.boot} if device.public_halves else {})


async def _status(device: Device, call: Call) -> Result:
    _parameters(device, call)
    return {"systemTime": int(device.clock()), "upTime": device.log.up_time}


async def _caps(_device: Device, _call: Call) -> Result:
    return {"options": {"mobileKey": "active,licensed", "nfc": "active,licensed", "accessControl": "active"}}


async def _restart(device: Device, call: Call) -> Result:
    """Answer; the restart follows when the answer is out."""
    _parameters(device, call)
    return None


async def _config(device: Device, _call: Call) -> Result:
    return device.config()


async def _configure(device: Device, call: Call) -> Result:
    device.configure(call.document())
    return None


async def _log_caps(device: Device, call: Call) -> Result:
    _parameters(device, call)
    return {"events": list(KINDS)}


async def _subscribe(device: Device, call: Call) -> Result:
    return {"id": device.log.subscribe(_parameters(device, call), device.sees)}


async def _pull(device: Device, call: Call) -> Result:
    parameters = _parameters(device, call)
    number, channel = device.log.channel(parameters)
    patience = whole_number(parameters, "timeout", 0)
    if patience and not channel.queue:
        with suppress(TimeoutError):
            await asyncio.wait_for(channel.filled.wait(), patience)
        if device.log.channels.get(number) is not channel:
            raise ApiError(12, "id")
    return {"events": channel.pull(device.clock())}


async def _unsubscribe(device: Device, call: Call) -> Result:
    number, _ = device.log.channel(_parameters(device, call))
    del device.log.channels[number]
    return None


async def _switch_caps(device: Device, call: Call) -> Result:
    _parameters(device, call)
    return device.terminals.switch_caps()


async def _switch_status(device: Device, call: Call) -> Result:
    _parameters(device, call)
    return device.terminals.switch_status()


async def _turn_switch(device: Device, call: Call) -> Result:
    device.terminals.turn_switch(_parameters(device, call))
    return None


async def _port_caps(device: Device, call: Call) -> Result:
    _parameters(device, call)
    return device.terminals.port_caps()


async def _port_status(device: Device, call: Call) -> Result:
    _parameters(device, call)
    return device.terminals.port_status()


async def _set_port(device: Device, call: Call) -> Result:
    device.terminals.set_port(_parameters(device, call))
    return None


async def _not_this_model(_device: Device, _call: Call) -> Result:
    raise ApiError(1)


async def _switched_off(_device: Device, _call: Call) -> Result:
    raise ApiError(4)


def _reads(deed: Deed, privilege: Privilege | None = None) -> Function:
    return Function(dict.fromkeys(_READ, deed), privilege)


FUNCTIONS: Final[dict[str, Function]] = {
    "/api/system/info": _reads(_info),
    "/api/system/status": _reads(_status, Privilege.SYSTEM),
    "/api/system/caps": Function({"GET": _caps}, Privilege.SYSTEM),
    RESTART: _reads(_restart, Privilege.SYSTEM),
    "/api/mobilekey/config": Function({"GET": _config, "PUT": _configure}, Privilege.ACCESS_CONTROL),
    "/api/log/caps": _reads(_log_caps),
    "/api/log/subscribe": _reads(_subscribe),
    "/api/log/pull": _reads(_pull),
    "/api/log/unsubscribe": _reads(_unsubscribe),
    "/api/switch/caps": _reads(_switch_caps, Privilege.SWITCH),
    "/api/switch/status": _reads(_switch_status, Privilege.SWITCH),
    "/api/switch/ctrl": _reads(_turn_switch, Privilege.SWITCH),
    "/api/io/caps": _reads(_port_caps, Privilege.IO),
    "/api/io/status": _reads(_port_status, Privilege.IO),
    "/api/io/ctrl": _reads(_set_port, Privilege.IO),
    "/api/audio/test": _reads(_not_this_model),
    **{f"/api/dir/{name}": Function(dict.fromkeys((*_READ, "PUT"), _switched_off)) for name in _DIRECTORY},
}
"""What there is; the audio test needs a speaker, which an Access Unit lacks, and the Directory service is off."""
