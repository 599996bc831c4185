"""Calls that take too long are hung up on, and no other."""

import threading
import time

from services.clients.watch import Watch


def test_a_call_is_hung_up_on_at_its_deadline_and_again_until_it_ends() -> None:
    watch, heard = Watch(), threading.Semaphore(0)
    with watch.until(time.monotonic() + 60, lambda: None), watch.until(time.monotonic() + 0.01, heard.release):
        assert heard.acquire(timeout=10)
        assert heard.acquire(timeout=10)


def test_a_call_that_ended_is_left_alone() -> None:
    watch, heard = Watch(), threading.Event()
    with watch.until(time.monotonic() + 0.05, heard.set):
        pass
    later = threading.Event()
    with watch.until(time.monotonic() + 0.06, later.set):
        assert later.wait(10)
    assert not heard.is_set()


def test_one_thread_watches_every_call() -> None:
    watch, heard = Watch(), threading.Semaphore(0)
    before = threading.active_count()
    for _ in range(3):
        with watch.until(time.monotonic(), heard.release):
            assert heard.acquire(timeout=10)
    assert threading.active_count() <= before + 1
