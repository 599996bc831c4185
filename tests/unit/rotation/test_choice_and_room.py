from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.mobile_keys import HeldKey, Origin
from schemas.twon import KeyType
from services.operations.rotate_choice import chosen, for_one_device
from services.operations.rotate_lists import named
from services.operations.rotate_progress import LONGEST_PAUSE, SHORTEST_PAUSE, Place, Progress
from services.operations.rotate_room import Heard, Room, Rule, make_room
from services.operations.twon_access import Log

NOW = datetime(2026, 5, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def key(name: str, *, age: int, primary_for: int | None = None, made: bool = True, **more: Any) -> HeldKey:
    """A key so many days old, primary for so many."""
    return HeldKey(
        id=name,
        location="Lobby",
        kind=KeyType.RSA,
        public=name,
        origin=Origin.MADE if made else Origin.READ,
        created_at=NOW - age * DAY,
        primary_since=None if primary_for is None else NOW - primary_for * DAY,
        **more,
    )


P = key("P", age=100, primary_for=99)
OLD = [P, key("S", age=200, primary_for=199), key("T", age=300, primary_for=299), key("O", age=400, made=False)]


def choice(keys: Sequence[HeldKey], *, job_id: int = 9, begun_with: str = "", days: int = 0) -> str | None:
    found = chosen(keys, job_id=job_id, begun_with=begun_with, at_most_every=days * DAY, now=NOW)
    return None if found is None else found.id


def test_a_new_key_is_made_where_none_waits() -> None:
    assert choice([]) is None
    assert choice(OLD) is None


def test_a_key_that_waits_goes_on_whoever_made_it() -> None:
    assert choice([key("N", age=1, job_id=3), *OLD]) == "N"


def test_a_job_makes_no_second_key() -> None:
    assert choice([key("N", age=1, primary_for=1, job_id=9), *OLD]) == "N"
    assert choice(OLD, begun_with="P") == "P"


def test_a_job_that_comes_late_does_not_put_its_key_before_a_newer_one() -> None:
    mine = key("M", age=9, primary_for=9, job_id=9)
    assert choice([key("N", age=1, primary_for=1, job_id=10), mine, *OLD]) == "N"


@pytest.mark.parametrize(("days", "found"), [(99, None), (100, "P")])
def test_a_young_primary_key_of_ours_is_kept(days: int, found: str | None) -> None:
    assert choice(OLD, days=days) == found


def test_a_young_key_that_was_only_read_is_not_ours() -> None:
    assert choice([key("R", age=1, primary_for=1, made=False)], days=30) is None


def test_a_key_that_was_dropped_is_nobodys_choice() -> None:
    assert choice([key("N", age=1, dropped_at=NOW), *OLD], days=100) == "P"
    assert for_one_device([key("N", age=1, dropped_at=NOW)]) is None


def room(
    keys: Sequence[HeldKey] = OLD,
    *,
    days: int = 90,
    phones: Mapping[str, Sequence[datetime]] | None = None,
    seen: str = "PSTO",
    heads: str = "P",
    heard_of: Heard | None = None,
    **more: Any,
) -> Room:
    """Make room for a key among four; what is wished is that of a rule, or ids that go already."""
    leaves = set(more.pop("leaves", ""))
    wished = {"drop_oldest": False, "published": (), **more}
    heard = heard_of or Heard(logs={"door": Log(phones=phones or {}, begins=NOW - 400 * DAY)})
    rule = Rule(drop_after=days * DAY, hear=lambda: heard, now=NOW, **wished)
    return make_room(None, keys, seen=set(seen), heads=set(heads), leaves=leaves, rule=rule)


def test_nothing_goes_while_there_is_room() -> None:
    assert room(seen="PST") == Room()


def test_the_oldest_goes_when_its_successor_is_old_enough_and_all_phones_came_by() -> None:
    came = {"alice": [NOW - 310 * DAY, NOW - 5 * DAY]}
    assert room(phones=came) == Room(leaves=frozenset("O"), by_rule=True)


def test_the_oldest_stays_while_its_successor_is_young() -> None:
    found = room(days=300)
    assert not found.leaves
    assert "phones are given 300" in found.lacking[0]


def test_the_oldest_stays_while_a_phone_did_not_come_by() -> None:
    found = room(phones={"alice": [NOW - 310 * DAY], "bob": [NOW - 310 * DAY, NOW - DAY], "carol": [NOW - DAY]})
    assert not found.leaves
    assert found.lacking[0].endswith("1 of the phones that used a device before 15 Jul 2025 did not since")


@pytest.mark.parametrize(("after", "goes"), [(timedelta(0), False), (DAY, False), (DAY + timedelta(seconds=1), True)])
def test_a_devices_clock_may_be_wrong(after: timedelta, goes: bool) -> None:  # noqa: FBT001 - a case of the table
    """A phone that came by within a day of the change may have come before it."""
    assert bool(room(phones={"alice": [NOW - 299 * DAY + after]}).leaves) is goes


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        (Heard(mute={"door": "no privilege"}), "door did not tell which phones they let in (no privilege)"),
        (Heard(silent={"door": "no answer"}), "door did not tell which phones they let in (no answer)"),
        (Heard(logs={"door": Log(phones={}, begins=NOW - 3 * DAY)}), "the logs of door begin on 07 May 2026"),
        (Heard(logs={"door": Log(phones={}, begins=None)}), "the logs of door are empty"),
    ],
)
def test_what_a_log_does_not_tell_proves_nothing(heard: Heard, why: str) -> None:
    found = room(heard_of=heard)
    assert not found.leaves
    assert why in found.lacking[0]
    assert room(heard_of=heard, drop_oldest=True).leaves == frozenset("O"), "a person's word needs no log"


