"""Bulk calls: a batch that is refused or busy is halved until the device that causes it stands alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from schemas.errors import Busy, Refused, UpstreamError

T = TypeVar("T")


class Unsent(UpstreamError):
    """We stopped before a call: its devices and those not yet sent wait for a later attempt; nobody failed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, call="", sent=False)


@dataclass(slots=True)
class Sent(Generic[T]):
    """What became of each device of a batch: an answer or an error.

    Attributes:
        unsent: devices whose error is that of another call, after which theirs was not made.
    """

    answers: dict[str, T] = field(default_factory=dict)
    errors: dict[str, UpstreamError] = field(default_factory=dict)
    unsent: frozenset[str] = frozenset()


def in_halves(uids: Sequence[str], call: Callable[[Sequence[str]], T]) -> Sent[T]:
    """Send `uids` in one call; where the system refuses or is busy, in two of half the size, and so on.

    Any other failure is not the fault of a device: it holds for the devices of that call and of those not yet sent.
    """
    sent: Sent[T] = Sent()
    waiting = [list(uids)] if uids else []
    while waiting:
        part = waiting.pop()
        try:
            answer = call(part)
        except (Refused, Busy) as error:
            if len(part) == 1:
                sent.errors[part[0]] = error
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
        except UpstreamError as error:
            sent.unsent = frozenset(uid for rest in waiting for uid in rest)
            sent.errors.update(dict.fromkeys([*part, *sent.unsent], error))
            break
        else:
            sent.answers.update(dict.fromkeys(part, answer))
    return sent


def looks_of(sent: Sent[dict[str, T]]) -> list[T]:
    """What was answered of each device that an answer tells of."""
    return [answer[uid] for uid, answer in sent.answers.items() if uid in answer]
