"""The protocol of an IoTize Tap without any I/O, for either end of the line, and the calls that a Tap takes."""

from services.clients.tap.calls import BoundCall, Service, Tap
from services.clients.tap.errors import (
    DeviceRefusal,
    LocalProtocolError,
    LoginFault,
    LoginRefused,
    ProtocolError,
    RemoteProtocolError,
    TapError,
    UnprovenDevice,
)
from services.clients.tap.events import (
    Event,
    Exchanger,
    Method,
    Nonces,
    Paired,
    Pairing,
    Refusal,
    Request,
    Response,
    Role,
    Signal,
)
from services.clients.tap.flows import (
    Flow,
    append,
    change_password,
    login,
    login_with,
    plain_login,
    refresh,
    run,
)
from services.clients.tap.paths import Path
from services.clients.tap.protocol import Connection
from services.clients.tap.registry import Call, calls, calls_at, find, resolve
from services.clients.tap.scram import Admission, Challenge, DeviceLogin, LoginParams, Verifier
from services.clients.tap.state import Form, Turn
from services.clients.tap.status import Status

__all__ = [
    "Admission",
    "BoundCall",
    "Call",
    "Challenge",
    "Connection",
    "DeviceLogin",
    "DeviceRefusal",
    "Event",
    "Exchanger",
    "Flow",
    "Form",
    "LocalProtocolError",
    "LoginFault",
    "LoginParams",
    "LoginRefused",
    "Method",
    "Nonces",
    "Paired",
    "Pairing",
    "Path",
    "ProtocolError",
    "Refusal",
    "RemoteProtocolError",
    "Request",
    "Response",
    "Role",
    "Service",
    "Signal",
    "Status",
    "Tap",
    "TapError",
    "Turn",
    "UnprovenDevice",
    "Verifier",
    "append",
    "calls",
    "calls_at",
    "change_password",
    "find",
    "login",
    "login_with",
    "plain_login",
    "refresh",
    "resolve",
    "run",
]
