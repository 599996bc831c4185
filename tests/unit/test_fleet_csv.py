"""The inventory as rows: what a cell means, what a header may be, and every fault with its line."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InputError
from services.fleet.csv_form import COLUMNS, parse_csv, write_csv

FILE = Path("fleet.csv")


def sites_of(text: str) -> list[dict[str, Any]]:
    sites: list[dict[str, Any]] = parse_csv(FILE, text).document["sites"]
    return sites


def faults_of(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_csv(FILE, text)
    return [fault.removeprefix(f"{FILE}: ") for fault in caught.value.faults]


def test_rows_of_a_site_are_gathered_wherever_they_stand() -> None:
    rows = parse_csv(FILE, "kind,site,uid,tags\ndevice,lyon,a,\nsite,nice,,\nsite,lyon,,x y\nDevice,lyon,b,\n")
    assert rows.document["sites"] == [
        {"name": "lyon", "devices": ["a", "b"], "tags": ["x", "y"]},
        {"name": "nice"},
    ]
    assert rows.implied == {}
    assert rows.lines["sites", 0] == 4
    assert rows.lines["sites", 0, "devices", 1] == 5


def test_a_site_that_no_row_describes_is_implied() -> None:
    rows = parse_csv(FILE, "kind,site,uid\ndevice,lyon,a\ndevice,lyon,b\n")
    assert rows.implied == {"lyon": ("sites", 0)}


def test_a_site_described_twice_is_there_twice() -> None:
    assert sites_of("kind,site\nsite,lyon\nsite,lyon\n") == [{"name": "lyon"}, {"name": "lyon"}]


def test_secrets_say_where_they_stand_or_stand_there() -> None:
    cells = ("env:NAME", "file:/x", "vault:doors/all", "a:b", "plain")
    text = "kind,site,password\n" + "".join(f"2n,lyon,{cell}\n" for cell in cells)
    assert [device["password"] for device in sites_of(text)[0]["twon"]] == [
        {"env": "NAME"},
        {"file": "/x"},
        {"vault": "doors/all"},
        "a:b",
        "plain",
    ]
    assert sites_of("kind,site,serial\n2n,lyon,env:X\n")[0]["twon"] == [{"serial": "env:X"}]


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "'=", "''-"])
def test_no_cell_is_a_formula_and_each_is_read_as_it_was(begins: str) -> None:
    device = {"serial": "54-1046-0745", "location": f"{begins}1 Garage", "user": f"{begins}me"}
    text = write_csv([("site", "lyon", {}), ("twon", "lyon", device)])
    cells = list(csv.reader(io.StringIO(text, newline="")))[-1]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))] == []
    assert sites_of(text)[0]["twon"] == [device]


def test_a_quote_is_taken_off_a_formula_only_and_never_off_a_secret() -> None:
    text = "kind,site,location,password\n2n,lyon,'s Lobby,'=hunter2\n2n,lyon,'-1 Garage,+1\n2n,lyon,-1 Garage,x\n"
    assert [(device["location"], device["password"]) for device in sites_of(text)[0]["twon"]] == [
        ("'s Lobby", "'=hunter2"),
        ("-1 Garage", "+1"),
        ("-1 Garage", "x"),
    ]


def test_dotted_columns_are_inner_tables_and_flags_are_flags() -> None:
    text = "kind,site,serial,in_clear,user,relay.net_key,relay.user\ntap,lyon,A1,TRUE,true,k,u\ntap,lyon,A2,no,,,\n"
    assert sites_of(text)[0]["taps"] == [
        {"serial": "A1", "in_clear": True, "user": "true", "relay": {"net_key": "k", "user": "u"}},
        {"serial": "A2", "in_clear": "no"},
    ]


@pytest.mark.parametrize("text", ["kind;site;uid\r\ndevice;lyon;a\r\n", ' KIND , site ,"uid"\n\ndevice,lyon,a\n,,\n'])
def test_what_spreadsheets_do_is_understood(text: str) -> None:
    assert sites_of(text) == [{"name": "lyon", "devices": ["a"]}]


def test_quoted_cells_may_hold_commas_quotes_and_line_ends() -> None:
    text = 'kind,site,location,user\n2n,lyon,"Lobby, ""east""\nwing",a\n2n,lyon,Garage,b,c\n'
    assert faults_of(text) == ["line 4: has 5 cells; the header has 4"]
    (device,) = sites_of(text[: text.index("2n,lyon,Garage")])[0]["twon"]
    assert device == {"location": 'Lobby, "east"\nwing', "user": "a"}


def test_every_fault_of_the_rows_is_told_with_its_line() -> None:
    text = "kind,site,uid,address\nsight,lyon,,\ndevice,,a,\ndevice,lyon,a\ndevice,lyon,a,https://x\n,lyon,,\n"
    faults = faults_of(text)
    assert faults[0].startswith("line 2: kind: expected one of 2n, device, site, tap, token")
    assert "sight" not in faults[0]
    assert faults[1:4] == [
        "line 3: site: is missing; expected the name of the site that it belongs to",
        "line 4: has 3 cells; the header has 4",
        "line 5: address: has no meaning for a device",
    ]
    assert len(faults) == 5


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: expected the names of the columns, kind and site among them"),
        ("device,lyon,hunter2\n", "line 1: expected the names of the columns, kind and site among them"),
        ("kind,site,uid,uid\n", "line 1: the column uid is there 2 times"),
        ("kind,site,hunter2\n", "line 1: column 3 is unknown; expected one of"),
        ("kind,site,hunter2,hunter2\n", "line 1: the column 3 is there 2 times"),
        ("hunter2,kind,site\nhunter2,lyon,hunter2\n", "line 1: column 1 is unknown"),
        ("kind,site\nhunter2,lyon\n", "line 2: kind: expected one of"),
        ("kind,site,pasword\n", "(did you mean 'password'?)"),
        ("kind,site,\n", "line 1: column 3 is unknown; expected one of"),
        ('kind,site\nsite,"lyon\n', "line 2: is not CSV: unexpected end of data"),
        ('kind,site\nsite,"ly"on\n', "line 2: is not CSV"),
        (f"kind,site\nsite,{'x' * 200_000}\n", "line 2: is not CSV: field larger than field limit"),
    ],
)
def test_what_is_no_table_is_refused(text: str, fault: str) -> None:
    faults = "\n".join(faults_of(text))
    assert fault in faults
    assert "hunter2" not in faults


def test_every_key_of_a_thing_has_a_column() -> None:
    assert COLUMNS[:5] == ("kind", "site", "tags", "skip_rules", "uid")
    assert {"relay.net_key", "relay.ca_file", "phone", "fingerprint", "may_write"} < set(COLUMNS)
