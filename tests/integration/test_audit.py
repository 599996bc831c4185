import threading

import pytest
from sqlalchemy import text

from infra.ledger import AuditEntry, Ledger
from infra.ledger.audit import MOST_FAULTS, write
from schemas.errors import LedgerUnavailable
from tests.conftest import Clock
from tests.support.ledger import rows


def note(ledger: Ledger, clock: Clock, *subjects: str) -> None:
    for subject in subjects:
        with ledger.database.writing() as connection:
            write(
                connection,
                AuditEntry(at=clock(), actor="test", action="thing.change", subject=subject, detail={"a": 1}),
            )


def spoil(ledger: Ledger, *statements: str) -> tuple[str, ...]:
    with ledger.database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))
    return ledger.audit.verify().faults


def test_what_was_written_is_read_back_the_newest_first(ledger: Ledger, clock: Clock) -> None:
    note(ledger, clock, "one", "two", "thr\0ee")
    assert [found.entry.subject for found in ledger.audit.page(before=None, limit=9)] == ["thr\ufffdee", "two", "one"]
    assert [found.id for found in ledger.audit.page(before=3, limit=1)] == [2]
    assert [found.id for found in ledger.audit.page(before=None, limit=9, subject="one")] == [1]
    verdict = ledger.audit.verify()
    assert (verdict.holds, verdict.rows) == (True, 3)


def test_an_entry_goes_with_the_transaction_that_it_tells_of(ledger: Ledger, clock: Clock) -> None:
    note(ledger, clock, "one")
    with ledger.database.writing() as connection:
        write(connection, AuditEntry(at=clock(), actor="test", action="thing.change", subject="never"))
        connection.rollback()
    note(ledger, clock, "two")
    verdict = ledger.audit.verify()
    assert (verdict.holds, verdict.rows) == (True, 2)


def test_writers_at_the_same_time_make_one_chain(ledger: Ledger, clock: Clock) -> None:
    start = threading.Barrier(8)

    def write_some(name: str) -> None:
        start.wait()
        note(ledger, clock, *(f"{name}/{number}" for number in range(10)))

    threads = [threading.Thread(target=write_some, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = ledger.audit.verify()
    assert (verdict.faults, verdict.rows) == ((), 80)
    assert len({row["subject"] for row in rows(ledger, "SELECT subject FROM audit")}) == 80


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["UPDATE audit SET actor = 'nobody' WHERE id = 2"], "row 2 was changed"),
        (["UPDATE audit SET detail = '{}' WHERE id = 3"], "row 3 was changed"),
        (["DELETE FROM audit WHERE id = 2"], "row 2 is missing"),
        (["DELETE FROM audit WHERE id < 3"], "rows 1 to 2 are missing"),
        (["DELETE FROM audit WHERE id > 3"], "rows 4 to 5 are missing at the end"),
        (["DELETE FROM audit"], "rows 1 to 5 are missing at the end"),
        (["UPDATE audit SET id = 0 WHERE id = 5"], "row 5 is missing at the end"),
        (["DELETE FROM watermarks WHERE name = 'audit_head'"], "note of the head is missing"),
        (["UPDATE watermarks SET value = 'nonsense' WHERE name = 'audit_head'"], "note of the head is missing"),
    ],
)
def test_what_was_done_to_the_rows_is_found(ledger: Ledger, clock: Clock, statements: list[str], fault: str) -> None:
    note(ledger, clock, "one", "two", "three", "four", "five")
    assert any(fault in found for found in spoil(ledger, *statements)), ledger.audit.verify().faults


def test_rows_that_changed_places_are_found(ledger: Ledger, clock: Clock) -> None:
    note(ledger, clock, "one", "two", "three")
    moves = [f"UPDATE audit SET id = {new} WHERE id = {old}" for old, new in ((1, 99), (3, 1), (99, 3))]  # noqa: S608 - numbers
    assert {"row 1 was changed", "row 3 was changed"} <= set(spoil(ledger, *moves))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM watermarks WHERE name = 'audit_head'",
        """UPDATE watermarks SET value = '{"count": 0, "hash": "0"}' WHERE name = 'audit_head'""",
    ],
)
def test_without_a_true_head_no_change_is_recorded_and_so_none_is_made(
    ledger: Ledger, clock: Clock, statement: str
) -> None:
    note(ledger, clock, "one")
    spoil(ledger, statement)
    with pytest.raises(LedgerUnavailable, match="keyturn audit verify"):
        note(ledger, clock, "two")
    assert len(rows(ledger, "SELECT id FROM audit")) == 1


def test_a_long_chain_is_walked_in_steps_and_its_faults_are_not_told_without_end(ledger: Ledger, clock: Clock) -> None:
    with ledger.database.writing() as connection:
        for number in range(2_100):
            write(connection, AuditEntry(at=clock(), actor="test", action="thing.change", subject=str(number)))
    verdict = ledger.audit.verify()
    assert (verdict.holds, verdict.rows) == (True, 2_100)
    assert len(spoil(ledger, "UPDATE audit SET actor = 'nobody'")) == MOST_FAULTS
