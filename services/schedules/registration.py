"""The webhooks at u-blox: what the settings want, what is there, and the way from one to the other.

Source: Security Services REST APIs 1.1.29, Notification Hook APIs. Each of the six types gets an address of its own,
because a deletion and a new token concern every type of an address. u-blox tells which addresses are registered, but
not with which token; so what was registered last is kept in the ledger, as the hash of a token that has enough random
bits. New addresses come first, then tokens, then old addresses go: at every moment each type has an address that works,
and what comes twice meanwhile has the same receipt.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from pydantic import SecretStr

from infra.ledger import Connection, Ledger
from schemas.errors import ConfigurationError, UpstreamError
from schemas.events import EventType
from schemas.ublox import WebhookLook
from services.clients.transport import Transport
from services.clients.ublox import Ublox

PATH: Final = "/webhooks/ublox"
MARK: Final = "webhook:"

KEEP, CREATE, TOKEN, REMOVE = "keep", "create", "new token", "remove"
_ORDER: Final = (CREATE, TOKEN, REMOVE, KEEP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One registration, and what is to be done about it.

    Attributes:
        types: the notification types that it concerns.
    """

    action: str
    url: str
    types: tuple[str, ...]
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration:
    """What the settings want.

    Attributes:
        base: where u-blox reaches the receiver, without a slash at its end.
        token: the whole Authorization header value that u-blox is to send.
    """

    base: str
    token: SecretStr

    @classmethod
    def of(cls, public_url: str | None, tokens: Sequence[SecretStr]) -> "Registration":
        """Read it from the settings; the first token is the one to be sent.

        Raises:
            ConfigurationError: the public address is missing.
        """
        if public_url is None:
            raise ConfigurationError("KEYTURN_PUBLIC_URL is needed: the https address at which u-blox reaches Keyturn")
        return cls(base=public_url.rstrip("/"), token=tokens[0])

    def url(self, event_type: str) -> str:
        """The address of one type."""
        return f"{self.base}{PATH}/{event_type}"

    @property
    def fingerprint(self) -> str:
        """What tells this token from another, without giving it away."""
        return hashlib.sha256(b"webhook token\n" + self.token.get_secret_value().encode()).hexdigest()


def plan(wanted: Registration, there: Sequence[WebhookLook], known: Mapping[str, str]) -> list[Step]:
    """What is to be done, in the order in which it is to be done; every registration of ours is in it.

    Args:
        wanted: what the settings say.
        there: what u-blox says.
        known: fingerprints of the tokens that we registered, by address.
    """
    urls = {wanted.url(event_type): str(event_type) for event_type in EventType}
    registered: dict[str, set[str]] = {}
    for look in there:
        registered.setdefault(look.url, set()).add(look.type or "")
    steps = [_step(wanted, url, event_type, registered.get(url), known) for url, event_type in urls.items()]
    for url, types in registered.items():
        if url not in urls and (_is_ours(wanted, url) or url in known):
            told = tuple(sorted(types))
            steps.append(
                Step(action=REMOVE, url=url, types=told, why="an address of ours that the settings do not want")
            )
    return sorted(steps, key=lambda step: (_ORDER.index(step.action), step.url))


def _step(wanted: Registration, url: str, event_type: str, types: set[str] | None, known: Mapping[str, str]) -> Step:
    if types is None or (event_type not in types and types != {""}):
        return Step(action=CREATE, url=url, types=(event_type,), why="is not registered")
    if url not in known:
        return Step(action=TOKEN, url=url, types=(event_type,), why="is registered, but not by this ledger")
    if known[url] != wanted.fingerprint:
        return Step(action=TOKEN, url=url, types=(event_type,), why="is registered with another token")
    return Step(action=KEEP, url=url, types=(event_type,), why="is registered with the first token")


def _is_ours(wanted: Registration, url: str) -> bool:
    return url == wanted.base + PATH or url.startswith(f"{wanted.base}{PATH}/")


def known_tokens(ledger: Ledger) -> dict[str, str]:
    """The fingerprints of the tokens that were registered, by address."""
    return {json.loads(value)["url"]: json.loads(value)["token"] for value in ledger.firings.marks(MARK).values()}


def sync(
    wanted: Registration,
    steps: Sequence[Step],
    *,
    ublox: Ublox,
    ledger: Ledger,
    now: datetime,
    told: Callable[[int], None] = lambda _done: None,
) -> None:
    """Do the steps, each remembered before the next begins, so that a run that was cut short goes on.

    Args:
        wanted: what the settings say.
        steps: what is to be done.
        ublox: where.
        ledger: remembers what was done.
        now: the time.
        told: hears before each step, and at the end, how many are done.

    Raises:
        UpstreamError: u-blox did not do one; the earlier ones stand.
    """
    for done, step in enumerate(steps):
        told(done)
        if step.action == CREATE:
            ublox.webhooks.create(step.url, token=wanted.token, event_type=EventType(step.types[0]))
        elif step.action == TOKEN:
            ublox.webhooks.change_token(step.url, token=wanted.token)
        elif step.action == REMOVE:
            ublox.webhooks.delete(step.url)
        with ledger.database.writing() as connection:
            _remember(connection, ledger, step, wanted, now)
    told(len(steps))


def _remember(connection: Connection, ledger: Ledger, step: Step, wanted: Registration, now: datetime) -> None:
    name = MARK + hashlib.sha256(step.url.encode()).hexdigest()[:32]
    if step.action == REMOVE:
        ledger.firings.unmark(connection, name)
    elif step.action != KEEP:
        value = json.dumps({"url": step.url, "token": wanted.fingerprint})
        ledger.firings.mark(connection, name, value, now)


def admits(wanted: Registration, transport: Transport) -> bool | None:
    """Whether the receiver at the public address takes the token already; None where it cannot be asked from here.

    Args:
        wanted: what the settings say.
        transport: built for the public address.
    """
    token = wanted.token.get_secret_value()
    try:
        answer = transport.request("GET", f"/receipts/evt_{0:032}", headers={"Authorization": token}, conceal=(token,))
    except UpstreamError:
        return None
    told: dict[int, bool] = {HTTPStatus.NOT_FOUND: True, HTTPStatus.UNAUTHORIZED: False}
    return told.get(answer.status)


def changes(steps: Sequence[Step]) -> list[Step]:
    """The steps that change something."""
    return [step for step in steps if step.action != KEEP]


def shown(steps: Sequence[Step]) -> list[dict[str, object]]:
    """The steps for JSON; no token is in them."""
    return [asdict(step) for step in steps]
