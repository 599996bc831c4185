from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from infra.ledger import Ledger, Plan
from tests.conftest import Clock
from tests.support.ledger import arrival, ask, event_row, rows, take_in, wish


def test_a_stored_event_waits_for_its_plan_with_its_body_as_it_came(ledger: Ledger, clock: Clock) -> None:
    body = b'{"EventType": "X", "odd": "\\u0000 \xf0\x9f\x94\x91"}\x00\xff'
    (event,) = ledger.inbox.accept([arrival(clock(), receipt="evt_a", body=body)])
    (waiting,) = ledger.inbox.waiting(10)
    assert (waiting.id, waiting.receipt, waiting.body) == (event, "evt_a", body)


def test_what_was_accepted_is_there_for_another_connection_at_once(
    ledger: Ledger, clock: Clock, database_url: str
) -> None:
    ids = take_in(ledger, clock(), 3)
    another = Ledger(database_url)
    assert [event.id for event in another.inbox.waiting(10)] == ids
    another.close()


def test_a_repeat_is_stored_once_and_is_not_new(ledger: Ledger, clock: Clock) -> None:
    (first,) = ledger.inbox.accept([arrival(clock(), receipt="evt_a", body=b"first")])
    assert ledger.inbox.accept([arrival(clock.forward(hours=1), receipt="evt_a", body=b"second")]) == []
    assert event_row(ledger, first)["body"] == b"first"


def test_a_repeat_within_one_batch_is_stored_once(ledger: Ledger, clock: Clock) -> None:
    twins = [arrival(clock(), receipt="evt_a"), arrival(clock(), receipt="evt_b"), arrival(clock(), receipt="evt_a")]
    assert len(ledger.inbox.accept(twins)) == 2
    assert len(ledger.inbox.waiting(10)) == 2


def test_a_batch_of_old_and_new_gives_the_new_ones_only(ledger: Ledger, clock: Clock) -> None:
    ledger.inbox.accept([arrival(clock(), receipt="evt_old")])
    (fresh,) = ledger.inbox.accept([arrival(clock(), receipt="evt_old"), arrival(clock(), receipt="evt_new")])
    assert event_row(ledger, fresh)["receipt"] == "evt_new"


def test_a_malformed_delivery_is_kept_with_its_fault_and_waits_for_no_plan(ledger: Ledger, clock: Clock) -> None:
    assert ledger.inbox.accept([arrival(clock(), receipt="evt_bad", body=b"\xff", fault="not JSON")]) == []
    assert ledger.inbox.waiting(10) == []
    kept = ledger.inbox.receipt("evt_bad")
    assert kept is not None
    assert (kept.state, kept.verdict, kept.event_type, kept.device) == ("malformed", "not JSON", None, None)


def test_events_wait_in_the_order_in_which_they_came(ledger: Ledger, clock: Clock) -> None:
    batch = [arrival(clock(), receipt=f"evt_{letter}") for letter in "zyxwv"]
    ledger.inbox.accept(batch[:2])
    ledger.inbox.accept(batch[2:])
    assert [event.receipt for event in ledger.inbox.waiting(4)] == ["evt_z", "evt_y", "evt_x", "evt_w"]


def test_the_backlog_is_counted_no_further_than_asked(ledger: Ledger, clock: Clock) -> None:
    assert ledger.inbox.backlog(5) == 0
    ids = take_in(ledger, clock(), 7)
    assert ledger.inbox.backlog(5) == 5
    assert ledger.inbox.backlog(100) == 7
    ledger.planning.store([Plan(event_id=ids[0], verdict="nothing to do")], clock())
    assert ledger.inbox.backlog(100) == 6


def test_a_receipt_tells_what_became_of_a_delivery(ledger: Ledger, clock: Clock) -> None:
    (event,) = ledger.inbox.accept([arrival(clock(), receipt="evt_a")])
    waiting = ledger.inbox.receipt("evt_a")
    assert waiting is not None
    assert (waiting.event_id, waiting.state, waiting.jobs, waiting.received_at) == (event, "new", (), clock())
    ledger.planning.store([Plan(event_id=event, verdict="rule one", jobs=[wish("a"), wish("b")])], clock())
    planned = ledger.inbox.receipt("evt_a")
    assert planned is not None
    assert (planned.state, planned.verdict) == ("planned", "rule one")
    assert [(job.target, job.state, job.reason) for job in planned.jobs] == [
        ("a", "due", "waits for a worker"),
        ("b", "due", "waits for a worker"),
    ]


def test_a_receipt_shows_the_job_of_another_event_that_served_it(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish())
    (event,) = ledger.inbox.accept([arrival(clock(), receipt="evt_later")])
    ledger.planning.store([Plan(event_id=event, verdict="again", jobs=[wish()])], clock())
    receipt = ledger.inbox.receipt("evt_later")
    assert receipt is not None
    assert [line.id for line in receipt.jobs] == [job]


def test_a_receipt_that_was_never_given_is_none(ledger: Ledger) -> None:
    assert ledger.inbox.receipt("evt_unheard_of") is None


@pytest.mark.parametrize("odd", ["evt_\U0001f511", "evt_ é \u202e", "evt_" + "x" * 10_000])
def test_odd_text_comes_back_as_it_was_stored(ledger: Ledger, clock: Clock, odd: str) -> None:
    ledger.inbox.accept([arrival(clock(), receipt=odd, fault=odd)])
    kept = ledger.inbox.receipt(odd)
    assert kept is not None
    assert kept.verdict == odd


def test_a_time_keeps_its_microseconds(ledger: Ledger, clock: Clock) -> None:
    moment = clock() + timedelta(microseconds=123_457)
    ledger.inbox.accept([arrival(moment, receipt="evt_a")])
    kept = ledger.inbox.receipt("evt_a")
    assert kept is not None
    assert kept.received_at == moment


def test_senders_at_once_lose_nothing_and_double_nothing(ledger: Ledger, clock: Clock) -> None:
    """Eight threads deliver the same hundred events in batches of their own."""
    with ThreadPoolExecutor(8) as pool:
        told = pool.map(
            lambda _: [
                ledger.inbox.accept(
                    [arrival(clock(), receipt=f"evt_{number:03}") for number in range(start, start + 20)]
                )
                for start in range(0, 100, 20)
            ],
            range(8),
        )
        new = [event for batches in told for batch in batches for event in batch]
    assert len(new) == len(set(new)) == 100
    assert [row["receipt"] for row in rows(ledger, "SELECT receipt FROM events ORDER BY receipt")] == [
        f"evt_{number:03}" for number in range(100)
    ]
