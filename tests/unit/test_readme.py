"""The README is true where a machine can tell."""

from pathlib import Path

from infra.settings import describe

README = Path(__file__).resolve().parents[2] / "README.md"


def settings_table() -> str:
    """The table of settings as the README should show it."""
    rows = [f"| `{line.variable}` | {_default(line.default)} | {line.description} |" for line in describe()]
    return "\n".join(["| variable | default | what it is |", "|---|---|---|", *rows])


def _default(default: str) -> str:
    return f"`{default}`" if default and default != "required" else default


def test_the_table_of_settings_is_the_one_that_the_code_gives() -> None:
    text = README.read_text()
    shown = text.partition("<!-- settings -->\n")[2].partition("\n<!-- /settings -->")[0]
    assert shown == settings_table(), f"it should be:\n{settings_table()}"
