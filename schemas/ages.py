"""How old keys are and when certificates and tokens end, as far as the ledger knows."""

from datetime import datetime

from schemas.admin import Id, Shape
from schemas.jobs import State


class LocationKeys(Shape):
    """The mobile keys of a 2N location.

    Attributes:
        keys: how many are on its list.
        waiting: how many were made and are not primary everywhere yet.
        age_days: of the primary key; null where none is known.
    """

    location: str
    keys: int
    waiting: int
    primary_since: datetime | None
    age_days: int | None


class RingKeyUse(Shape):
    """What a key of the vault's ring seals.

    Attributes:
        in_ring: false: the settings do not hold it, so its secrets do not open.
    """

    id: str
    in_ring: bool
    newest: bool
    secrets: int


class Renewal(Shape):
    """The renewal of a certificate that is under way, or stands until a person says so.

    Attributes:
        expires_at: when the certificate ends, as the event said or it was seen last; null where nobody knew.
    """

    job: Id
    target: str
    site: str | None
    state: State
    reason: str
    expires_at: datetime | None
    days_left: int | None


class TokenEnd(Shape):
    """Until when a webhook token holds."""

    id: str
    name: str
    created_at: datetime
    ends_at: datetime | None
    living: bool


class KeysAndCertificates(Shape):
    """Ages and ends.

    Attributes:
        locations: how many 2N locations have keys; `mobile_keys` has the first thousand, the oldest primary first.
        renewals_open: how many renewals there are; `renewals` has the first thousand, the nearest end first.
        webhook_tokens_of_settings: how many more tokens the settings hold; they do not end by themselves.
    """

    at: datetime
    locations: int
    mobile_keys: list[LocationKeys]
    vault: list[RingKeyUse]
    renewals_open: int
    renewals: list[Renewal]
    webhook_tokens: list[TokenEnd]
    webhook_tokens_of_settings: int
