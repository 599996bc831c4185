"""What does not belong to us: u-blox, CENTAGATE, 2N devices, Taps, and the way from u-blox to our receiver.

Every call passes the guard that the workers' calls pass: also the doctor calls nobody sooner than told.
"""

from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from itertools import islice
from typing import Final

from schemas.errors import ConfigurationError, InputError, NotYet, OurFault, Refused, TryAgain, UpstreamError
from schemas.events import EventType
from services.cli.examination.findings import Finding, fault, ok, unused, warning
from services.cli.examination.inside import MOST_SKEW, Patient
from services.cli.output import counted
from services.clients.guard import GuardedTransport
from services.clients.transport import Bounds, Transport
from services.schedules.registration import KEEP, Registration, admits, known_tokens, plan
from services.wiring import make_centagate, make_taps, make_twon, make_ublox

SAMPLE: Final = 3
"""Devices of a kind that are asked."""

_NO_LINE: Final = "is the address right, is the network open, and does the service's status page say something?"
_WAIT: Final = "wait: the next probe comes by itself"
_BOUNDS: Final = Bounds(connect=5.0, read=10.0, whole=15.0)


def ublox(patient: Patient) -> Iterator[Finding]:
    """Whether u-blox lets us in, whether it has our webhooks, and what time it is there."""
    settings = patient.settings
    if settings.ublox_base_url is None:
        yield unused("u-blox", "KEYTURN_UBLOX_BASE_URL is not set")
        return
    transport = patient.guards.transport(
        "ublox", "u-blox", settings.ublox_base_url, ca_file=settings.ublox_ca_file, bounds=_BOUNDS
    )
    yield from _clock("u-blox clock", patient, transport)
    client = make_ublox(settings, patient.guards)
    try:
        hooks = client.webhooks.walk()
    except UpstreamError as error:
        advice = "correct KEYTURN_UBLOX_API_KEY and KEYTURN_UBLOX_API_SECRET; u-blox support gives new ones"
        yield _trouble("u-blox log-in", error, advice)
        return
    yield ok("u-blox log-in", "lets us in")
    if settings.public_url is None:
        missing = sorted(set(EventType) - {look.type for look in hooks})
        if missing:
            advice = "set KEYTURN_PUBLIC_URL and run: keyturn webhooks sync"
            yield fault("webhooks", f"nothing is registered for {', '.join(missing)}", advice)
        else:
            yield warning("webhooks", "registered, but not by us", "set KEYTURN_PUBLIC_URL to have them checked")
        return
    wanted = Registration.of(settings.public_url, settings.webhook_tokens)
    wrong = [step for step in plan(wanted, hooks, known_tokens(patient.ledger)) if step.action != KEEP]
    if wrong:
        told = "; ".join(f"{step.url} {step.why}" for step in wrong)
        yield fault("webhooks", told, "see: keyturn webhooks plan; then run: keyturn webhooks sync")
    else:
        yield ok("webhooks", "registered as the settings say")


def public_address(patient: Patient) -> Iterator[Finding]:
    """Whether our receiver answers at the address that u-blox is told, and takes what u-blox sends."""
    url = patient.settings.public_url
    if url is None:
        yield unused("public address", "KEYTURN_PUBLIC_URL is not set")
        return
    advice = "does the proxy in front of `keyturn web` run, and pass this address on? From inside it may be closed"
    with closing(Transport(url, bounds=_BOUNDS)) as transport:
        try:
            answer = transport.request("GET", "/healthz")
        except UpstreamError as error:
            yield fault("public address", f"{url}: {error}", advice)
            return
        if answer.status != HTTPStatus.OK or answer.document != {"status": "alive"}:
            yield fault("public address", f"{url} answers {answer.status}, but not as Keyturn does", advice)
            return
        yield _taking(url, admitted=admits(Registration.of(url, patient.settings.webhook_tokens), transport))


