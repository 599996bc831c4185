"""Where in a TOML text a key stands, so that a fault can name its line.

The standard library's reader keeps no positions. This scanner is best effort: it knows table headers, keys at the
start of a line and multi-line strings; for what stands inside an inline table it gives the line of the table.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

Path = tuple[str | int, ...]

_NAME: Final = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_HEADER: Final = re.compile(r"^\s*(\[\[?)\s*([\w-]+(?:\s*\.\s*[\w-]+)*)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(rf"^\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=(.*)$")
_LONG_QUOTE: Final = re.compile(r"'''|\"\"\"")


def find_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of every table and key that the scanner can tell."""
    lines: dict[Path, int] = {}
    table: Path = ()
    seen: Counter[Path] = Counter()
    for number, line in _outside_long_texts(text):
        if header := _HEADER.match(line):
            table = _enter(header, seen)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            path = table
            for part in _parts(key[1]):
                path = (*path, part)
                lines.setdefault(path, number)
    return lines


def line_of(path: Path, lines: dict[Path, int]) -> int | None:
    """The line of the path, or of the nearest thing that holds it."""
    return next((lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in lines), None)


def _enter(header: re.Match[str], seen: Counter[Path]) -> Path:
    """The path of the table that a header opens; ``[[x]]`` opens a new entry of an array."""
    *outer, last = _parts(header[2])
    path: Path = ()
    for part in outer:
        path = (*path, part)
        if seen[path]:
            path = (*path, seen[path] - 1)
    path = (*path, last)
    if header[1] == "[[":
        seen[path] += 1
        path = (*path, seen[path] - 1)
    return path


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_NAME, dotted)]


def _outside_long_texts(text: str) -> Iterator[tuple[int, str]]:
    quote = ""
    for number, line in enumerate(text.split("\n"), start=1):
        inside = quote
        for found in _LONG_QUOTE.finditer(line):
            quote = found[0] if not quote else "" if quote == found[0] else quote
        if not inside:
            yield number, line
