"""``/metrics`` for Prometheus: what stands in the ledger, and what all processes together have counted.

Every web process gives the same answer: gauges are read from the ledger, sums and breakers from Redis, both at most
once in a few seconds however often they are asked for. Nothing is kept in the process, so a restart changes nothing.
Without Redis the sums and breakers are missing; without the ledger its gauges are; `keyturn_redis_up` and
`keyturn_ledger_up` say so.
"""

import hmac
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from infra.circuits import PREFIX, Circuit
from infra.coordination import Coordination
from infra.ledger import Ledger, Measured
from infra.meters import BUCKETS, Series, alive, read_sums
from schemas.errors import LedgerUnavailable
from services.schedules.certificates import NEAREST

KEPT: Final = 5.0
"""Seconds for which an answer is given again."""

MOST_CIRCUITS: Final = 10_000

_COUNTERS: Final = {
    "keyturn_attempts": "Attempts at jobs that have ended, by the state that they led to.",
    "keyturn_upstream_errors": "Calls of an outside system that failed, by what went wrong.",
    "keyturn_upstream_calls_held_back": "Calls that were not made because of an open breaker or the rate.",
    "keyturn_upstream_breaker_opened": "How often a breaker has opened.",
}
_HISTOGRAMS: Final = {
    "keyturn_upstream_call_seconds": "How long calls of a cloud and conversations with a device took.",
}


_HERE: Final = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})

_PASSED_ON: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""What a proxy adds: who asks through one on this machine may be anybody."""


class Metrics:
    """The page, and whoever Prometheus asks for it."""

    def __init__(
        self,
        ledger: Ledger,
        coordination: Coordination,
        *,
        clock: Callable[[], datetime],
        token: SecretStr | None = None,
        kept: float = KEPT,
    ) -> None:
        self._ledger = ledger
        self._coordination = coordination
        self._clock = clock
        self._wanted = None if token is None else f"Bearer {token.get_secret_value()}".encode()
        self._kept = kept
        self._lock = threading.Lock()
        self._page = b""
        self._read_at = -kept
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def show(self, request: Request) -> Response:
        """Give the page: to who brings the token; where there is none, to this machine alone."""
        if self._wanted is None:
            if not _is_from_here(request):
                text = "set KEYTURN_METRICS_TOKEN to read this from another machine, or through a proxy\n"
                return PlainTextResponse(text, status_code=403)
        else:
            given = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, self._wanted):
                headers = {"www-authenticate": "Bearer"}
                return PlainTextResponse("KEYTURN_METRICS_TOKEN is wanted\n", status_code=401, headers=headers)
        return Response(self.page(), media_type=CONTENT_TYPE_LATEST)

    def page(self) -> bytes:
        """Give the page, read anew when the last one is older than a few seconds; one caller at a time reads."""
        with self._lock:
            now = time.monotonic()
            if now - self._read_at >= self._kept:
                self._page = generate_latest(self._registry)
                self._read_at = time.monotonic()
            return self._page

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would ask for everything only to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give every metric, as the registry asks for them."""
        yield from self._from_ledger()
        yield from self._from_redis()

    def _from_ledger(self) -> Iterator[Metric]:
        try:
            measured, nearest = self._ledger.gauges.measure(), self._ledger.admin.watermark(NEAREST)
        except LedgerUnavailable:
            yield _gauge("keyturn_ledger_up", "Whether the ledger can be read.", 0)
            return
        yield _gauge("keyturn_ledger_up", "Whether the ledger can be read.", 1)
        yield from _figures(measured, self._clock())
        if (expiry := _expiry(nearest)) is not None:
            left = (expiry - self._clock()).total_seconds()
            yield _gauge("keyturn_nearest_expiry_seconds", "Until the first known certificate ends.", left)

    def _from_redis(self) -> Iterator[Metric]:
        sums, workers = read_sums(self._coordination), alive(self._coordination)
        circuits = self._coordination.find(PREFIX, limit=MOST_CIRCUITS)
        up = sums is not None and workers is not None and circuits is not None
        yield _gauge("keyturn_redis_up", "Whether Redis answers.", int(up))
        if sums is None or workers is None or circuits is None:
            return
        yield from _sums(sums)
        queues: dict[str, float] = defaultdict(float)
        for served in workers.values():
            for queue in served:
                queues[queue] += 1
        yield _gauges("keyturn_workers_alive", "Worker processes that serve a queue.", ["queue"], _keyed(queues))
        yield from self._breakers({name.removeprefix(PREFIX): Circuit.read(raw) for name, raw in circuits.items()})

    def _breakers(self, circuits: Mapping[str, Circuit]) -> Iterator[Metric]:
        now = self._clock().timestamp()
        clouds: dict[str, float] = {}
        devices: dict[str, float] = defaultdict(float)
        for name, circuit in circuits.items():
            system, _, device = name.partition(":")
            if device:
                devices[system] += circuit.is_open
            else:
                clouds[system] = 0 if not circuit.is_open else 2 if now < circuit.until else 1
        text = "The breaker of a cloud upstream: 0 closed, 1 half-open, 2 open. Missing: it never failed of late."
        yield _gauges("keyturn_upstream_breaker_state", text, ["upstream"], _keyed(clouds))
        text = "Devices whose breaker is open."
        yield _gauges("keyturn_device_breakers_open", text, ["upstream"], _keyed(devices))