def _taking(url: str, *, admitted: bool | None) -> Finding:
    """What to say of a receiver that answers."""
    match admitted:
        case True:
            return ok("public address", f"Keyturn answers at {url}, and takes the webhook token")
        case None:
            return ok(
                "public address", f"Keyturn answers at {url}; whether it takes the webhook token it does not tell"
            )
        case False:
            told = f"{url} refuses the first token of KEYTURN_WEBHOOK_TOKENS: what u-blox sends with it gets 401"
            return fault("public address", told, "restart `keyturn web` there: it runs with other tokens")


def centagate(patient: Patient) -> Iterator[Finding]:
    """Whether CENTAGATE lets us in, and what time it is there."""
    settings = patient.settings
    username = settings.centagate_admin_username
    if settings.centagate_base_url is None or username is None:
        yield unused("CENTAGATE", "KEYTURN_CENTAGATE_BASE_URL is not set")
        return
    transport = patient.guards.transport(
        "centagate", "CENTAGATE", settings.centagate_base_url, ca_file=settings.centagate_ca_file, bounds=_BOUNDS
    )
    yield from _clock("CENTAGATE clock", patient, transport)
    try:
        make_centagate(settings, patient.ledger, patient.guards).tokens_of(username)
    except Refused:
        pass  # it knows no tokens of this user, but it has let us in to say so
    except UpstreamError as error:
        advice = "correct the KEYTURN_CENTAGATE_… of the administrator and of the Web API app"
        yield _trouble("CENTAGATE log-in", error, advice)
        return
    yield ok("CENTAGATE log-in", "lets us in")


def twon(patient: Patient) -> Iterator[Finding]:
    """Whether some 2N devices answer and let us in."""
    devices = list(islice(patient.fleet().twon.values(), SAMPLE))
    if not devices:
        yield unused("2N devices", "the inventory has none")
        return
    with closing(make_twon(patient.settings, patient.ledger, patient.guards)) as access:
        for device in devices:
            check = f"2N device {device.serial}"
            try:
                with access.open(device) as session:
                    seen = session.identify()
            except (UpstreamError, InputError, ConfigurationError) as error:
                yield _trouble(check, error, "correct its address, password or fingerprint in the inventory")
                continue
            if seen.doubt:
                yield fault(check, seen.doubt, "correct the inventory, or the device")
            else:
                yield ok(check, f"lets us in; it has {counted(len(seen.keys), 'key')}")


def taps(patient: Patient) -> Iterator[Finding]:
    """Whether some Taps answer, and are those that the inventory says."""
    serials = list(islice(patient.fleet().taps, SAMPLE))
    if not serials:
        yield unused("Taps", "the inventory has none")
        return
    access = make_taps(patient.settings, patient.ledger, patient.guards)
    for serial in serials:
        check = f"Tap {serial}"
        try:
            with access.open(serial) as session:
                found = session.serial
        except (UpstreamError, InputError, ConfigurationError) as error:
            yield _trouble(check, error, "correct its address in the inventory")
            continue
        if found != serial:
            yield fault(check, f"{found} answers at its address", "correct its address in the inventory")
        else:
            yield ok(check, "answers")


def _clock(check: str, patient: Patient, transport: GuardedTransport) -> Iterator[Finding]:
    """What time an upstream says it is; one that cannot be asked is told of by its log-in."""
    try:
        told = transport.request("HEAD", "/").server_time
    except NotYet as error:
        yield warning(check, str(error), _WAIT)
        return
    except UpstreamError:
        told = None
    if told is None:
        yield unused(check, "it does not tell the time")
        return
    skew = abs(patient.clock() - told)
    if skew > MOST_SKEW:
        text = f"differs from ours by {skew.total_seconds():.0f} s: sessions seem to end too early or too late"
        yield fault(check, text, "set this machine's clock by NTP")
    else:
        yield ok(check, f"differs from ours by {skew.total_seconds():.0f} s")


def _trouble(check: str, error: Exception, advice: str) -> Finding:
    """Name a failure: an address that nobody answers at wants another remedy than a password that is wrong."""
    match error:
        case NotYet():
            return warning(check, str(error), _WAIT)
        case TryAgain():
            return fault(check, str(error), _NO_LINE)
        case OurFault(status=None):
            return fault(check, str(error), _NO_LINE)
        case _:
            return fault(check, str(error), advice)
