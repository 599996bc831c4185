"""What a monitoring system is told, and whether it understands it."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from infra.circuits import Circuits
from infra.coordination import Coordination
from infra.ledger import Ledger
from infra.ledger.gauges import MOST
from infra.meters import Meters
from schemas.errors import Refused, TryAgain
from schemas.jobs import ParkedBecause, State
from services.clients.guard import Guard
from services.runner import ATTEMPTS
from services.schedules.certificates import NEAREST
from services.web.metrics import Metrics
from tests.conftest import Clock
from tests.integration.upstreams import valkey
from tests.support.ledger import ask, claim, device, settle, take_in, wish
from tests.support.patience import eventually
from tests.support.ports import free_port
from tests.support.processes import started
from tests.support.site import serving

DEPLOY = Path(__file__).resolve().parents[2] / "infra" / "deploy"
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")

Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture
def process(redis_url: str) -> Iterator[Callable[[], Coordination]]:
    """Make what a process has to reach the others."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Coordination(redis_url)))


def samples(page: bytes) -> Samples:
    """Every sample by its name and the values of its labels, in the order of the labels' names."""
    found: Samples = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            key = sample.name, tuple(value for _, value in sorted(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def shown(ledger: Ledger, coordination: Coordination, clock: Clock) -> Samples:
    return samples(Metrics(ledger, coordination, clock=clock).page())


def guard(coordination: Coordination, clock: Clock, system: str = "ublox") -> Guard:
    meters = Meters(coordination)
    return Guard(system=system, label=system, circuits=Circuits(coordination, clock), meters=meters)


def outcome(of: Guard, error: Exception | None = None, device: str = "") -> None:
    try:
        with of.call("/x", device):
            if error is not None:
                raise error
    except (TryAgain, Refused):
        pass


def busy_house(ledger: Ledger, coordination: Coordination, clock: Clock) -> None:
    """Something of everything."""
    take_in(ledger, clock(), 3)
    for because in ParkedBecause:
        ask(ledger, clock(), wish(device(100 + len(because))))
        (job,) = claim(ledger, clock())
        settle(ledger, clock(), job, State.PARKED, parked_because=because)
    ask(ledger, clock(), *(wish(device(number)) for number in range(1, 4)))
    with ledger.database.writing() as connection:
        found = {"of": device(7), "at": (clock() + timedelta(days=3)).isoformat()}
        bound = {"name": NEAREST, "value": json.dumps(found)}
        connection.execute(text("INSERT INTO watermarks (name, value, updated_at) VALUES (:name, :value, 0)"), bound)
    ledger.upkeep.note("last_sweep", clock())
    ublox, tap = guard(coordination, clock), guard(coordination, clock, "tap")
    outcome(ublox)
    outcome(ublox, TryAgain("answered 429", call="/x", status=429, retry_after=60.0))
    outcome(ublox)
    outcome(tap, TryAgain("locked", call="/x", retry_after=60.0), "IOTZ00000000000042")
    ublox.meters.count(ATTEMPTS, operation="ublox.rotate_e2e_key", outcome="succeeded")
    ublox.meters.live("machine:1", ["control", "ublox"])
    for one in (ublox, tap):
        assert one.meters.push()


def test_the_page_tells_what_stands_and_how_long(
    ledger: Ledger, process: Callable[[], Coordination], clock: Clock
) -> None:
    busy_house(ledger, process(), clock)
    clock.forward(seconds=30)
    page = shown(ledger, process(), clock)
    assert page["keyturn_jobs", ("ublox.rotate_e2e_key", "due")] == 3
    assert page["keyturn_jobs", ("ublox.rotate_e2e_key", "parked")] == 3
    assert {page["keyturn_jobs_parked", (because.value,)] for because in ParkedBecause} == {1}
    assert page["keyturn_events_unplanned", ()] == 3
    assert page["keyturn_lag_seconds", ()] == 30
    assert page["keyturn_oldest_due_job_age_seconds", ()] == 30
    assert page["keyturn_sweep_age_seconds", ()] == 30
    assert page["keyturn_nearest_expiry_seconds", ()] == pytest.approx(3 * 86_400, abs=60)
    assert page["keyturn_upstream_breaker_state", ("ublox",)] == 2
    assert page["keyturn_device_breakers_open", ("tap",)] == 1
    assert page["keyturn_upstream_errors_total", ("429", "ublox")] == 1
    assert page["keyturn_upstream_calls_held_back_total", ("breaker", "ublox")] == 1
    assert page["keyturn_upstream_call_seconds_count", ("ublox",)] == 2
    assert page["keyturn_upstream_call_seconds_bucket", ("+Inf", "ublox")] == 2
    assert page["keyturn_workers_alive", ("control",)] == 1
    clock.forward(seconds=60)
    assert shown(ledger, process(), clock)["keyturn_upstream_breaker_state", ("ublox",)] == 1, "half-open"


def test_an_idle_house_has_ages_of_nothing(ledger: Ledger, process: Callable[[], Coordination], clock: Clock) -> None:
    page = shown(ledger, process(), clock)
    for name in ("keyturn_lag_seconds", "keyturn_oldest_due_job_age_seconds", "keyturn_events_faulty"):
        assert page[name, ()] == 0
    assert ("keyturn_sweep_age_seconds", ()) not in page, "it was never swept"
    assert (page["keyturn_ledger_up", ()], page["keyturn_redis_up", ()]) == (1, 1)


def test_sums_are_those_of_all_processes_and_outlive_each(
    ledger: Ledger, process: Callable[[], Coordination], clock: Clock
) -> None:
    for _ in range(3):  # three lives of two workers
        for _ in range(2):
            worker = guard(process(), clock)
            outcome(worker)
            outcome(worker, Refused("no", call="/x", status=400))
            assert worker.meters.push()
            assert worker.meters.push(), "nothing is counted twice"
    for _ in range(2):  # two web processes
        page = shown(ledger, process(), clock)
        assert page["keyturn_upstream_call_seconds_count", ("ublox",)] == 12
        assert page["keyturn_upstream_errors_total", ("4xx", "ublox")] == 6


def test_without_redis_counts_wait_in_their_process(ledger: Ledger, tmp_path: Path, clock: Clock) -> None:
    port = free_port()
    with closing(Coordination(f"redis://127.0.0.1:{port}/0", pause=0)) as coordination:
        worker = guard(coordination, clock)
        outcome(worker)
        assert not worker.meters.push()
        page = shown(ledger, coordination, clock)
        assert page["keyturn_redis_up", ()] == 0
        assert page["keyturn_ledger_up", ()] == 1
        assert ("keyturn_upstream_call_seconds_count", ("ublox",)) not in page
        with valkey(tmp_path, port=port):
            outcome(worker)
            assert worker.meters.push()
            assert shown(ledger, coordination, clock)["keyturn_upstream_call_seconds_count", ("ublox",)] == 2


def test_without_the_ledger_the_rest_is_told(process: Callable[[], Coordination], clock: Clock, tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/never-migrated.db")
    page = shown(ledger, process(), clock)
    assert (page["keyturn_ledger_up", ()], page["keyturn_redis_up", ()]) == (0, 1)
    ledger.close()


def test_a_count_has_an_end(ledger: Ledger, process: Callable[[], Coordination], clock: Clock) -> None:
    one = "INSERT INTO jobs (operation, target, lock_key, parameters, rule, state, reason, not_before, fence, attempts,"
    one += " progress, evidence, created_at, updated_at) VALUES ('ublox.rotate_e2e_key', 'x', 'x', '{}', 'manual',"
    one += " 'parked', '', 0, 0, 0, '{}', '{}', 0, 0)"
    with ledger.database.writing() as connection:
        connection.execute(text(one))
        while connection.execute(text("SELECT count(*) FROM jobs")).scalar_one() <= MOST:
            columns = one.partition("(")[2].partition(")")[0]
            connection.execute(text(f"INSERT INTO jobs ({columns}) SELECT {columns} FROM jobs"))  # noqa: S608 - ours
    page = shown(ledger, process(), clock)
    assert page["keyturn_jobs", ("ublox.rotate_e2e_key", "parked")] == MOST


def test_an_answer_is_given_again_for_some_seconds(
    ledger: Ledger, process: Callable[[], Coordination], clock: Clock
) -> None:
    kept, fresh = (Metrics(ledger, process(), clock=clock, kept=seconds) for seconds in (60.0, 0.0))
    assert kept.page() == fresh.page()
    take_in(ledger, clock())
    assert samples(kept.page())["keyturn_events_unplanned", ()] == 0
    assert samples(fresh.page())["keyturn_events_unplanned", ()] == 1


def test_the_page_wants_a_token_only_where_one_is_set(database_url: str, redis_url: str) -> None:
    with serving(database_url, redis_url=redis_url) as receiver:
        answer = receiver.get("/metrics", Authorization=None)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert samples(answer.body)["keyturn_ledger_up", ()] == 1
        for name in ("Forwarded", "X-Forwarded-For", "x-real-ip", "Via"):
            refused = receiver.get("/metrics", Authorization=None, **{name: "127.0.0.1"})
            assert (refused.status, refused.body.startswith(b"set KEYTURN_METRICS_TOKEN")) == (403, True)
    with serving(database_url, redis_url=redis_url, metrics_token="metrics-7f3a9c1e") as receiver:
        for given in (None, "Bearer metrics-7f3a9c1f", "metrics-7f3a9c1e", "Bearer é"):
            answer = receiver.get("/metrics", Authorization=given)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        right = "Bearer metrics-7f3a9c1e"
        assert receiver.get("/metrics", Authorization=right, **{"X-Forwarded-For": "192.0.2.1"}).status == 200


def expressions() -> list[str]:
    """Every expression of the dashboard."""
    board = json.loads((DEPLOY / "grafana.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_every_metric_that_the_rules_and_the_dashboard_name_exists(
    ledger: Ledger, process: Callable[[], Coordination], clock: Clock
) -> None:
    busy_house(ledger, process(), clock)
    there = {name for name, _ in shown(ledger, process(), clock)}
    texts = [(DEPLOY / "alerts.yml").read_text(), *expressions()]
    named = {name for words in texts for name in re.findall(r"\bkeyturn_\w+", words)}
    assert len(named) > 15
    assert named <= there
    unnamed = {name.removesuffix("_sum") for name in there if not name.endswith("_created")} - named
    assert unnamed <= {"keyturn_upstream_call_seconds"}, "and none is told that nobody looks at"


def test_the_rules_and_the_page_please_prometheus_own_tool(
    ledger: Ledger, process: Callable[[], Coordination], clock: Clock
) -> None:
    busy_house(ledger, process(), clock)
    page = Metrics(ledger, process(), clock=clock).page()
    if PROMTOOL is None:
        assert samples(page)
        return
    for command, given in (("rules", b""), ("metrics", page)):
        files = [str(DEPLOY / "alerts.yml")] if command == "rules" else []
        told = subprocess.run([PROMTOOL, "check", command, *files], input=given, capture_output=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr


def test_a_real_prometheus_scrapes_us_without_an_error(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with serving(database_url, redis_url=redis_url) as receiver:
        if PROMETHEUS is None:
            assert samples(receiver.get("/metrics").body)
            return
        target = f"{receiver.address.host}:{receiver.address.port}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(DEPLOY / "alerts.yml")],
            "scrape_configs": [{"job_name": "keyturn", "static_configs": [{"targets": [target]}]}],
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))  # which YAML is too
        port = free_port()
        command = (
            PROMETHEUS,
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        )
        with (
            started(command, folder=tmp_path, env={}, fork=False),
            httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
        ):

            def asked(path: str, **parameters: str) -> Any:
                try:
                    return client.get(f"/api/v1/{path}", params=parameters).json()["data"]
                except (httpx.HTTPError, KeyError, ValueError):
                    return None

            def scraped() -> bool:
                found = asked("query", query="keyturn_ledger_up")
                return bool(found and found["result"] and found["result"][0]["value"][1] == "1")

            eventually(scraped)
            (line,) = asked("targets")["activeTargets"]
            assert (line["health"], line["lastError"]) == ("up", "")
            for expression in expressions():
                assert asked("query", query=expression) is not None, expression

            def evaluated() -> bool:
                rules = [rule for group in asked("rules")["groups"] for rule in group["rules"]]
                return bool(rules) and all(rule["health"] == "ok" for rule in rules)

            eventually(evaluated)
