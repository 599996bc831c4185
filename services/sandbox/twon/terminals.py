"""The switches and the inputs and outputs of a device, as far as a client reads and sets them.

Source: 2N HTTP API manual, 5.4 api switch and 5.5 api io.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.sandbox.twon.envelope import ApiError
from services.sandbox.twon.events import whole_number

_ACTIONS: Final = {"on": True, "off": False}


@dataclass(slots=True)
class Terminals:
    """One door lock on switch 1, one output, one input."""

    switches: dict[int, bool] = field(default_factory=lambda: {1: False, 2: False})
    outputs: dict[str, bool] = field(default_factory=lambda: {"relay1": False})
    inputs: dict[str, bool] = field(default_factory=lambda: {"input1": False})

    def switch_caps(self) -> dict[str, Any]:
        """Say which switches there are; only the first is enabled."""
        lock = {"switch": 1, "enabled": True, "mode": "monostable", "switchOnDuration": 5, "type": "normal"}
        return {"switches": [lock, {"switch": 2, "enabled": False}]}

    def switch_status(self) -> dict[str, Any]:
        """Say how the switches are."""
        states = self.switches.items()
        return {"switches": [{"switch": n, "active": on, "locked": False, "held": False} for n, on in states]}

    def turn_switch(self, parameters: Mapping[str, str]) -> None:
        """Set a switch.

        Raises:
            ApiError: a parameter is missing (11) or wrong (12).
        """
        wish = _action(parameters, "switch")
        number = whole_number(parameters, "switch", 0)
        if number != 1:
            raise ApiError(12, "switch")
        self.switches[number] = wish

    def port_caps(self) -> dict[str, Any]:
        """Say which ports there are."""
        ports = [*((port, "output") for port in self.outputs), *((port, "input") for port in self.inputs)]
        return {"ports": [{"port": port, "type": kind} for port, kind in ports]}

    def port_status(self) -> dict[str, Any]:
        """Say how the ports are."""
        return {"ports": [{"port": port, "state": int(on)} for port, on in {**self.outputs, **self.inputs}.items()]}

    def set_port(self, parameters: Mapping[str, str]) -> None:
        """Set an output.

        Raises:
            ApiError: a parameter is missing (11) or wrong (12).
        """
        wish = _action(parameters, "port")
        if parameters["port"] not in self.outputs:
            raise ApiError(12, "port")
        self.outputs[parameters["port"]] = wish


def _action(parameters: Mapping[str, str], name: str) -> bool:
    for wanted in (name, "action"):
        if wanted not in parameters:
            raise ApiError(11, wanted)
    if parameters["action"] not in _ACTIONS:
        raise ApiError(12, "action")
    return _ACTIONS[parameters["action"]]
