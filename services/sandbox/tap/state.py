"""The whole state of a Tap's twin as a JSON document: settings by path, users with verifiers, never a password."""

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from services.clients.tap.errors import ProtocolError
from services.clients.tap.events import Method
from services.clients.tap.paths import Path
from services.clients.tap.registry import body_type, calls_at
from services.sandbox.tap.memory import Group
from services.sandbox.tap.tap import Tap


def shown(tap: Tap) -> dict[str, Any]:
    """Give everything that a Tap remembers."""
    memory = tap.device.memory
    return {
        **whereabouts(tap),
        "firmware": tap.device.factory.firmware,
        "configured": memory.configured,
        "settings": _values(memory.stored),
        "until_restart": _values(memory.passing),
        "groups": {str(number): _group(group) for number, group in sorted(memory.groups.items())},
        "instances": sorted(f"/{object_}/{instance}" for object_, instance in memory.instances),
    }


def whereabouts(tap: Tap) -> dict[str, Any]:
    """Give who a Tap is and where it can be reached just now."""
    relay = tap.relay
    return {
        "serial": tap.serial,
        "host": tap.tcp.host,
        "port": tap.tcp.port,
        "listening": tap.tcp.is_open,
        "away": tap.away,
        "relay": None
        if relay is None
        else {
            "broker": f"{relay.settings.host}:{relay.settings.port}",
            "connected": relay.connected.is_set(),
            "command_topic": relay.settings.topics.command,
            "answer_topic": relay.settings.topics.answer,
        },
    }


def _values(bodies: Mapping[Path, bytes]) -> dict[str, Any]:
    return {str(path): _value(path, body) for path, body in sorted(bodies.items(), key=lambda item: str(item[0]))}


def _value(path: Path, body: bytes) -> Any:
    call = next(iter(calls_at(Method.GET, path)), None)
    if call is None or not call.reply:
        return body.hex()
    try:
        value = body_type(call.reply).decode(body)
    except ProtocolError:
        return body.hex()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.hex() if isinstance(value, bytes) else value


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name.decode("latin-1"),
        "verifier": None if group.verifier is None else group.verifier.encode().hex(),
        "iterations": group.iterations,
        "lifetime": group.lifetime,
        "alias": group.alias,
    }
