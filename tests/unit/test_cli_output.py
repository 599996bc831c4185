"""How lists look in a terminal: no name is ever broken, however narrow it is."""

from collections.abc import Sequence

import pytest

from services.cli.output import show_table

COLUMNS = ("id", "operation", "target", "is", "tries", "why")
AWAITING = (17, "ublox.renew_certificate", "0002000089000001", "awaiting", 2, "u-blox took the renewal; " * 5)
HELD = (18, "tap.reconfigure", "IOTZ00000000000042", "held", None, "")


class Terminal:
    """A terminal of some width."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys = capsys
        self.monkeypatch = monkeypatch

    def shows(self, width: int, *rows: Sequence[object]) -> list[str]:
        """What it shows of a table."""
        self.monkeypatch.setenv("COLUMNS", str(width))
        show_table(COLUMNS, rows)
        return [line.rstrip() for line in self.capsys.readouterr().out.splitlines()]


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(capsys, monkeypatch)


@pytest.mark.parametrize("width", [101, 140, 250])
def test_where_a_table_fits_it_is_one(terminal: Terminal, width: int) -> None:
    lines = terminal.shows(width, AWAITING)
    assert "operation" in lines[1]
    assert "ublox.renew_certificate \u2502 0002000089000001 \u2502 awaiting" in lines[3]


def test_in_a_narrow_terminal_each_row_is_some_lines(terminal: Terminal) -> None:
    lines = terminal.shows(80, AWAITING, HELD)
    assert lines[:2] == ["17  ublox.renew_certificate  0002000089000001  awaiting", "    tries 2"]
    assert lines[2].startswith("    why: u-blox took the renewal; u-blox")
    assert all(len(line) <= 80 for line in lines)
    assert lines[-1] == "18  tap.reconfigure  IOTZ00000000000042  held"


def test_a_table_without_rows_shows_what_it_would_hold(terminal: Terminal) -> None:
    assert "operation" in terminal.shows(80)[1]
