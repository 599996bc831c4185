"""A root CA is rolled by a running system whose worker is killed while it creates, transfers and deletes."""

from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from infra.ledger.holding import Said, Verdict
from schemas.access import Role
from services.access import Access
from services.wiring import now
from tests.support.patience import eventually
from tests.support.stand import Stand, standing

DEVICES: Final = 40
OLD: Final = "sandbox-ca.example"
NEW: Final = "sandbox-ca-2.example"
ROLL: Final = "ublox.roll_root_ca"


@pytest.mark.parametrize("database", ["sqlite"])  # what differs between the two is told without processes
@pytest.mark.xdist_group("whole machine")
def test_a_roll_ends_the_same_although_its_worker_is_killed_three_times(tmp_path: Path, database_url: str) -> None:
    with standing(tmp_path, database_url) as stand:
        stand.twin.devices(DEVICES)
        stand.twin.turn(latency_ms=300)  # so that a call is cut in two
        job = ask(stand)
        dies_when(stand, lambda: "creating" in row(stand, job)["progress"], "it creates")
        eventually(lambda: row(stand, job)["state"] == "held", "it asks before the first transfer")
        agree(stand, job)
        dies_when(stand, lambda: stand.count("SELECT count(*) FROM jobs WHERE parent_id > 0") > 0, "it transfers")
        eventually(lambda: is_asked(stand, job, "delete"), "it asks before the deletion")
        agree(stand, job)
        dies_when(stand, lambda: "deleting" in row(stand, job)["progress"], "it deletes")
        eventually(stand.at_rest, "everything is at rest")

        assert row(stand, job)["state"] == "succeeded", stand.logs()
        transfers = {"ublox.transfer_root_ca succeeded": DEVICES, f"{ROLL} succeeded": 1}
        assert stand.states() == transfers, stand.logs()
        actions = stand.twin.stats()["actions"]
        assert (actions["transfers"]["devices"], actions["transfers"]["max"]) == (DEVICES, 1)


def dies_when(stand: Stand, true: Any, what: str) -> None:
    eventually(true, what)
    stand.kill("ublox")
    stand.start("ublox")


def ask(stand: Stand) -> int:
    """Ask over the API, as an operator does; give the number of the job."""
    with stand.ledger.database.writing() as connection:
        access = Access(stand.ledger, clock=now)
        _, key = access.make(connection, name="test", role=Role.OPERATOR, days=None, actor="test")
    parameters = {"new_ca": NEW, "registration_code": "4711"}
    response = httpx.post(
        f"http://127.0.0.1:{stand.port}/admin/v1/triggers",
        json={"operation": ROLL, "targets": {"cas": [OLD]}, "parameters": parameters},
        headers={"Authorization": f"Bearer {key.get_secret_value()}", "Idempotency-Key": "one"},
        timeout=30,
        trust_env=False,
    )
    assert response.status_code == 202, response.text
    eventually(lambda: stand.count("SELECT count(*) FROM jobs") == 1, "the job is made")
    return stand.count("SELECT max(id) FROM jobs")


def row(stand: Stand, job: int) -> dict[str, Any]:
    shown = stand.ledger.admin.job(job)
    assert shown is not None
    return shown.model_dump()


def is_asked(stand: Stand, job: int, step: str) -> bool:
    return bool(row(stand, job)["asks"] == step)


def agree(stand: Stand, job: int) -> None:
    said = Said(verdict=Verdict.APPROVE, actor="key:boss", role=Role.ADMIN, step=row(stand, job)["asks"])
    with stand.ledger.database.writing() as connection:
        stand.ledger.holding.say(connection, job, said, now())
