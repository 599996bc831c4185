"""The event log and its channels by a clock that is moved by hand; which fault strikes which request."""

from random import Random

import pytest

from schemas.errors import InputError
from services.sandbox.twon.dials import Deed, Strike
from services.sandbox.twon.envelope import ApiError
from services.sandbox.twon.events import EventLog
from services.sandbox.twon.factory import Factory, counted
from services.sandbox.twon.park import Park
from services.sandbox.twon.striking import Strikes
from tests.support.twon import UnixClock


@pytest.fixture
def clock() -> UnixClock:
    return UnixClock()


@pytest.fixture
def log(clock: UnixClock) -> EventLog:
    return EventLog(clock, most=500)


def everything(_kind: str) -> bool:
    return True


def entered(log: EventLog, times: int = 1) -> None:
    for _ in range(times):
        log.note("MobKeyEntered", {"valid": True}, visible=True)


def ids(log: EventLog, channel: int) -> list[int]:
    return [event["id"] for event in log.channel({"id": str(channel)})[1].pull(0)]


def test_a_channel_gives_new_events_in_batches(log: EventLog) -> None:
    channel = log.subscribe({}, everything)
    entered(log, 200)
    _, found = log.channel({"id": str(channel)})
    batches = [found.pull(1_700_000_000) for _ in range(3)]
    assert [len(batch) for batch in batches] == [128, 72, 0]
    assert batches[0][0] == {
        "id": 2,
        "tzShift": 0,
        "utcTime": 1_700_000_000,
        "upTime": 0,
        "event": "MobKeyEntered",
        "params": {"valid": True},
    }


def test_history_filter_and_age(log: EventLog, clock: UnixClock) -> None:
    clock.now += 100
    entered(log)
    for include, filter_, expected in (
        ("all", "", [1, 2]),
        ("all", "MobKeyEntered", [2]),
        ("all", "CardEntered", []),
        ("-50", "", [2]),
        ("-100", "DeviceState,MobKeyEntered", [1, 2]),
        ("new", "", []),
    ):
        channel = log.subscribe({"include": include, "filter": filter_}, everything)
        _, found = log.channel({"id": str(channel)})
        assert [event["id"] for event in found.pull(clock.now)] == expected


def test_history_is_bounded(log: EventLog) -> None:
    entered(log, 600)
    assert (len(log.history), log.history[-1]["id"]) == (500, 601)


def test_ids_begin_anew_after_a_restart_and_channels_are_gone(log: EventLog, clock: UnixClock) -> None:
    channel = log.subscribe({}, everything)
    entered(log, 5)
    clock.now += 10
    log.restart()
    assert [(event["id"], event["event"]) for event in log.history] == [(1, "DeviceState")]
    assert log.up_time == 0
    with pytest.raises(ApiError, match="12"):
        log.channel({"id": str(channel)})


def test_a_channel_that_nobody_pulls_expires(log: EventLog, clock: UnixClock) -> None:
    channel = log.subscribe({"duration": "30"}, everything)
    clock.now += 30
    log.channel({"id": str(channel)})[1].pull(clock.now)
    clock.now += 30
    assert log.channel({"id": str(channel)})
    clock.now += 1
    with pytest.raises(ApiError) as refusal:
        log.channel({"id": str(channel)})
    assert (refusal.value.code, refusal.value.param) == (12, "id")


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"include": "old"}, "include"),
        ({"include": "-"}, "include"),
        ({"duration": "0"}, "duration"),
        ({"duration": "3601"}, "duration"),
        ({"duration": "long"}, "duration"),
        ({"duration": "9" * 5000}, "duration"),
    ],
)
def test_a_wrong_subscription_names_its_parameter(log: EventLog, parameters: dict[str, str], param: str) -> None:
    with pytest.raises(ApiError) as refusal:
        log.subscribe(parameters, everything)
    assert (refusal.value.code, refusal.value.param) == (12, param)


def test_events_that_an_account_may_not_see_never_arrive(log: EventLog) -> None:
    entered(log)
    channel = log.subscribe({"include": "all"}, lambda kind: kind != "MobKeyEntered")
    log.note("MobKeyEntered", {}, visible=False)
    assert ids(log, channel) == [1]


def strikes(*wishes: Strike) -> Strikes:
    return Strikes(wishes, Random(1))


def struck(faults: Strikes, method: str = "GET", path: str = "/api/system/info", times: int = 6) -> list[str]:
    found = [faults.next(method, path) for _ in range(times)]
    return [str(strike.do) if strike else "" for strike in found]


def test_a_strike_skips_strikes_and_is_spent() -> None:
    assert struck(strikes(Strike(do=Deed.HTML, skip=1, times=2))) == ["", "html", "html", "", "", ""]


def test_the_first_strike_that_fits_comes_first() -> None:
    faults = strikes(Strike(do=Deed.CUT, on="PUT"), Strike(do=Deed.HTML), Strike(do=Deed.TEXT, times=None))
    assert struck(faults, times=2) == ["html", "text"]
    assert struck(faults, "PUT", times=2) == ["cut", "text"]


def test_a_strike_at_one_path_or_request() -> None:
    faults = strikes(Strike(do=Deed.CUT, on="GET /api/system/caps"), Strike(do=Deed.MUTE, on="/api/system/status"))
    assert struck(faults, times=1) == [""]
    assert struck(faults, "POST", "/api/system/caps", times=1) == [""]
    assert struck(faults, "POST", "/api/system/status", times=2) == ["mute", ""]
    assert struck(faults, "GET", "/api/system/caps", times=2) == ["cut", ""]


def test_only_a_write_is_forgotten() -> None:
    faults = strikes(Strike(do=Deed.FORGET))
    assert struck(faults, times=1) == [""]
    assert struck(faults, "PUT", times=2) == ["forget", ""]


def test_a_share_is_struck_in_the_same_places_each_time() -> None:
    runs = [struck(strikes(Strike(do=Deed.HTML, times=None, share=0.3)), times=200) for _ in range(2)]
    assert runs[0] == runs[1]
    assert 30 < runs[0].count("html") < 90


def test_serial_numbers_count_up() -> None:
    assert counted("54-1046-9999", 2) == "54-1047-0001"
    for serial, step in (("54-9999-9999", 1), ("54-1046-745", 0), ("5410460745xx", 0), ("aa-1046-0745", 0)):
        with pytest.raises(InputError, match="serial"):
            counted(serial, step)


def test_locations_are_filled_one_after_the_other() -> None:
    models = Factory(devices=5, location="floor", location_size=2, keys=2).models()
    assert [model.location for model in models] == ["floor-1", "floor-1", "floor-2", "floor-2", "floor-3"]
    assert models[0].keys == models[1].keys
    assert models[1].keys != models[2].keys
    assert Factory(devices=2, location="lyon").models()[1].location == "lyon"


def test_two_devices_of_one_serial_number_are_told() -> None:
    with pytest.raises(InputError, match="2 devices are 54-1046-0745"):
        Park(Factory().models() * 2)


def test_an_impossible_park_tells_every_fault() -> None:
    with pytest.raises(InputError) as refusal:
        Factory(devices=0, keys=5).models()
    assert len(refusal.value.faults) == 2
