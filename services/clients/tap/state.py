"""The law of the conversation, as tables (Tap protocol notes §1, §7.3, §8.3).

Theory of operation. A connection has two states and remembers one session.

*Turn*: who is to speak. One request is outstanding at a time, and the device never speaks unasked (§1).
``TURNS`` holds every lawful move; what is not in it is a ``LocalProtocolError``. A fault of the other end leads to
``UNREADABLE`` where the device knows where the next frame begins and may still refuse this one, else to ``BROKEN``,
which has no way out: open a new line.

*Login*: ``/1024//40`` and then ``/1024//41``, each a success; only then may a session start under the key that both
ends computed (§7.3). ``LOGINS`` holds the moves.

*Session*: key, IVs and frame number, in ``channel``. ``EFFECTS`` says which completed exchange changes it. An effect
comes after the answer has been sealed by the device and opened by the client, so an answer always travels under the key
and IV in force before its request acted (§14.1).
"""

from enum import Enum
from typing import Final

from services.clients.tap.events import Event, Method, Paired, Pairing, Refusal, Request, Response, Role
from services.clients.tap.paths import Path

LOGOUT_PATH: Final = Path(1024, None, 1)
SECURITY_PATH: Final = Path(1024, None, 6)
LOGIN_PATH: Final = Path(1024, None, 40)
PROOF_PATH: Final = Path(1024, None, 41)
ITERATION_PATH: Final = Path(1024, None, 42)
SEND_WITH_IV_PATH: Final = Path(1024, None, 44)
SET_IV_PATH: Final = Path(1024, None, 45)
INITIALIZE_PATH: Final = Path(1024, None, 47)
SEND_PATH: Final = Path(1024, None, 48)
MULTI_PATH: Final = Path(1024, None, 89)


class Turn(Enum):
    """Who is to speak."""

    IDLE = "the client may ask"
    ASKED = "the device owes an answer"
    PAIRING = "the device owes the answer to a pairing"
    UNREADABLE = "the device owes a refusal"
    BROKEN = "the line is of no more use"


TURNS: Final[dict[tuple[Turn, type[Event]], Turn]] = {
    (Turn.IDLE, Request): Turn.ASKED,
    (Turn.ASKED, Response): Turn.IDLE,
    (Turn.ASKED, Refusal): Turn.IDLE,
    (Turn.IDLE, Pairing): Turn.PAIRING,
    (Turn.PAIRING, Paired): Turn.IDLE,
    (Turn.UNREADABLE, Refusal): Turn.IDLE,
}

SPEAKERS: Final[dict[type[Event], Role]] = {
    Request: Role.CLIENT,
    Pairing: Role.CLIENT,
    Response: Role.DEVICE,
    Refusal: Role.DEVICE,
    Paired: Role.DEVICE,
}

LISTENS: Final[frozenset[tuple[Role, Turn]]] = frozenset(
    {(Role.DEVICE, Turn.IDLE), (Role.CLIENT, Turn.ASKED), (Role.CLIENT, Turn.PAIRING)}
)
"""When bytes that arrive mean something; at any other time it is our turn."""


class Kind(Enum):
    """The exchanges that matter to the session; all others are ordinary."""

    LOGIN = "login"
    PROOF = "proof"
    SET_IV = "set initialization vector"
    INITIALIZE = "initialize"
    LOGOUT = "logout"
    ORDINARY = "ordinary"


KINDS: Final[dict[tuple[Method, Path], Kind]] = {
    (Method.GET, LOGIN_PATH): Kind.LOGIN,
    (Method.GET, PROOF_PATH): Kind.PROOF,
    (Method.GET, SET_IV_PATH): Kind.SET_IV,
    (Method.GET, INITIALIZE_PATH): Kind.INITIALIZE,
    (Method.POST, LOGOUT_PATH): Kind.LOGOUT,
}


class Login(Enum):
    """How far a login has come."""

    NONE = "no login under way"
    CHALLENGED = "the device has sent its nonce"
    PROVEN = "both have proved themselves; the session may start"


LOGINS: Final[dict[tuple[Login, Kind], Login]] = {
    (Login.NONE, Kind.LOGIN): Login.CHALLENGED,
    (Login.CHALLENGED, Kind.LOGIN): Login.CHALLENGED,
    (Login.PROVEN, Kind.LOGIN): Login.CHALLENGED,
    (Login.CHALLENGED, Kind.PROOF): Login.PROVEN,
    (Login.CHALLENGED, Kind.INITIALIZE): Login.NONE,
    (Login.PROVEN, Kind.INITIALIZE): Login.NONE,
    (Login.CHALLENGED, Kind.LOGOUT): Login.NONE,
    (Login.PROVEN, Kind.LOGOUT): Login.NONE,
}
"""After a success of that kind; a kind that is not named leaves the login where it is, a failed one ends it."""


class Effect(Enum):
    """What a completed, successful exchange does to the session (§8.3)."""

    NEW_KEY = "the answer is the key; number 0, both IVs zero"
    NEW_IVS = "the bodies are the new IVs"
    END = "key forgotten, both IVs zero"


EFFECTS: Final[dict[Kind, Effect]] = {
    Kind.INITIALIZE: Effect.NEW_KEY,
    Kind.SET_IV: Effect.NEW_IVS,
    Kind.LOGOUT: Effect.END,
}


class Form(Enum):
    """How a request travels."""

    CLEAR = "as it is"
    SEALED = "in GET /1024//48, under the IVs of the session"
    SEALED_WITH_IV = "in GET /1024//44, under IVs of its own"


WRAPPERS: Final[dict[Path, Form]] = {SEND_PATH: Form.SEALED, SEND_WITH_IV_PATH: Form.SEALED_WITH_IV}


def kind_of(request: Request) -> Kind:
    """Say what an exchange means to the session."""
    return KINDS.get((request.method, request.path), Kind.ORDINARY)


def form_of(request: Request) -> Form:
    """Say in which form a request that was read in clear has travelled."""
    return WRAPPERS.get(request.path, Form.CLEAR) if request.method is Method.GET else Form.CLEAR
