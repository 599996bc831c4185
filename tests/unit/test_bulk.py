import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Busy, OurFault, Refused, TryAgain, UpstreamError
from services.operations.bulk import Unsent, in_halves
from tests.support.ledger import device

UIDS = [device(number) for number in range(100)]


class Service:
    """Takes lists of devices, refuses every list with a bad one in it, and fails at a given call."""

    def __init__(self, bad: set[str], *, fails_at: int | None = None, failure: UpstreamError | None = None) -> None:
        self._bad = bad
        self._fails_at = fails_at
        self._failure = failure
        self.lists: list[list[str]] = []
        self.taken: list[str] = []

    def __call__(self, uids: Sequence[str]) -> str:
        """Answer a list."""
        self.lists.append(list(uids))
        if self._failure and len(self.lists) == self._fails_at:
            raise self._failure
        if self._bad & set(uids):
            raise Refused("Bad Request. Invalid ROTPublicUIDs", call="/x", status=400)
        self.taken += uids
        return f"answer {len(self.lists)}"


def test_a_good_batch_is_one_call() -> None:
    service = Service(set())
    sent = in_halves(UIDS, service)
    assert sent.answers == dict.fromkeys(UIDS, "answer 1")
    assert not sent.errors


def test_nothing_to_send_is_no_call() -> None:
    service = Service(set())
    sent = in_halves([], service)
    assert not sent.answers
    assert not sent.errors
    assert not service.lists


def test_a_device_that_stands_alone_and_is_refused_is_asked_once() -> None:
    service = Service({UIDS[0]})
    assert list(in_halves(UIDS[:1], service).errors) == UIDS[:1]
    assert len(service.lists) == 1


@given(count=st.integers(1, 100), data=st.data())
def test_any_set_of_bad_devices_is_found_and_the_others_are_served_once(count: int, data: st.DataObject) -> None:
    uids = UIDS[:count]
    bad = data.draw(st.sets(st.sampled_from(uids)))
    service = Service(bad)
    sent = in_halves(uids, service)
    assert set(sent.errors) == bad
    assert set(sent.answers) == set(uids) - bad
    assert sorted(service.taken) == sorted(set(uids) - bad)
    assert all(isinstance(error, Refused) for error in sent.errors.values())


@given(count=st.integers(1, 100), data=st.data())
def test_a_bad_device_costs_no_more_than_two_calls_for_each_halving(count: int, data: st.DataObject) -> None:
    uids = UIDS[:count]
    bad = data.draw(st.sets(st.sampled_from(uids)))
    service = Service(bad)
    in_halves(uids, service)
    assert len(service.lists) <= min(1 + 2 * len(bad) * math.ceil(math.log2(count)), 2 * count - 1)


@pytest.mark.parametrize("kind", [TryAgain, OurFault, UpstreamError])
def test_another_failure_stops_and_holds_for_the_rest(kind: type[UpstreamError]) -> None:
    failure = kind("answered 503", call="/x", status=503)
    service = Service({UIDS[0]}, fails_at=3, failure=failure)  # all refused, the first half refused, its half fails
    sent = in_halves(UIDS, service)
    assert set(sent.errors) == set(UIDS)
    assert set(map(id, sent.errors.values())) == {id(failure)}
    assert len(service.lists) == 3
    assert not service.taken
    assert sent.unsent == set(UIDS[25:])


def test_a_failure_does_not_take_back_what_was_answered_or_refused_before() -> None:
    failure = TryAgain("no whole answer", call="/x")
    service = Service({UIDS[0]}, fails_at=5, failure=failure)  # of four: refused, first two refused, 0 refused, 1 taken
    sent = in_halves(UIDS[:4], service)
    assert list(sent.answers) == [UIDS[1]]
    assert isinstance(sent.errors[UIDS[0]], Refused)
    assert sent.errors[UIDS[2]] is failure
    assert sent.errors[UIDS[3]] is failure
    assert not sent.unsent


def test_whoever_stops_before_a_call_keeps_what_was_answered_and_sends_no_more() -> None:
    service = Service({UIDS[3]})

    def careful(uids: Sequence[str]) -> str:
        if service.taken:
            raise Unsent("not sent: it is late")
        return service(uids)

    sent = in_halves(UIDS[:4], careful)
    assert list(sent.answers) == UIDS[:2]
    assert set(sent.errors) == set(UIDS[2:4])
    assert not any(error.sent for error in sent.errors.values())
    assert len(service.lists) == 2


def test_one_device_whose_earlier_change_is_under_way_does_not_hold_the_others() -> None:
    class Guarded(Service):
        """Answers Busy where another would refuse."""

        def __call__(self, uids: Sequence[str]) -> str:
            """Answer a list."""
            try:
                return super().__call__(uids)
            except Refused as error:
                raise Busy(str(error), call=error.call, status=409) from None

    service = Guarded({UIDS[42]})
    sent = in_halves(UIDS, service)
    assert list(sent.errors) == [UIDS[42]]
    assert isinstance(sent.errors[UIDS[42]], Busy)
    assert len(sent.answers) == 99
