"""Triggers asked for over the admin API: three devices at two sites, and one that is at none."""

from pathlib import Path
from typing import Any

from infra.ledger import Ledger
from schemas.access import Role
from services.triggers import Maker
from tests.conftest import Clock
from tests.support.admin import AdminSite
from tests.support.inventory import stock
from tests.support.ledger import ROTATE, device, rows
from tests.support.works import Bell

SITES = """
version = 1

[[sites]]
name = "lyon"
tags = ["floor-2", "north"]
devices = ["{0}", "{1}"]

[[sites]]
name = "oslo"
tags = ["north"]
devices = ["{2}"]
"""


def triggering(ledger: Ledger, clock: Clock, folder: Path) -> AdminSite:
    """Give the admin API over an inventory of both sites."""
    document = folder / "fleet.toml"
    document.write_text(SITES.format(*map(device, (1, 2, 3))))
    stock(ledger, document)
    return AdminSite(ledger, clock)


def body(*numbers: int, **more: Any) -> dict[str, Any]:
    """What asks for new keys of these devices."""
    targets = {"devices": [device(number) for number in numbers]}
    return {"operation": ROTATE, "targets": targets, **more}


def begin(site: AdminSite, asked: dict[str, Any], **how: Any) -> str:
    """Ask for it; give the trigger's name."""
    response = site.post("/triggers", asked, role=Role.OPERATOR, **how)
    assert response.status_code == 202, response.text
    name = str(response.json()["id"])
    assert response.headers["location"] == f"/admin/v1/triggers/{name}"
    return name


def make(site: AdminSite, clock: Clock) -> None:
    """Do what the planner does with triggers, to the end."""
    maker = Maker(site.ledger, ring=Bell(), clock=clock)
    while maker.step():
        pass


def jobs(ledger: Ledger) -> list[tuple[str, str, str]]:
    """Target, state and reason of every job, the oldest first."""
    return [(row["target"], row["state"], row["reason"]) for row in rows(ledger, "SELECT * FROM jobs ORDER BY id")]


def seen(site: AdminSite, name: str) -> dict[str, Any]:
    """What the API tells of a trigger."""
    found: dict[str, Any] = site.get(f"/triggers/{name}", role=Role.VIEWER).json()
    return found
