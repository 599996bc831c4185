"""The inventory's rows: what is stored is read, a change is whole or nothing, and each raises the revision."""

from datetime import UTC, datetime

import pytest

from infra.ledger import Entry, EntryId, InventoryChange, Ledger, SealedSecret
from schemas.errors import LedgerUnavailable
from schemas.jobs import NewJob, State
from tests.conftest import Clock
from tests.support.ledger import ask, claim, job_row, rows, settle, states, wish

NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)


def entry(key: str, site: str = "lyon", kind: str = "device", **fields: object) -> Entry:
    return Entry(id=EntryId(kind, key), site=site, fields=fields)


def sealed(name: str) -> SealedSecret:
    return SealedSecret(id=f"id-{name}", name=name, key_id="one", sealed=b"x", put_at=NOW)


def store(ledger: Ledger, *upserts: Entry, based_on: int, **more: list[object]) -> bool:
    return ledger.inventory.store(InventoryChange(based_on=based_on, upserts=upserts, **more), NOW)  # type: ignore[arg-type] # one helper for every kind of list


def test_a_new_ledger_has_an_empty_inventory(ledger: Ledger) -> None:
    snapshot = ledger.inventory.snapshot()
    assert (snapshot.revision, snapshot.entries, ledger.inventory.revision()) == (0, (), 0)


def test_what_is_stored_is_read_in_order_and_replaced_by_its_key(ledger: Ledger) -> None:
    assert store(ledger, entry("b"), entry("a", tags=["é", 'qu"ote']), based_on=0)
    assert store(ledger, entry("b", site="nice", x=1), entry("Z"), based_on=1)
    snapshot = ledger.inventory.snapshot()
    assert snapshot.revision == ledger.inventory.revision() == 2
    assert snapshot.entries == (entry("Z"), entry("a", tags=["é", 'qu"ote']), entry("b", site="nice", x=1))


def test_one_change_deletes_stores_seals_and_forgets_together(ledger: Ledger) -> None:
    ledger.secrets.put([sealed("old"), sealed("other")])
    assert store(ledger, entry("a"), entry("b"), based_on=0)
    assert store(
        ledger, entry("c"), based_on=1, deletions=[EntryId("device", "a")], sealed=[sealed("new")], forgotten=["old"]
    )
    assert [found.id.key for found in ledger.inventory.snapshot().entries] == ["b", "c"]
    assert ledger.secrets.names() == ["new", "other"]


def test_a_change_computed_against_an_old_picture_is_refused_whole(ledger: Ledger) -> None:
    assert store(ledger, entry("a"), based_on=0)
    assert not store(ledger, entry("b"), based_on=0, sealed=[sealed("new")], deletions=[EntryId("device", "a")])
    assert ledger.inventory.snapshot().entries == (entry("a"),)
    assert (ledger.secrets.names(), ledger.inventory.revision()) == ([], 1)


def test_a_change_that_fails_in_the_middle_leaves_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise LedgerUnavailable("the disk is full")

    monkeypatch.setattr(ledger.secrets, "write", break_down)
    with pytest.raises(LedgerUnavailable):
        store(ledger, entry("a"), based_on=0, sealed=[sealed("new")])
    assert ledger.inventory.snapshot().entries == ()
    assert ledger.inventory.revision() == 0


def test_jobs_of_one_lock_run_one_by_one_and_do_not_replace_each_other(ledger: Ledger, clock: Clock) -> None:
    operation = "twon.check"
    targets = ("device:54-0000-0001", "device:54-0000-0002", "location:Lobby")
    wishes = [NewJob(operation=operation, target=target, lock="location:Lobby") for target in targets]
    ids = ask(ledger, clock(), *wishes)
    assert {job_row(ledger, job_id)["lock_key"] for job_id in ids} == {"twon:location:Lobby"}
    assert states(ledger, ids) == ["due"] * 3
    for job_id in ids:
        (job,) = claim(ledger, clock(), operation)
        assert job.id == job_id
        settle(ledger, clock(), job, State.SUCCEEDED)


def test_the_same_wish_of_one_target_is_served_by_the_job_that_waits(ledger: Ledger, clock: Clock) -> None:
    wishes = [NewJob(operation="twon.check", target="device:54-0000-0001", lock="location:Lobby")] * 2
    assert len(ask(ledger, clock(), *wishes)) == 1
    assert wish().lock_key == f"ublox:{wish().target}"
    assert len(rows(ledger, "SELECT id FROM jobs")) == 1
