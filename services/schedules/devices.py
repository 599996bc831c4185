"""Asks u-blox about every device of the account, a hundred at a time; one that it refuses spoils no other's answer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from schemas.errors import Busy, Refused
from schemas.ublox import BATCH
from services.clients.ublox import Ublox
from services.operations.bulk import in_halves

T = TypeVar("T")


class Devices:
    """The devices of the account, as one run of an action meets them.

    Attributes:
        met: how many there were so far.
        refused: those of which nothing is told, with what u-blox says.
    """

    def __init__(self, ublox: Ublox) -> None:
        self._ublox = ublox
        self.met = 0
        self.refused: dict[str, str] = {}

    def asked(self, call: Callable[[Sequence[str]], T], uids: Iterable[str] | None = None) -> Iterator[T]:
        """The answers of a call for all devices; a batch that is refused is halved until who causes it stands alone.

        Args:
            call: asks u-blox about some devices.
            uids: these devices instead of those of the account.

        Raises:
            UpstreamError: it holds for more than one device.
        """
        left = self._ublox.devices.walk() if uids is None else iter(uids)
        while batch := list(islice(left, BATCH)):
            self.met += len(batch)
            yield from self.asked_of(batch, call)

    def asked_of(self, uids: Sequence[str], call: Callable[[Sequence[str]], T]) -> Iterator[T]:
        """As of `asked`, for some devices."""
        for start in range(0, len(uids), BATCH):
            answers: list[T] = []
            sent = in_halves(uids[start : start + BATCH], _gathering(call, answers))
            yield from answers
            for uid, error in sent.errors.items():
                if not isinstance(error, Refused | Busy):
                    raise error
                self.refused[uid] = str(error)

    def told(self) -> dict[str, object]:
        """What belongs into a firing's detail."""
        return {"devices": self.met} | ({"refused": self.refused} if self.refused else {})


def _gathering(call: Callable[[Sequence[str]], T], answers: list[T]) -> Callable[[Sequence[str]], None]:
    return lambda part: answers.append(call(part))
