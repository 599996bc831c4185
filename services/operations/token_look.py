"""What CENTAGATE shows of one wanted token.

No document says what ``user/auth/list`` and ``token/getStatus`` show. Assumed: an entry of the list with our number is
our token; an entry of another kind is not; an entry that hides its number may be anybody's. The status of the list's
entry is believed, else getStatus is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.centagate import Match, TokenLook, TokenStatus, compare
from services.operations.centagate_access import CentagateAccess, TokenOrder

_ORDER: Final = (Match.SAME, Match.FITS, Match.HIDDEN, Match.OTHER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What is seen of the wanted token.

    Attributes:
        there: whether the user has a token of this kind; None where the service does not say.
        match: how its number relates to the wanted one.
        status: None where the service does not say.
    """

    there: bool | None
    match: Match = Match.HIDDEN
    status: TokenStatus | None = None

    @property
    def in_force(self) -> bool:
        """Whether it is there and nothing is shown that keeps it from working."""
        return self.there is True and self.status in {TokenStatus.VALID, None}


def look(order: TokenOrder, centagate: CentagateAccess) -> Seen:
    """Look for a token.

    Raises:
        UpstreamError: the service could not be asked.
    """
    listed = centagate.tokens_of(order.username)
    entry, match = _nearest(order, listed or ())
    if entry is None and listed is not None:
        return Seen(there=False)
    if entry is not None and entry.status is not None:
        return Seen(there=True, match=match, status=entry.status)
    asked = centagate.get_status(order.username, order.type.status_type)
    if asked is None:
        return Seen(there=entry is not None, match=match)
    if match is Match.HIDDEN:
        match = compare(asked.number, order.number)
    told = entry is not None or asked.status is not None or asked.number is not None
    return Seen(there=True if told else None, match=match, status=asked.status)


def _nearest(order: TokenOrder, listed: Sequence[TokenLook]) -> tuple[TokenLook | None, Match]:
    """The entry that can most likely be ours: of our kind, or of an untold kind with a number."""
    kind = order.type.status_type
    ours = [one for one in listed if one.type is kind or (one.type is None and one.number is not None)]
    matched = [(one, compare(one.number, order.number)) for one in ours]
    certain = [(one, match) for one, match in matched if one.type is kind or match is Match.SAME]
    return min(certain, key=lambda pair: _ORDER.index(pair[1]), default=(None, Match.HIDDEN))
