import threading
from collections.abc import Iterator

import pytest

from services.fleet.spread import Spread

THREADS = 4


@pytest.fixture
def spread() -> Iterator[Spread]:
    made = Spread(THREADS)
    yield made
    made.close()


def test_everything_is_done_once_and_no_more_at_a_time_than_there_are_threads(spread: Spread) -> None:
    guard, now, most = threading.Lock(), 0, 0

    def work(number: int) -> int:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        with guard:
            now -= 1
        return number

    assert sorted(spread.each(work, range(100))) == list(range(100))
    assert most <= THREADS
    assert list(spread.each(work, [])) == []


def test_a_caller_that_stops_listening_begins_nothing_more(spread: Spread) -> None:
    begun: list[int] = []
    results = spread.each(begun.append, range(100))
    next(results)
    results.close()
    assert len(begun) <= 2 * THREADS


def test_an_error_of_the_work_comes_to_the_caller(spread: Spread) -> None:
    def fail(number: int) -> int:
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(spread.each(fail, [0]))
    assert list(spread.each(lambda number: number, [1])) == [1]


def test_in_a_hurry_the_last_few_are_left_to_themselves(spread: Spread) -> None:
    """Something never ends; without a hurry it would be waited for."""
    over = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            over.wait(60)
        return number

    assert sorted(spread.each(work, range(10), hurry=True)) == list(range(1, 10))
    over.set()


def test_what_has_not_begun_because_of_others_is_waited_for_also_in_a_hurry() -> None:
    spread, over = Spread(2), threading.Event()
    others = threading.Thread(target=lambda: list(spread.each(lambda _: over.wait(60), [1, 2])))
    others.start()
    results: list[int] = []
    mine = threading.Thread(target=lambda: results.extend(spread.each(lambda number: number, [1], hurry=True)))
    mine.start()
    over.set()
    mine.join(60)
    others.join(60)
    assert results == [1]
    spread.close()
