"""A worker has the outside systems of its queues: one that serves Taps alone needs nothing of u-blox."""

from pathlib import Path
from typing import cast

import pytest

from infra.broker import QUEUES, queue_of
from infra.ledger import Ledger
from infra.settings import Settings, load_settings
from schemas.errors import ConfigurationError, InputError
from services.wiring import load_active_fleet, make_runner, make_taps
from tests.support.taps import SERIAL, write_fleet
from workers.app import run_worker


def settings(**variables: str) -> Settings:
    return load_settings({"KEYTURN_WEBHOOK_TOKENS": "Bearer tR7-kq0Zp2-wv9Xs4", **variables}, None)


def test_taps_have_a_queue_of_their_own() -> None:
    assert "tap" in QUEUES
    assert queue_of("keyturn.tap.reconfigure") == "tap"


def test_the_fleet_file_is_a_setting(tmp_path: Path) -> None:
    with_fleet = settings(KEYTURN_FLEET_FILE=str(write_fleet(tmp_path)))
    assert make_taps(with_fleet).order(SERIAL).user == "admin"
    assert load_active_fleet(settings()) is None
    with pytest.raises(ConfigurationError, match="KEYTURN_FLEET_FILE must be the path of a file that exists"):
        settings(KEYTURN_FLEET_FILE=str(tmp_path / "absent"))


def test_a_worker_of_taps_needs_a_fleet_file() -> None:
    with pytest.raises(ConfigurationError, match="KEYTURN_FLEET_FILE is needed by a worker of the queue tap"):
        make_taps(settings())


def test_the_faults_of_the_fleet_file_stop_a_worker(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("version = 2")
    with pytest.raises(InputError, match="line 1, version: expected 1, not 2"):
        make_taps(settings(KEYTURN_FLEET_FILE=str(tmp_path / "fleet.toml")))


def test_a_runner_of_taps_needs_nothing_of_ublox(tmp_path: Path) -> None:
    with_fleet = settings(KEYTURN_FLEET_FILE=str(write_fleet(tmp_path)))

    class Bare:
        """As much of a ledger as making a runner touches."""

        class work:  # noqa: N801 - an attribute of the ledger
            """Its part that holds jobs."""

            note = None

    assert make_runner(with_fleet, cast("Ledger", Bare()), lambda *_: None) is not None


def test_a_worker_is_told_at_its_start_what_is_missing(tmp_path: Path) -> None:
    from infra.ledger import migrate

    bare = settings(DATABASE_URL=f"sqlite:///{tmp_path}/keyturn.db")
    ledger = Ledger(bare.database_url.get_secret_value())
    migrate(ledger.database)
    ledger.close()
    for queue, words in (("tap", "KEYTURN_FLEET_FILE"), ("ublox", "KEYTURN_UBLOX_BASE_URL")):
        with pytest.raises(ConfigurationError, match=words):
            run_worker(bare, [queue])
