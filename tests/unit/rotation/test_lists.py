"""The arithmetic of key lists, by its laws."""

from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.twon import MOST_KEYS
from services.operations.rotate_lists import (
    KeyList,
    Unfit,
    Wish,
    secondaries,
    surplus,
    told,
    with_first,
    with_secondary,
)

NAMES = [letter * 4 for letter in "ABCDEFGHIJ"]
NEW = "NEW0"

KEYS = st.lists(st.sampled_from(NAMES), unique=True, max_size=MOST_KEYS).map(tuple)
SOME = st.sets(st.sampled_from(NAMES))


@st.composite
def locations(draw: st.DrawFn) -> tuple[list[KeyList], Wish]:
    """Some devices and what is wished of them all; there is room, as `surplus` says before anything is begun."""
    lists = draw(st.lists(KEYS, min_size=1, max_size=5))
    held = draw(SOME) | {NEW} | (set().union(*lists) if draw(st.booleans()) else set())
    leaves = frozenset(draw(SOME))
    alone = draw(st.sets(st.sampled_from(NAMES), max_size=1))
    standing = set().union(*lists) & held
    assume(surplus(NEW, standing, leaves) <= 0)
    newest_first = draw(st.permutations(sorted(held)))
    others = secondaries(NEW, newest_first, standing=standing, leaves=leaves, alone=alone)
    unknown = draw(st.booleans())
    return lists, Wish(first=NEW, others=others, leaves=leaves, held=frozenset(held), delete_unknown=unknown)


def may_go(wish: Wish) -> set[str]:
    """What a list may lose."""
    return set(wish.leaves) | (set(NAMES) - wish.held if wish.delete_unknown else set())


@given(locations())
def test_no_list_ever_has_more_than_four_keys_or_one_twice(location: tuple[list[KeyList], Wish]) -> None:
    lists, wish = location
    for current in lists:
        for wanted in (with_secondary(current, wish), with_first(current, wish)):
            if isinstance(wanted, tuple):
                assert len(wanted) == len(set(wanted)) <= MOST_KEYS


@given(locations())
def test_no_key_is_lost_that_must_stay(location: tuple[list[KeyList], Wish]) -> None:
    lists, wish = location
    for current in lists:
        for wanted in (with_secondary(current, wish), with_first(current, wish)):
            if isinstance(wanted, tuple):
                assert set(current) - may_go(wish) <= set(wanted)


@given(locations())
def test_a_list_that_must_be_written_can_be_or_has_a_key_that_nobody_holds(
    location: tuple[list[KeyList], Wish],
) -> None:
    """There is room: so only an unknown key stands in the way."""
    lists, wish = location
    for current in lists:
        for wanted in (with_secondary(current, wish), with_first(current, wish)):
            assert isinstance(wanted, Unfit) <= bool(set(current) - wish.held and not wish.delete_unknown)


@given(locations())
def test_the_first_phase_changes_no_primary_key(location: tuple[list[KeyList], Wish]) -> None:
    lists, wish = location
    for current in lists:
        wanted = with_secondary(current, wish)
        if isinstance(wanted, tuple):
            assert wanted[0] == current[0]
            assert NEW in wanted[1:]


@given(locations())
def test_the_first_phase_gives_no_other_key_to_anybody(location: tuple[list[KeyList], Wish]) -> None:
    """A key that a device did not know would bring in phones, and move them to a primary key unknown elsewhere."""
    lists, wish = location
    for current in lists:
        wanted = with_secondary(current, wish)
        if isinstance(wanted, tuple):
            assert set(wanted) <= {*current, NEW}


@given(locations())
def test_after_both_phases_the_devices_have_one_list_but_for_what_stays_where_it_is(
    location: tuple[list[KeyList], Wish],
) -> None:
    lists, wish = location
    for current in lists:
        first = with_secondary(current, wish)
        final = with_first(first if isinstance(first, tuple) else current, wish)
        if isinstance(final, tuple):
            assert final[: 1 + len(wish.others)] == (NEW, *wish.others)
            assert not set(final) & wish.leaves


@given(locations())
def test_a_list_that_is_as_it_should_be_is_not_written_again(location: tuple[list[KeyList], Wish]) -> None:
    lists, wish = location
    for current in lists:
        added, final = with_secondary(current, wish), with_first(current, wish)
        if isinstance(added, tuple):
            assert with_secondary(added, wish) == added
        if isinstance(final, tuple):
            assert with_first(final, wish) == final == with_secondary(final, wish)


@given(KEYS.filter(lambda keys: 0 < len(keys) < MOST_KEYS), st.sets(st.sampled_from(NAMES[1:]), max_size=2))
def test_whatever_the_order_every_primary_key_is_known_at_every_device(current: KeyList, leaves: set[str]) -> None:
    """The law behind it all: what a device hands to phones, all other devices know."""
    going = frozenset(leaves - {current[0]})
    held = frozenset(NAMES) | {NEW}
    others = secondaries(NEW, sorted(held), standing=current, leaves=going, alone=())
    wish = Wish(first=NEW, others=others, leaves=going, held=held)
    before = [current] * 3
    for phase in (with_secondary, with_first):
        for order in permutations(range(3)):
            there = list(before)
            for number in order:
                wanted = phase(there[number], wish)
                assert isinstance(wanted, tuple)
                there[number] = wanted
                assert all(one[0] in other for one in there for other in there)
        before = there


def test_no_other_key_moves_up_where_the_primary_key_cannot_stay() -> None:
    """Other devices may not know it; the coming key they will all know."""
    unknown = Wish(first=NEW, held=frozenset({NEW, "X", "Y"}), delete_unknown=True)
    assert with_secondary(("U", "X", "Y"), unknown) is None
    given_up = Wish(first=NEW, held=frozenset({NEW, *"ABCD"}), leaves=frozenset("A"))
    assert with_secondary(tuple("ABCD"), given_up) is None
    assert with_secondary(tuple("ABC"), given_up) == ("A", NEW, "B", "C")


@pytest.mark.parametrize("current", [(), ("?0",), ("AAAA", "?1")])
def test_a_device_without_a_key_to_keep_waits_until_the_others_know_the_new_one(current: KeyList) -> None:
    wish = Wish(first=NEW, held=frozenset({NEW}), delete_unknown=True)
    assert with_secondary(current, wish) is None
    assert with_first(current, wish) == (NEW,)


def test_an_unknown_key_is_named_and_the_way_out_is_told() -> None:
    unfit = with_secondary(("AAAA",), Wish(first=NEW, held=frozenset({NEW})))
    assert isinstance(unfit, Unfit)
    assert told("AAAA") in unfit.reason
    assert "delete_unknown = true" in unfit.reason


def test_keys_that_no_device_shows_come_back_as_far_as_there_is_room() -> None:
    """A device was reset: its phones still have them."""
    assert secondaries(NEW, ["A", "B", "C", "D"], standing={"C"}, leaves=(), alone=()) == ("A", "B", "C")
    assert secondaries(NEW, ["A", "B", "C", "D"], standing={"B", "C", "D"}, leaves=(), alone=()) == ("B", "C", "D")


@pytest.mark.parametrize("name", ["?0", "no base64", ""])
def test_a_key_without_a_readable_name_is_told_too(name: str) -> None:
    assert told(name) in {"unreadable", told("")}
