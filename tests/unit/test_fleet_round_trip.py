"""Whatever inventory there is: written out in either form and read again it is the same."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ledger import Entry, EntryId
from services.fleet.entries import fleet_of, in_order, names_in
from services.fleet.exporting import export_csv, export_toml
from services.fleet.given import understand
from services.fleet.written import read_written

PRINTABLE = st.characters(codec="utf-8", categories=("L", "N", "P", "S"))
TEXT = st.text(PRINTABLE, min_size=1, max_size=12)
ANY_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAME = st.lists(TEXT.filter(lambda text: "/" not in text), min_size=1, max_size=3).map("/".join)
SECRET = st.builds(lambda name: {"vault": name}, NAME)
WORD = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
USERNAME = TEXT.filter(lambda text: "/" not in text)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        (path / "tap.toml").write_text(
            'version = "1.0.0"\n'
            '[[users]]\nname = "admin"\npassword = { env = "A" }\n'
            '[[users]]\nname = "supervisor"\npassword = { env = "S" }\n'
        )
        (path / "ca.pem").write_text("")
        yield path


@st.composite
def inventories(draw: st.DrawFn, folder: Path) -> list[Entry]:
    entries = []
    for number, name in enumerate(draw(st.lists(WORD, unique=True, max_size=3))):
        own = {key: value for key in ("tags", "skip_rules") if (value := draw(st.lists(WORD, max_size=2)))}
        entries.append(Entry(id=EntryId("site", name), site=name, fields=own))
        uids = draw(st.sets(st.integers(0, 99), max_size=3))
        entries += [Entry(id=EntryId("device", f"{number:02x}{uid:014x}"), site=name, fields={}) for uid in uids]
        for device in range(draw(st.integers(0, 2))):
            key = f"54-{number:04}-{device:04}"
            entries.append(Entry(id=EntryId("twon", key), site=name, fields=draw(doors(key, number, folder))))
        for drawn in draw(st.sets(USERNAME, max_size=2)):
            kind, place = draw(st.sampled_from([("sms", "phone"), ("otp", "serial")]))
            username = f"{number}{drawn}"
            fields = {"username": username, "type": kind, place: draw(SECRET)}
            entries.append(Entry(id=EntryId("token", f"{username}/{kind}"), site=name, fields=fields))
        for tap in range(draw(st.integers(0, 2))):
            key = f"A-{number}-{tap}"
            entries.append(Entry(id=EntryId("tap", key), site=name, fields=draw(taps(key, folder))))
    return sorted(entries, key=lambda entry: entry.id)


@st.composite
def doors(draw: st.DrawFn, key: str, number: int, folder: Path) -> dict[str, object]:
    return {
        "serial": key,
        "address": f"https://{key}",
        "location": f"{number} {draw(TEXT)}",
        "password": draw(SECRET),
        **draw(st.sampled_from([{}, {"fingerprint": "ab" * 32}, {"ca_file": str(folder / "ca.pem")}])),
        **draw(st.sampled_from([{}, {"auth": "basic"}])),
        **draw(st.sampled_from([{}, {"managed_by": "my2n", "may_write": True}])),
    }


@st.composite
def taps(draw: st.DrawFn, key: str, folder: Path) -> dict[str, object]:
    tap = {"serial": key, "password": draw(SECRET), "configuration": str(folder / "tap.toml")}
    if draw(st.booleans()):
        return {**tap, "address": f"tcp://{key.lower()}:2000", **draw(st.sampled_from([{}, {"in_clear": True}]))}
    relay = {"net_key": draw(SECRET), **draw(st.sampled_from([{}, {"password": {"vault": "b"}}]))}
    return {**tap, "address": "mqtts://broker:8883", "relay": {**relay, "user": draw(ANY_TEXT)}}


@pytest.mark.parametrize("form", ["toml", "csv"])
@given(data=st.data())
def test_what_is_written_out_is_read_as_it_was(form: str, folder: Path, data: st.DataObject) -> None:
    entries = data.draw(inventories(folder))
    fleet_of(entries)
    text = (export_toml if form == "toml" else export_csv)(entries)
    path = folder / f"fleet.{form}"
    path.write_text(text, encoding="utf-8", newline="")
    read = understand(read_written(path), {}, names_in(entries), alone=True)
    assert sorted(read.entries.values(), key=lambda entry: entry.id) == entries
    assert read.values == {}
    assert (export_toml if form == "toml" else export_csv)(in_order(read.entries.values())) == text


@pytest.mark.parametrize("user", ["a\rb", "\n", '"', ",", ";", " a ", "\x7f", "\0", "\\", "'"])
def test_no_character_of_a_cell_breaks_its_row(folder: Path, user: str) -> None:
    relay = {"net_key": {"vault": "k"}, "user": user}
    tap = {"serial": "A", "password": {"vault": "p"}, "configuration": str(folder / "tap.toml")}
    entries = [
        Entry(id=EntryId("site", "lyon"), site="lyon", fields={}),
        Entry(id=EntryId("tap", "A"), site="lyon", fields={**tap, "address": "mqtt://b:1883", "relay": relay}),
    ]
    for form, export in (("toml", export_toml), ("csv", export_csv)):
        path = folder / f"cell.{form}"
        path.write_text(export(entries), encoding="utf-8", newline="")
        assert list(understand(read_written(path), {}, names_in(entries), alone=True).entries.values()) == entries