def test_a_time_to_come_is_no_proof_that_a_phone_came_by() -> None:
    assert not room(phones={"alice": [NOW - 310 * DAY, NOW + 10 * DAY]}).leaves


def test_a_key_that_was_never_followed_stays() -> None:
    keys = [key(name, age=100 + place, made=False) for place, name in enumerate("ABCD")]
    found = room(keys, seen="ABCD", heads="A")
    assert not found.leaves
    assert "no newer key was yet the primary key of every device" in found.lacking[0]


def test_a_persons_word_drops_the_oldest_and_no_more_than_needed() -> None:
    assert room(drop_oldest=True, days=3000) == Room(leaves=frozenset("O"))
    assert room(drop_oldest=True, leaves="O") == Room(leaves=frozenset("O"))


def test_what_a_device_hands_to_phones_goes_last_and_only_by_a_persons_word() -> None:
    assert "is the primary key of a device" in " ".join(room(heads="PSTO").lacking)
    assert room(heads="PO", drop_oldest=True).leaves == frozenset("T")
    assert room(heads="PSTO", drop_oldest=True).leaves == frozenset("O")


def test_a_published_key_goes_first_and_also_without_need() -> None:
    assert room(published=["S"], days=90).leaves == frozenset("S")
    assert room(published=["T"], seen="PT").leaves == frozenset("T")
    assert room(published=["T"], seen="PT", days=400) == Room()
    assert room(published=["P"], seen="P") == Room()


def test_progress_is_read_as_it_was_written() -> None:
    progress = Progress(
        key="k",
        devices={"a": Place.PRIMARY},
        leaves={"x"},
        lists={"a": ("y", "z"), "b": ("y", "z"), "c": ()},
        silent={"b": NOW},
    )
    assert Progress.read(progress.write()) == progress
    assert Progress.read({}) == Progress()


def test_what_a_device_had_is_forgotten_when_it_is_seen_with_something_else() -> None:
    progress = Progress(lists={"a": ("y", "", "z"), "b": ("", "y")})
    assert (progress.seen, progress.heads) == ({"y", "z"}, {"y"})
    progress.lists["a"] = ("z",)
    assert (progress.seen, progress.heads) == ({"y", "z"}, {"z"})


def test_a_place_without_a_list_is_not_believed() -> None:
    assert Progress.read({"key": "k", "phase": "lead", "devices": {"a": "primary"}, "seen": ["y"]}) == Progress(key="k")


def test_another_key_begins_anew() -> None:
    progress = Progress(key="k", devices={"a": Place.PRIMARY}, leaves={"x"})
    progress.turn_to("k")
    assert progress.devices
    progress.turn_to("other")
    assert progress == Progress(key="other")


def test_silent_devices_are_asked_less_and_less_often() -> None:
    progress = Progress()
    progress.fell_silent(["a"], NOW)
    assert progress.next_look(NOW) == NOW + SHORTEST_PAUSE
    assert progress.next_look(NOW + timedelta(minutes=2)) == NOW + timedelta(minutes=3)
    assert progress.next_look(NOW + DAY) == NOW + DAY + LONGEST_PAUSE
    progress.fell_silent(["a", "b"], NOW + DAY)
    assert progress.silent["a"] == NOW
    assert progress.next_look(NOW + DAY) == NOW + DAY + SHORTEST_PAUSE


def test_many_devices_are_named_in_short() -> None:
    assert named([f"d{number:02}" for number in range(12)]).endswith("d08, d09 and 2 more")
