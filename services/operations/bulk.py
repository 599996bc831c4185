"""Bulk calls: a refused batch is halved until the bad device stands alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from schemas.errors import Refused, UpstreamError

T = TypeVar("T")


@dataclass(slots=True)
class Sent(Generic[T]):
    """What became of each device of a batch: an answer or an error."""

    answers: dict[str, T] = field(default_factory=dict)
    errors: dict[str, UpstreamError] = field(default_factory=dict)


def in_halves(uids: Sequence[str], call: Callable[[Sequence[str]], T]) -> Sent[T]:
    """Send `uids` in one call; where the system refuses, in two of half the size, and so on.

    Any other failure is not the fault of a device: it holds for the devices of that call and of those not yet sent.
    """
    sent: Sent[T] = Sent()
    waiting = [list(uids)] if uids else []
    while waiting:
        part = waiting.pop()
        try:
            answer = call(part)
        except Refused as error:
            if len(part) == 1:
                sent.errors[part[0]] = error
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
        except UpstreamError as error:
            sent.errors.update(dict.fromkeys([uid for rest in (part, *waiting) for uid in rest], error))
            break
        else:
            sent.answers.update(dict.fromkeys(part, answer))
    return sent
