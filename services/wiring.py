"""Makes every tool from the settings, in one place. Nothing opens at import."""

import os
import secrets
import socket
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from celery import Celery
from pydantic import SecretStr

from infra.broker import Ring, make_celery
from infra.ledger import Ledger, check_schema
from infra.references import resolve
from infra.settings import Settings
from infra.vault import KeyRing, Vault
from schemas.errors import ConfigurationError
from schemas.references import SecretReference
from services.clients.centagate import Administrator, Centagate
from services.clients.guards import Guards
from services.clients.transport import Bounds
from services.clients.ublox import Ublox
from services.fleet import Inventory
from services.fleet.access import FleetTaps
from services.fleet.centagate import FleetCentagate
from services.fleet.mobile_keys import SealedMobileKeys
from services.fleet.twon import FleetTwon
from services.operations import PARAMETERS, Tools
from services.operations.contract import NO_CENTAGATE, NO_TAPS, NO_TWON, NO_UBLOX
from services.planner import Planner
from services.playbook import ActivePlaybook, Playbook, default_text, load_playbook, read_text
from services.runner import Runner, Terms
from services.schedules import Beat, Means, Performer, Wanted
from services.schedules import Terms as ScheduleTerms
from services.settling import Patience
from services.triggers import Desk, Looker

SYSTEMS: Final = frozenset({"ublox", "tap", "twon", "centagate"})
"""Every outside system; each is also the queue of its jobs."""


def now() -> datetime:
    """The time of this machine, with its zone."""
    return datetime.now(UTC)


