"""A Redis for whoever needs one, and houses whose keys are rotated."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from infra.ledger import Ledger
from tests.integration.upstreams import valkey
from tests.support.rotation import HandClock, Opens, houses


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that keeps nothing, for all tests of this process."""
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The same, empty."""
    with redis.Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url


@pytest.fixture
def moment() -> HandClock:
    """Now: devices tell the time of the machine."""
    return HandClock(datetime.now(UTC))


@pytest.fixture
def opens(ledger: Ledger, moment: HandClock) -> Iterator[Opens]:
    """Opens houses, and closes them at the end."""
    with houses(ledger, moment) as made:
        yield made
