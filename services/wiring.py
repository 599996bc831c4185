"""Makes every tool from the settings, in one place. Nothing opens at import."""

import os
import secrets
import socket
from datetime import UTC, datetime, timedelta

from celery import Celery

from infra.broker import Ring, make_celery
from infra.coordination import Coordination
from infra.ledger import Ledger, check_schema
from infra.settings import Settings
from schemas.errors import ConfigurationError
from schemas.fleet import Fleet
from services.clients.transport import Bounds, Transport
from services.clients.ublox import Ublox
from services.fleet import load_fleet
from services.fleet.access import FleetTaps
from services.operations import PARAMETERS, Tools
from services.operations.contract import NO_TAPS, NO_UBLOX
from services.planner import Planner
from services.playbook import Playbook, default_text, load_playbook, read_text
from services.runner import Runner, Terms
from services.settling import Patience


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


def make_broker(settings: Settings) -> Celery:
    """Make the Celery application, without tasks."""
    return make_celery(settings.redis_url.get_secret_value(), sweep_every=settings.sweep_every)


def load_active_playbook(settings: Settings) -> Playbook:
    """Load the playbook that is in force.

    Raises:
        InputError: it has faults.
    """
    text = read_text(settings.playbook_file) if settings.playbook_file else default_text()
    return load_playbook(text, operations=PARAMETERS, fleet=load_active_fleet(settings))


def load_active_fleet(settings: Settings) -> Fleet | None:
    """Load the fleet file, where there is one.

    Raises:
        InputError: it has faults.
    """
    return load_fleet(settings.fleet_file) if settings.fleet_file else None


def make_ublox(settings: Settings) -> Ublox:
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
    bounds = Bounds(read=settings.ublox_timeout, whole=2 * settings.ublox_timeout)
    return Ublox(
        settings.ublox_base_url,
        api_key=key,
        api_secret=secret,
        transport=Transport(settings.ublox_base_url, ca_file=settings.ublox_ca_file, bounds=bounds),
        scheme=settings.ublox_auth_scheme,
        coordination=Coordination(settings.redis_url.get_secret_value()),
    )


def make_taps(settings: Settings) -> FleetTaps:
    """Make the way to every Tap.

    Raises:
        ConfigurationError: there is no fleet file.
        InputError: it has faults.
    """
    fleet = load_active_fleet(settings)
    if fleet is None:
        raise ConfigurationError("KEYTURN_FLEET_FILE is needed by a worker of the queue tap")
    return FleetTaps(fleet)


def make_planner(settings: Settings, ledger: Ledger, ring: Ring) -> Planner:
    """Make the planner with the playbook in force."""
    return Planner(ledger, load_active_playbook(settings), ring=ring, clock=now)


def make_runner(settings: Settings, ledger: Ledger, ring: Ring) -> Runner:
    """Make the runner with its tools."""
    tools = Tools(
        ublox=make_ublox(settings) if settings.ublox_base_url else NO_UBLOX,
        taps=make_taps(settings) if settings.fleet_file else NO_TAPS,
        note=ledger.work.note,
        clock=now,
        renewal_look_every=timedelta(seconds=settings.renewal_look_every),
        renewal_deadline=timedelta(seconds=settings.renewal_deadline),
        doubt=timedelta(seconds=2 * settings.ublox_timeout + 15),
    )
    terms = Terms(
        worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        lease=timedelta(seconds=settings.lease),
        linger=settings.bulk_linger,
        patience=Patience(max_attempts=settings.max_attempts, base=settings.retry_base, cap=settings.retry_cap),
    )
    return Runner(ledger, tools, terms, ring=ring, clock=now)
