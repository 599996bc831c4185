import io
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from infra.ledger import WorkLine
from services.cli.timeline import Timeline
from services.operations.contract import UNVERIFIABLE
from tests.support.ledger import DEVICE, ROTATE


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        ("succeeded", "looked again: AUTOMATIC every 7 days", "verified: looked again"),
        ("succeeded", f"{UNVERIFIABLE}: no policy is shown", "accepted: accepted, not verifiable: no policy is shown"),
        ("parked", "no subscription", "parked: no subscription"),
    ],
)
def test_only_what_was_looked_at_is_called_verified(state: str, reason: str, told: str) -> None:
    job = WorkLine(
        id=1,
        event_id=1,
        operation=ROTATE,
        target=DEVICE,
        state=state,
        reason=reason,
        updated_at=datetime(2026, 5, 10, 12, 0, tzinfo=UTC),
    )
    history = SimpleNamespace(
        newest_event=lambda: 1,
        events_after=lambda _after, _limit: [],
        work_of_events_after=lambda _after, _limit: [job],
    )
    output = io.StringIO()
    Timeline(cast("Any", SimpleNamespace(history=history)), Console(file=output)).look()
    assert told in output.getvalue()
    assert ("verified" in output.getvalue()) is told.startswith("verified")
