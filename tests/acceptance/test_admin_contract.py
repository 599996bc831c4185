"""Thousands of requests made from the committed description of the admin API, with a key of each role.

Whatever is sent, no answer is a 5xx, and every answer is one that the description tells of.
"""

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from infra.ledger import Ledger, migrate
from schemas.access import Role
from schemas.jobs import ParkedBecause, State
from services.sandbox.server import Address, running
from services.web.admin.failures import Failures
from services.web.admin.routes import ROUTES
from services.wiring import now
from tests.support.admin import AdminSite
from tests.support.ledger import DEVICE, RENEW, arrival, ask, claim_one, settle, take_in, wish
from tests.support.vault import ring_text

SECONDS: Final = 900
"""After which the requests of one role are given up; they take twenty, or minutes where the machine is busy."""

LEFT_OUT: Final = ("get_triggers_id_events", "post_keys_id_end")
"""A stream that goes on for a minute, and what ends the very key that is used; both have their own tests."""

SETTINGS: Final = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 429]

[checks.missing_required_header]
expected-statuses = [400, 401, 403, 404, 409, 412, 422, 428, 429]

[checks.negative_data_rejection]
expected-statuses = ["4xx"]
"""
"""What fits the schema may still be refused: an operation's parameters, a cron line, a key that is not there."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AdminSite, Address]]:
    """The API on a port; wrong keys are part of the story, so time runs fast for those who count them."""
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/keyturn.db")
    migrate(ledger.database)
    stock(ledger)
    site = AdminSite(
        ledger, now, failures=Failures(clock=itertools.count(0.0, 60.0).__next__), vault_keys=ring_text("one")
    )
    with running(site.app) as address:
        yield site, address
    ledger.close()


def stock(ledger: Ledger) -> None:
    """Something of each kind, so that not every address is empty."""
    moment = now()
    take_in(ledger, moment, 3)
    ledger.inbox.accept([arrival(moment, body=b"\xff", fault="no JSON")])
    for because in ParkedBecause:
        ask(ledger, moment, wish(f"{because.value:0>16}"))
        settle(ledger, moment, claim_one(ledger, moment), State.PARKED, parked_because=because)
    ask(ledger, moment, wish(DEVICE, RENEW), evidence={"expires": (moment + timedelta(days=9)).isoformat()})


@pytest.mark.parametrize("role", list(Role))
def test_every_answer_is_one_that_the_description_tells_of(
    site: tuple[AdminSite, Address], role: Role, tmp_path: Path
) -> None:
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(SETTINGS)
    key, (host, port) = site[0].key(role), (site[1].host, site[1].port)
    words = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"),
        *(f"http://{host}:{port}/admin/v1/openapi.json", "--header", f"Authorization: Bearer {key}"),
        *("--checks", "all", "--phases", "coverage,fuzzing", "--max-examples", "3", "--seed", "7", "--no-shrink"),
        *("--workers", "1", "--continue-on-failure", "--request-timeout", "30", "--suppress-health-check", "all"),
        *("--warnings", "off", "--no-color", "--generation-database", "none"),
        *("--include-path-regex", "."),  # or it would leave out the address of the description itself
        *(word for name in LEFT_OUT for word in ("--exclude-operation-id", name)),
    ]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    print(done.stdout[-900:])
    operations = len(ROUTES) - len(LEFT_OUT)
    assert f"Tested: {operations}\n" in done.stdout
    assert int(re.findall(r"(\d+) generated", done.stdout)[0]) > 20 * operations
    assert site[0].get("/whoami", role=role).status_code == 200  # the key held to the end
