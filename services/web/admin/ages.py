"""Keys and certificates over the API: their ages and ends."""

from datetime import UTC, datetime
from typing import Final

from infra.vault import KeyRing
from schemas.access import Role
from schemas.ages import KeysAndCertificates, LocationKeys, Renewal, RingKeyUse, TokenEnd
from schemas.errors import ConfigurationError
from services.web.admin.contract import Answer, Call, Route
from services.web.admin.problems import Problem

MOST_SHOWN: Final = 1_000

_LAST: Final = datetime.max.replace(tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def show_ages(call: Call) -> Answer:
    """Tell how old keys are and what ends when."""
    now, ledger = call.means.clock(), call.ledger
    locations = sorted(ledger.ages.locations(), key=lambda one: (one.since or _FIRST, one.location))
    renewals = sorted(ledger.ages.renewals(), key=lambda one: (one.expires_at or _LAST, one.job))
    body = KeysAndCertificates(
        at=now,
        locations=len(locations),
        mobile_keys=[
            LocationKeys(
                location=one.location,
                keys=one.keys,
                waiting=one.waiting,
                primary_since=one.since,
                age_days=None if one.since is None else (now - one.since).days,
            )
            for one in locations[:MOST_SHOWN]
        ],
        vault=_ring(call),
        renewals_open=len(renewals),
        renewals=[
            Renewal(
                job=one.job,
                target=one.target,
                site=one.site,
                state=one.state,
                reason=one.reason,
                expires_at=one.expires_at,
                days_left=None if one.expires_at is None else (one.expires_at - now).days,
            )
            for one in renewals[:MOST_SHOWN]
        ],
        webhook_tokens=[
            TokenEnd(id=one.id, name=one.name, created_at=one.created_at, ends_at=one.ends_at, living=one.lives(now))
            for one in ledger.hook_tokens.list()
        ],
        webhook_tokens_of_settings=len(call.means.settings.webhook_tokens),
    )
    return Answer(body=body)


def _ring(call: Call) -> list[RingKeyUse]:
    keys = call.means.settings.vault_keys
    try:
        ids = () if keys is None else KeyRing.parse(keys.get_secret_value()).ids
    except ConfigurationError as error:
        raise Problem(409, f"the vault's key ring has faults: {error}") from None
    used = call.ledger.secrets.counts()
    return [
        RingKeyUse(id=key, in_ring=key in ids, newest=key == next(iter(ids), None), secrets=used.get(key, 0))
        for key in dict.fromkeys((*ids, *sorted(used)))
    ]


ROUTES: Final = (
    Route(
        method="GET",
        path="/keys-and-certificates",
        role=Role.VIEWER,
        handler=show_ages,
        summary="Show the ages of mobile and vault keys, and the ends of certificates and webhook tokens",
        response=KeysAndCertificates,
        problems={409: "The vault's key ring has faults."},
        tag="keys and certificates",
    ),
)
