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


def test_in_a_hurry_what_has_just_begun_is_not_taken_for_slow() -> None:
    """One thing never ends; one that has to wait for a thread has as long as the others had."""
    spread, over, begun, go_on = Spread(2), threading.Event(), threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number == 0:
            over.wait(60)
        if number == 5:
            begun.set()
            go_on.wait(60)
        return number

    results = spread.each(work, range(6), hurry=True)
    found = [next(results) for _ in range(4)]
    begun.wait(60)
    go_on.set()
    assert sorted([*found, *results]) == list(range(1, 6))
    over.set()
    spread.close()


def test_the_end_reaches_everybody_who_waits() -> None:
    """Two callers share the threads, so that some of what they want is not begun when the end comes."""
    spread, go_on, begun = Spread(2), threading.Event(), threading.Semaphore(0)
    found: list[list[int]] = []

    def work(number: int) -> int:
        begun.release()
        go_on.wait(60)
        return number

    callers = [threading.Thread(target=lambda: found.append(list(spread.each(work, range(6))))) for _ in range(2)]
    for caller in callers:
        caller.start()
    begun.acquire(timeout=60)
    begun.acquire(timeout=60)
    spread.close()
    go_on.set()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert sum(map(len, found)) == 2
    assert list(spread.each(work, [1])) == []
