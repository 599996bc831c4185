"""What can go wrong between two ends of the Tap protocol, by whose fault it is.

KeyturnError
└── TapError
    ├── ProtocolError
    │   ├── LocalProtocolError    we broke the rules: mend the caller
    │   └── RemoteProtocolError   they broke the rules: drop the connection, or, as the device, answer the hint
    │       └── UnprovenDevice    it could not prove itself at a login: perhaps not the device it claims to be
    └── DeviceRefusal             they understood, and said no
        └── LoginRefused          no to a login
"""

from enum import Enum
from typing import Final

from schemas.errors import KeyturnError
from services.clients.tap.status import Status, describe


class TapError(KeyturnError):
    """Something about a Tap went wrong in a way that was foreseen."""


class ProtocolError(TapError):
    """One end broke the rules of the Tap protocol."""


class LocalProtocolError(ProtocolError):
    """We asked for something that the protocol does not allow; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The other end sent something that the protocol does not allow.

    Attributes:
        answer: the result code with which a device may refuse what it could not read (Tap protocol notes §9.6).
    """

    def __init__(self, message: str, *, answer: Status = Status.BAD_REQUEST) -> None:
        super().__init__(message)
        self.answer = answer


class UnprovenDevice(RemoteProtocolError):
    """The device did not prove at a login that it knows the user's verifier (Tap protocol notes §7.3, step 4)."""


class DeviceRefusal(TapError):
    """The device understood the request and did not carry it out.

    Attributes:
        status: the result code of the device, one byte (Tap protocol notes §4).
    """

    def __init__(self, call: str, status: int) -> None:
        super().__init__(f"{call}: the device answered {describe(status)}")
        self.call = call
        self.status = status


class LoginFault(Enum):
    """Why a login was refused, as the result code tells it (Tap protocol notes §4)."""

    WRONG_CREDENTIALS = "wrong user or password"
    TOO_MANY_ATTEMPTS = "too many failures, locked for a while"
    OTHER = "refused for another reason"


LOGIN_FAULTS: Final[dict[int, LoginFault]] = {
    Status.UNAUTHORIZED: LoginFault.WRONG_CREDENTIALS,
    Status.NOT_ACCEPTABLE: LoginFault.WRONG_CREDENTIALS,
    Status.SERVICE_UNAVAILABLE: LoginFault.TOO_MANY_ATTEMPTS,
}


class LoginRefused(DeviceRefusal):
    """The device refused a login.

    Attributes:
        fault: what the result code means at a login.
    """

    def __init__(self, call: str, status: int) -> None:
        super().__init__(call, status)
        self.fault = LOGIN_FAULTS.get(status, LoginFault.OTHER)
