"""A trigger for thousands of devices, asked for at a running system whose planner is killed in the middle of it."""

from pathlib import Path

import httpx
import pytest

from schemas.access import Role
from services.access import Access
from services.wiring import now
from tests.support.patience import eventually
from tests.support.stand import Stand, standing

DEVICES = 3_000
OPERATION = "ublox.rotate_e2e_key"


@pytest.mark.parametrize("database", ["postgres"])  # on SQLite test_kills kills the planner
@pytest.mark.xdist_group("whole machine")
def test_a_trigger_is_planned_once_although_its_planner_is_killed(tmp_path: Path, database_url: str) -> None:
    """The planner dies with a part of the jobs made; another one makes the rest, and every device is rotated once."""
    with standing(tmp_path, database_url) as stand:
        uids = stand.twin.devices(DEVICES)
        name = ask(stand, uids)
        eventually(lambda: jobs(stand) > 0, "some jobs are made")
        stand.kill("control")
        assert jobs(stand) <= DEVICES
        stand.start("control")
        eventually(lambda: jobs(stand) == DEVICES, "all jobs are made")
        eventually(stand.at_rest, "everything is at rest")

        found = stand.ledger.triggers.show(name)
        assert found is not None
        assert (found.made, found.served, found.state) == (DEVICES, 0, "finished"), stand.logs()
        assert stand.states() == {f"{OPERATION} succeeded": DEVICES}, stand.logs()
        assert stand.count("SELECT count(DISTINCT target) FROM jobs") == DEVICES


def ask(stand: Stand, uids: list[str]) -> str:
    """Ask over the API, as an operator does."""
    with stand.ledger.database.writing() as connection:
        access = Access(stand.ledger, clock=now)
        _, key = access.make(connection, name="test", role=Role.OPERATOR, days=None, actor="test")
    response = httpx.post(
        f"http://127.0.0.1:{stand.port}/admin/v1/triggers",
        json={"operation": OPERATION, "targets": {"devices": uids}},
        headers={"Authorization": f"Bearer {key.get_secret_value()}", "Idempotency-Key": "one"},
        timeout=30,
        trust_env=False,
    )
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def jobs(stand: Stand) -> int:
    return stand.count("SELECT count(*) FROM jobs")
