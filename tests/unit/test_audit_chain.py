from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.ledger.chain import Head, Link, faults_of, hash_of

WORDS = st.text(max_size=8)
COLUMNS = ("at", "actor", "action", "subject", "reason", "detail")


@st.composite
def chains(draw: st.DrawFn, least: int = 1) -> list[Link]:
    links: list[Link] = []
    for number in range(1, draw(st.integers(least, 12)) + 1):
        link = Link(
            id=number,
            at=draw(st.integers(0, 2**53)),
            actor=draw(WORDS),
            action=draw(WORDS),
            subject=draw(WORDS),
            reason=draw(WORDS),
            detail=draw(st.sampled_from(["{}", '{"a":1}'])),
            previous=links[-1].hash if links else Head().hash,
        )
        links.append(replace(link, hash=hash_of(link)))
    return links


def head_of(links: list[Link]) -> Head:
    return Head(count=len(links), hash=links[-1].hash)


@given(chains())
def test_a_chain_as_it_was_written_has_no_fault(links: list[Link]) -> None:
    assert list(faults_of(links, head_of(links))) == []


def test_an_audit_without_rows_has_no_fault() -> None:
    assert list(faults_of([], Head())) == []


@given(chains(), st.data())
def test_a_changed_row_is_named(links: list[Link], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(links) - 1))
    column = data.draw(st.sampled_from(COLUMNS))
    old = getattr(links[index], column)
    new: Any = old + 1 if isinstance(old, int) else old + "x"
    changed = replace(links[index], **{column: new})
    faults = list(faults_of([*links[:index], changed, *links[index + 1 :]], head_of(links)))
    assert faults == [f"row {index + 1} was changed"]


@given(chains(), st.data())
def test_a_row_that_was_written_anew_with_its_hash_shows_in_what_follows(
    links: list[Link], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(links) - 1))
    forged = replace(links[index], reason=links[index].reason + "x")
    forged = replace(forged, hash=hash_of(forged))
    faults = list(faults_of([*links[:index], forged, *links[index + 1 :]], head_of(links)))
    last = f"row {len(links)} is not the one that the note of the head knows"
    between = f"row {index + 2} does not follow the row before it: one of the two was replaced"
    assert faults == [last if index + 1 == len(links) else between]


@given(chains(least=2), st.data())
def test_missing_rows_are_named_in_the_middle_and_at_both_ends(links: list[Link], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(links) - 1))
    last = data.draw(st.integers(first, len(links) - 1))
    rest = [*links[:first], *links[last + 1 :]]
    (fault,) = faults_of(rest, head_of(links))
    named = f"row {first + 1} is" if first == last else f"rows {first + 1} to {last + 1} are"
    assert fault == f"{named} missing" + (" at the end" if last + 1 == len(links) else "")


@given(chains(least=2), st.data())
def test_rows_that_changed_places_are_named(links: list[Link], data: st.DataObject) -> None:
    one, other = sorted(data.draw(st.lists(st.integers(0, len(links) - 1), min_size=2, max_size=2, unique=True)))
    moved = list(links)
    moved[one], moved[other] = replace(links[other], id=one + 1), replace(links[one], id=other + 1)
    faults = list(faults_of(moved, head_of(links)))
    assert {f"row {one + 1} was changed", f"row {other + 1} was changed"} <= set(faults)


@given(chains(), WORDS)
def test_a_row_that_was_put_in_at_the_end_is_named(links: list[Link], actor: str) -> None:
    more = replace(links[-1], id=len(links) + 1, actor=actor, previous=links[-1].hash)
    more = replace(more, hash=hash_of(more))
    (fault,) = faults_of([*links, more], head_of(links))
    assert fault == f"row {more.id} is not known to the note of the head"


@given(chains())
def test_a_missing_note_of_the_head_is_a_fault(links: list[Link]) -> None:
    (fault,) = faults_of(links, None)
    assert "note of the head is missing" in fault
