"""INVENTED: members of the object ``Provisioning``, which the document folds away in the requests too.

Known of it: the names LocalDPR, LocalC2C, LocalC2CKeyPairing, ZTPV1 and SecurityHeartbeatInSec, and from the webhook
sample how a group of authorizations is written. So a list of names and values is read, and an object of them too.
"""

from collections.abc import Mapping
from typing import Final

SETTABLE: Final = ("LocalDPR", "LocalC2C", "LocalC2CKeyPairing", "ZTPV1")
"""``Evaluation`` occurs in events and cannot be set."""

HEARTBEAT: Final = "SecurityHeartbeatInSec"
_STATES: Final = {"ENABLED": True, "DISABLED": False}
_GROUPS: Final = {"Authorizations", "NetworkParameters", HEARTBEAT}


def read_provisioning(wish: Mapping[str, object]) -> tuple[dict[str, bool], float | None]:
    """Read which authorizations are wished, and the heartbeat in seconds.

    Raises:
        ValueError: there is nothing in it, or something that cannot be set.
    """
    if not wish or not wish.keys() <= _GROUPS:
        raise ValueError("an unknown group, or none")
    authorizations = {name: _state(name, state) for name, state in _pairs(wish.get("Authorizations", []), "State")}
    parameters = dict(_pairs(wish.get("NetworkParameters", []), "Value"))
    if HEARTBEAT in wish:
        parameters[HEARTBEAT] = wish[HEARTBEAT]
    if not parameters.keys() <= {HEARTBEAT}:
        raise ValueError("an unknown network parameter")
    heartbeat = _seconds(parameters[HEARTBEAT]) if parameters else None
    if not authorizations and heartbeat is None:
        raise ValueError("nothing is wished")
    return authorizations, heartbeat


def _pairs(group: object, value: str) -> list[tuple[str, object]]:
    if isinstance(group, dict):
        return list(group.items())
    if not isinstance(group, list) or not all(
        isinstance(item, dict) and set(item) == {"Name", value} for item in group
    ):
        raise ValueError("a group must be a list of names and values")
    pairs = [(str(item["Name"]), item[value]) for item in group]
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name stands twice")
    return pairs


def _state(name: str, state: object) -> bool:
    if name not in SETTABLE or not isinstance(state, str) or state not in _STATES:
        raise ValueError("an unknown authorization or state")
    return _STATES[state]


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 31_536_000:  # noqa: PLR2004 - a year
        raise ValueError("a heartbeat must be whole seconds, a year at most")
    return float(value)
