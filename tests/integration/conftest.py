"""Houses whose keys are rotated."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from infra.ledger import Ledger
from tests.support.rotation import HandClock, Opens, houses


@pytest.fixture
def moment() -> HandClock:
    """Now: devices tell the time of the machine."""
    return HandClock(datetime.now(UTC))


@pytest.fixture
def opens(ledger: Ledger, moment: HandClock) -> Iterator[Opens]:
    """Opens houses, and closes them at the end."""
    with houses(ledger, moment) as made:
        yield made
