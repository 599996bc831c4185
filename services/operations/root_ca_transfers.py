"""The transfers that a roll of a root CA has begun: which devices may begin one, which wait for a person."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from schemas.jobs import Child, State

MOST_SUCCEEDED: Final = 2
"""How often a device is transferred at most: one that then still needs the old CA is for a person to look at."""

_OPEN: Final = frozenset({State.HELD, State.DUE, State.RUNNING, State.AWAITING})
_FOR_A_PERSON: Final = frozenset({State.PARKED, State.CANCELLED})


class Transfers:
    """The children of a roll, device by device."""

    def __init__(self, children: Iterable[Child]) -> None:
        self._families = defaultdict[str, list[Child]](list)
        for child in children:  # the oldest first
            self._families[child.target].append(child)

    def are_over(self, uid: str) -> bool:
        """Whether a device had transfers and none is under way; one that has looks for itself."""
        family = self._families[uid]
        return bool(family) and not _is_open(family)

    def stuck(self, uids: Iterable[str]) -> list[Child]:
        """The last transfer of each of these devices that waits for a person."""
        return [family[-1] for uid in uids if _is_stuck(family := self._families[uid])]

    def fresh(self, uids: Iterable[str]) -> list[str]:
        """Those of these devices whose transfer may begin."""
        families = ((uid, self._families[uid]) for uid in uids)
        return [uid for uid, family in families if not _is_open(family) and not _is_stuck(family)]

    def passed_over(self, known: dict[str, Any], *, fresh: int) -> int:
        """How many fresh devices to pass over: others' jobs served them when they were wished for in this round.

        Keeps the count in the roll's progress, beside how many it has ``made`` up to now.
        """
        made, passed = sum(map(len, self._families.values())), 0
        if "wished" in known:
            passed = int(known["passed"]) + int(known["wished"]) - (made - int(known["made"]))
        known |= {"made": made, "passed": passed if 0 < passed < fresh else 0}
        return int(known["passed"])


def _is_stuck(family: Sequence[Child]) -> bool:
    """Whether a device waits for a person: its last transfer ended without success, or success changed nothing."""
    if not family or family[-1].state in _OPEN:
        return False
    succeeded = sum(child.state is State.SUCCEEDED for child in family)
    return family[-1].state in _FOR_A_PERSON or succeeded >= MOST_SUCCEEDED


def _is_open(family: Sequence[Child]) -> bool:
    return any(child.state in _OPEN for child in family)
