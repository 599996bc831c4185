"""The same request again, and many who follow one trigger."""

import asyncio
import threading
from typing import Any

import pytest

from infra.ledger import Ledger
from schemas.access import Role
from schemas.jobs import State
from schemas.triggers import TriggerView
from services.web.admin import streams as module
from services.web.admin.problems import Problem
from services.web.admin.streams import Streams
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import ROTATE, ask, claim, device, rows, settle, wish

KEY = {"Idempotency-Key": "again-1"}


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock)


def by_query(**more: Any) -> dict[str, Any]:
    """All devices with a job that is due, which are other ones a moment later."""
    return {"operation": ROTATE, "targets": {"query": {"jobs": {"state": "due", "operation": ROTATE}}}, **more}


def test_a_repeat_finds_its_trigger_although_its_query_finds_nothing_any_more(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    ask(ledger, clock(), wish(device(1)))
    first = site.post("/triggers", by_query(), headers=KEY)
    settle(ledger, clock(), claim(ledger, clock())[0], State.SUCCEEDED)
    problem(site.post("/triggers", by_query()), 422)
    again = site.post("/triggers", by_query(), headers=KEY)
    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.json(), again.headers["location"]) == (first.json(), first.headers["location"])
    assert again.headers["location"] == f"/admin/v1/triggers/{first.json()['id']}"
    problem(site.post("/triggers", by_query(reason="another"), headers=KEY), 422)
    clock.forward(days=2)  # the answer is forgotten, the trigger is not
    later = site.post("/triggers", by_query(), headers=KEY)
    assert later.json()["id"] == first.json()["id"]
    assert len(rows(ledger, "SELECT * FROM triggers")) == 1


def test_a_trigger_is_not_done_again_for_somebody_else_with_the_same_key(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    ask(ledger, clock(), wish(device(1)))
    first = site.post("/triggers", by_query(), headers=KEY).json()["id"]
    _, other = site.new_key(Role.ADMIN)
    headers = {**KEY, "Authorization": f"Bearer {other}"}
    theirs = site.call("POST", "/triggers", role=None, json=by_query(), headers=headers)
    assert theirs.json()["id"] != first


class Slow:
    """A trigger that is looked at slowly; counts the looks that are at work and those that were."""

    def __init__(self, view: TriggerView) -> None:
        self._view = view
        self._guard = threading.Lock()
        self.looks = self.now = self.most = 0
        self.release = threading.Event()

    def __call__(self, _trigger: str) -> TriggerView:
        """Look."""
        with self._guard:
            self.looks, self.now = self.looks + 1, self.now + 1
            self.most = max(self.most, self.now)
        self.release.wait(60)
        with self._guard:
            self.now -= 1
        return self._view


@pytest.fixture
def view(site: AdminSite, ledger: Ledger, clock: Clock) -> TriggerView:
    ask(ledger, clock(), wish(device(1)))
    name = site.post("/triggers", by_query()).json()["id"]
    found = ledger.triggers.show(name)
    assert found is not None
    return found


async def ask_for(streams: Streams, trigger: str, look: Slow) -> TriggerView | None:
    with streams.seat(trigger):
        return await streams.look(trigger, look)


def test_those_who_follow_one_trigger_share_a_look(view: TriggerView) -> None:
    look, streams = Slow(view), Streams()
    look.release.set()

    async def all_at_once() -> list[TriggerView | None]:
        return await asyncio.gather(*(ask_for(streams, view.id, look) for _ in range(50)))

    assert asyncio.run(all_at_once()) == [view] * 50
    assert look.looks == 1


def test_streams_of_many_triggers_leave_threads_for_others(view: TriggerView) -> None:
    look, streams = Slow(view), Streams()

    async def all_at_once() -> None:
        asked = [asyncio.create_task(ask_for(streams, f"trigger {number}", look)) for number in range(60)]
        await asyncio.sleep(0.05)
        assert await asyncio.to_thread(lambda: "healthy") == "healthy"
        look.release.set()
        await asyncio.gather(*asked)

    asyncio.run(all_at_once())
    assert (look.looks, look.most) == (60, module.THREADS)


def test_there_are_so_many_streams_and_no_more() -> None:
    streams = Streams(most=2)
    with streams.seat("a"), streams.seat("b"):
        with pytest.raises(Problem) as raised, streams.seat("a"):
            pass
        assert (raised.value.status, raised.value.headers) == (503, {"retry-after": "5"})
    with streams.seat("a"):
        pass


def test_a_stream_too_many_is_a_problem_and_not_a_broken_stream(
    site: AdminSite, view: TriggerView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site._means.streams, "_most", 0)  # noqa: SLF001 - two hundred streams would only be slower
    told = site.get(f"/triggers/{view.id}/events")
    assert problem(told, 503)["detail"].startswith("0 streams are open")
    assert told.headers["retry-after"] == "5"