def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger and make sure that its schema is ours.

    Raises:
        ConfigurationError: it has another schema.
        LedgerUnavailable: it cannot be reached.
    """
    ledger = Ledger(settings.database_url.get_secret_value())
    check_schema(ledger.database)
    return ledger


def open_vault(settings: Settings, ledger: Ledger) -> Vault:
    """Open the vault in the ledger.

    Raises:
        ConfigurationError: there is no key ring, or it has faults.
    """
    if settings.vault_keys is None:
        raise ConfigurationError(
            "KEYTURN_VAULT_KEYS (or KEYTURN_VAULT_KEYS_FILE) is needed to open the vault:"
            " 'keyturn vault new-key' makes its first line"
        )
    return Vault(ledger.secrets, KeyRing.parse(settings.vault_keys.get_secret_value()), clock=now)


def make_broker(settings: Settings) -> Celery:
    """Make the Celery application, without tasks."""
    return make_celery(settings.redis_url.get_secret_value(), sweep_every=settings.sweep_every)


def load_active_playbook(settings: Settings) -> Playbook:
    """Load the settings' own playbook, which is in force where none was ever activated.

    Raises:
        InputError: it has faults.
    """
    return load_playbook(settings_text(settings), operations=PARAMETERS)


def settings_text(settings: Settings) -> str:
    """The text of the settings' own playbook, or of the one that is shipped.

    Raises:
        InputError: the file cannot be read.
    """
    return read_text(settings.playbook_file) if settings.playbook_file else default_text()


def active_playbook(settings: Settings, ledger: Ledger) -> ActivePlaybook:
    """Make what gives the playbook in force."""

    def load(text: str) -> Playbook:
        return load_playbook(text, operations=PARAMETERS)

    return ActivePlaybook(ledger, default=lambda: load_active_playbook(settings), load=load)


def make_desk(settings: Settings, ledger: Ledger, *, clock: Callable[[], datetime] = now) -> Desk:
    """Make the desk where manual triggers are asked for; it asks no outside system before somebody wants diffs."""
    rules = active_playbook(settings, ledger)
    looker = Looker(lambda system: make_tools(settings, ledger, serves={system}), clock=clock)
    return Desk(ledger, fleet=Inventory(ledger).current, playbook=rules, clock=clock, looker=looker)


def make_ublox(settings: Settings, guards: Guards | None = None) -> Ublox:
    """Make the u-blox client.

    Raises:
        ConfigurationError: no upstream is configured.
    """
    key, secret = settings.ublox_api_key, settings.ublox_api_secret
    if settings.ublox_base_url is None or key is None or secret is None:
        raise ConfigurationError(
            "KEYTURN_UBLOX_BASE_URL, KEYTURN_UBLOX_API_KEY and KEYTURN_UBLOX_API_SECRET are needed by a worker of the"
            " queue ublox"
        )
    guards = guards or Guards(settings)
    bounds = Bounds(read=settings.ublox_timeout, whole=2 * settings.ublox_timeout)
    url, ca_file = settings.ublox_base_url, settings.ublox_ca_file
    return Ublox(
        settings.ublox_base_url,
        api_key=key,
        api_secret=secret,
        transport=guards.transport("ublox", "u-blox", url, ca_file=ca_file, bounds=bounds),
        scheme=settings.ublox_auth_scheme,
        coordination=guards.coordination,
    )


def make_taps(settings: Settings, ledger: Ledger, guards: Guards | None = None) -> FleetTaps:
    """Make the way to every Tap of the inventory; who stands before one with a command needs no guard.

    Raises:
        ConfigurationError: the key ring has faults.
    """
    guard = guards.of("tap", "Tap") if guards else None
    return FleetTaps(Inventory(ledger).current, _revealer(settings, ledger), guard=guard)


def make_twon(settings: Settings, ledger: Ledger, guards: Guards | None = None) -> FleetTwon:
    """Make the way to every 2N device of the inventory; guards as of `make_taps`.

    Raises:
        ConfigurationError: there is no key ring for the keys that Keyturn makes, or it has faults.
    """
    vault = open_vault(settings, ledger)
    store = SealedMobileKeys(ledger.mobile_keys, vault)
    reveal = partial(resolve, vault=vault)
    guard = guards.of("twon", "2N device") if guards else None
    return FleetTwon(Inventory(ledger).current, reveal, store, threads=settings.worker_threads, guard=guard)


def make_centagate(settings: Settings, ledger: Ledger, guards: Guards | None = None) -> FleetCentagate:
    """Make the way to CENTAGATE.

    Raises:
        ConfigurationError: no CENTAGATE is configured, or the key ring has faults.
    """
    url, username, password = (
        settings.centagate_base_url,
        settings.centagate_admin_username,
        settings.centagate_admin_password,
    )
    integration_key, secret_key = settings.centagate_integration_key, settings.centagate_secret_key
    if not (url and username and password and integration_key and secret_key):
        raise ConfigurationError(
            "KEYTURN_CENTAGATE_BASE_URL and what belongs to it are needed by a worker of the queue centagate"
        )
    guards = guards or Guards(settings)
    bounds = Bounds(read=settings.centagate_timeout, whole=2 * settings.centagate_timeout)
    client = Centagate(
        url,
        administrator=Administrator(
            username=username, password=password, integration_key=integration_key, secret_key=secret_key
        ),
        transport=guards.transport("centagate", "CENTAGATE", url, ca_file=settings.centagate_ca_file, bounds=bounds),
        prefix=settings.centagate_prefix,
        auth_prefix=settings.centagate_auth_prefix,
        coordination=guards.coordination,
    )
    return FleetCentagate(Inventory(ledger).current, client, reveal=_revealer(settings, ledger))


def _revealer(settings: Settings, ledger: Ledger) -> Callable[[SecretReference], SecretStr]:
    """What fetches secrets; without a key ring, whoever needs the vault is told so."""
    return partial(resolve, vault=open_vault(settings, ledger) if settings.vault_keys else None)


def make_planner(settings: Settings, ledger: Ledger, ring: Ring) -> Planner:
    """Make the planner with the playbook in force."""
    rules = active_playbook(settings, ledger)
    rules()  # a fault is found now, not at the first event
    return Planner(ledger, rules, ring=ring, clock=now)


def make_tools(
    settings: Settings, ledger: Ledger, guards: Guards | None = None, *, serves: Collection[str] = SYSTEMS
) -> Tools:
    """Make the tools of operations: the way to each outside system that is served and configured, behind its guard.

    Raises:
        ConfigurationError: the settings of one are there in part, or the key ring has faults.
    """
    guards = guards or Guards(settings)
    twon = make_twon(settings, ledger, guards) if "twon" in serves and settings.vault_keys else None
    ublox = make_ublox(settings, guards) if "ublox" in serves and settings.ublox_base_url else None
    centagate = "centagate" in serves and settings.centagate_base_url
    return Tools(
        ublox=ublox or NO_UBLOX,
        taps=make_taps(settings, ledger, guards) if "tap" in serves else NO_TAPS,
        twon=twon or NO_TWON,
        centagate=make_centagate(settings, ledger, guards) if centagate else NO_CENTAGATE,
        note=ledger.work.note,
        clock=now,
        renewal_look_every=timedelta(seconds=settings.renewal_look_every),
        renewal_deadline=timedelta(seconds=settings.renewal_deadline),
        doubt=timedelta(seconds=2 * settings.ublox_timeout + 15),
        close=twon.close if twon else lambda: None,
    )


def make_runner(
    settings: Settings,
    ledger: Ledger,
    ring: Ring,
    guards: Guards | None = None,
    *,
    serves: Collection[str] = SYSTEMS,
) -> Runner:
    """Make the runner with the tools of the queues that it serves."""
    guards = guards or Guards(settings)
    tools = make_tools(settings, ledger, guards, serves=serves)
    terms = Terms(
        worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        lease=timedelta(seconds=settings.lease),
        linger=settings.bulk_linger,
        patience=Patience(max_attempts=settings.max_attempts, base=settings.retry_base, cap=settings.retry_cap),
    )
    return Runner(ledger, tools, terms, ring=ring, clock=now, meters=guards.meters)


def make_beat(settings: Settings, ledger: Ledger, ring: Ring) -> Beat:
    """Make what fires schedules."""
    return Beat(ledger, ring=ring, wanted=Wanted(ledger, active_playbook(settings, ledger)))


def make_performer(
    settings: Settings,
    ledger: Ledger,
    ring: Ring,
    guards: Guards | None = None,
    *,
    serves: Collection[str] = SYSTEMS,
) -> Performer:
    """Make what does the work of schedules; only a worker of the queue ublox has a u-blox client."""
    means = Means(
        ledger=ledger,
        ublox=make_ublox(settings, guards) if "ublox" in serves and settings.ublox_base_url else NO_UBLOX,
        ring=ring,
        clock=now,
        playbook=active_playbook(settings, ledger),
        fleet=Inventory(ledger).current,
        retention=timedelta(days=settings.retention_days),
        newest_seal=_newest_seal(settings),
        public_url=settings.public_url,
        webhook_tokens=settings.webhook_tokens,
    )
    return Performer(means, _terms_of_schedules(settings))


def _newest_seal(settings: Settings) -> str | None:
    return KeyRing.parse(settings.vault_keys.get_secret_value()).newest.id if settings.vault_keys else None


def _terms_of_schedules(settings: Settings) -> ScheduleTerms:
    return ScheduleTerms(
        worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        lease=timedelta(seconds=settings.lease),
        patience=Patience(max_attempts=settings.max_attempts, base=settings.retry_base, cap=settings.retry_cap),
    )
