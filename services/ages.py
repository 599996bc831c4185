"""How old keys are and what ends when, for a person."""

from datetime import UTC, datetime
from typing import Final

from infra.ledger import Ledger
from infra.settings import Settings
from infra.vault import KeyRing
from schemas.ages import KeysAndCertificates, LocationKeys, Renewal, RingKeyUse, TokenEnd

MOST_SHOWN: Final = 1_000

_LAST: Final = datetime.max.replace(tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def keys_and_certificates(ledger: Ledger, settings: Settings, now: datetime) -> KeysAndCertificates:
    """Tell how old mobile and vault keys are, and when certificates and webhook tokens end.

    Raises:
        ConfigurationError: the vault's key ring has faults.
    """
    locations = sorted(ledger.ages.locations(), key=lambda one: (one.since or _FIRST, one.location))
    renewals = sorted(ledger.ages.renewals(), key=lambda one: (one.expires_at or _LAST, one.job))
    return KeysAndCertificates(
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
        vault=_ring(ledger, settings),
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
        webhook_tokens_of_settings=len(settings.webhook_tokens),
    )


def _ring(ledger: Ledger, settings: Settings) -> list[RingKeyUse]:
    keys = settings.vault_keys
    ids = () if keys is None else KeyRing.parse(keys.get_secret_value()).ids
    used = ledger.secrets.counts()
    return [
        RingKeyUse(id=key, in_ring=key in ids, newest=key == next(iter(ids), None), secrets=used.get(key, 0))
        for key in dict.fromkeys((*ids, *sorted(used)))
    ]