def _is_from_here(request: Request) -> bool:
    is_near = request.client is None or request.client.host in _HERE
    return is_near and not any(name in request.headers for name in _PASSED_ON)


def _figures(measured: Measured, now: datetime) -> Iterator[Metric]:
    yield _gauges("keyturn_jobs", "Jobs that are not finished.", ["operation", "state"], measured.jobs)
    text = "Jobs that wait for a person, by why."
    yield _gauges("keyturn_jobs_parked", text, ["because"], _keyed({**measured.parked}))
    yield _gauge("keyturn_events_unplanned", "Events that no plan was made for yet.", measured.unplanned)
    yield _gauge("keyturn_events_faulty", "Events that Keyturn failed to plan.", measured.faulty)
    yield _gauge("keyturn_events_malformed", "Events that could not be understood.", measured.malformed)
    text = "How long ago the oldest due job could have begun; 0 when none is due."
    yield _gauge("keyturn_oldest_due_job_age_seconds", text, _age(now, measured.oldest_due))
    text = "How long ago the oldest event without a plan came; 0 when there is none."
    yield _gauge("keyturn_lag_seconds", text, _age(now, measured.oldest_unplanned))
    if measured.last_sweep is not None:
        text = "How long ago the ledger was last swept."
        yield _gauge("keyturn_sweep_age_seconds", text, _age(now, measured.last_sweep))


def _expiry(mark: str | None) -> datetime | None:
    """The time in the mark of the last scan of certificates, which may have found none."""
    found = json.loads(mark or "null")
    return None if found is None else datetime.fromisoformat(found["at"])


def _sums(sums: Mapping[Series, float]) -> Iterator[Metric]:
    for name, text in _COUNTERS.items():
        found = {labels: value for (series, labels), value in sums.items() if series == name}
        names = _label_names(found)
        counter = CounterMetricFamily(name, text, labels=names)
        for labels, value in sorted(found.items()):
            counter.add_metric([dict(labels).get(label, "") for label in names], value)
        yield counter
    for name, text in _HISTOGRAMS.items():
        yield _histogram(name, text, sums)


def _histogram(name: str, text: str, sums: Mapping[Series, float]) -> Metric:
    """A histogram of what was counted bucket by bucket."""
    family = HistogramMetricFamily(name, text, labels=["upstream"])
    counts: dict[str, dict[str, float]] = defaultdict(dict)
    for (series, labels), value in sums.items():
        if series == f"{name}_bucket":
            counts[dict(labels)["upstream"]][dict(labels)["le"]] = value
    for upstream, held in sorted(counts.items()):
        total, buckets = 0.0, []
        for bound in (*(f"{bound:g}" for bound in BUCKETS), "+Inf"):
            total += held.get(bound, 0.0)
            buckets.append((bound, total))
        spent = sums.get((f"{name}_sum", (("upstream", upstream),)), 0.0)
        family.add_metric([upstream], buckets=buckets, sum_value=spent)
    return family


def _label_names(found: Iterable[tuple[tuple[str, str], ...]]) -> list[str]:
    return sorted({label for labels in found for label, _ in labels})


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(list(key), value)
    return family


def _keyed(values: Mapping[str, float]) -> dict[tuple[str], float]:
    return {(name,): value for name, value in values.items()}


def _age(now: datetime, moment: datetime | None) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
