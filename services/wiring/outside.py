"""The ways to the outside systems, and the tools of operations that go them."""

from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from typing import Final

from pydantic import SecretStr

from infra.ledger import Ledger
from infra.references import resolve
from infra.settings import Settings
from schemas.errors import ConfigurationError
from schemas.references import SecretReference
from services.clients.centagate import Administrator, Centagate
from services.clients.guards import Guards
from services.clients.transport import Bounds
from services.clients.ublox import Dialect, Ublox
from services.fleet import Inventory
from services.fleet.access import FleetTaps
from services.fleet.centagate import FleetCentagate
from services.fleet.mobile_keys import SealedMobileKeys
from services.fleet.twon import FleetTwon
from services.operations import Tools
from services.operations.contract import NO_CENTAGATE, NO_TAPS, NO_TWON, NO_UBLOX
from services.schedules.seen_devices import remembering
from services.wiring.basics import now, open_vault

SYSTEMS: Final = frozenset({"ublox", "tap", "twon", "centagate"})
"""Every outside system; each is also the queue of its jobs."""


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
        dialect=Dialect(scheme=settings.ublox_auth_scheme, by_get=settings.ublox_get_endpoints),
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
        children=ledger.work.children,
        revocations=ledger.certificates.revocations,
        ca_ends=ledger.certificates.ca_ends,
        clock=now,
        renewal_look_every=timedelta(seconds=settings.renewal_look_every),
        renewal_deadline=timedelta(seconds=settings.renewal_deadline),
        doubt=timedelta(seconds=2 * settings.ublox_timeout + 15),
        remember=remembering(ledger, now),
        close=twon.close if twon else lambda: None,
    )
