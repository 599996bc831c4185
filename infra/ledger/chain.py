"""The hash chain of the audit, without a database: what a row's hash covers, and what is wrong with a row of rows.

Each row's hash covers its number, every other column and the hash of the row before. So a row that was changed, taken
out, put in or moved shows, and so does every later row that was written anew to hide it: a head, kept elsewhere,
knows how many rows there are and what the last one's hash is.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

GENESIS: Final = "0" * 64
"""What the first row follows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A row as it is stored; `at` in microseconds since 1970 UTC, `detail` as JSON text."""

    id: int
    at: int
    actor: str
    action: str
    subject: str
    reason: str
    detail: str
    previous: str
    hash: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What is remembered of the end of the chain."""

    count: int = 0
    hash: str = GENESIS


def hash_of(link: Link) -> str:
    """SHA-256 in hex over the canonical JSON of everything but the hash itself."""
    covered = {name: getattr(link, name) for name in Link.__slots__ if name != "hash"}
    return hashlib.sha256(json.dumps(covered, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def faults_of(links: Iterable[Link], head: Head | None) -> Iterator[str]:
    """Tell what is wrong, row by row in order of their numbers; nothing when all is as it was written."""
    last = Head()
    for link in links:
        yield from _faults_of_one(link, last)
        last = Head(count=link.id, hash=link.hash)
    if head is None:
        yield "the note of the head is missing, so rows may be missing at the end"
    else:
        yield from _faults_of_end(last, head)


def _faults_of_one(link: Link, last: Head) -> Iterator[str]:
    if link.id != last.count + 1:
        yield f"{_rows(last.count + 1, link.id - 1)} missing"
    elif link.previous != last.hash:
        yield f"row {link.id} does not follow the row before it: one of the two was replaced"
    if hash_of(link) != link.hash:
        yield f"row {link.id} was changed"


def _faults_of_end(last: Head, head: Head) -> Iterator[str]:
    if last.count < head.count:
        yield f"{_rows(last.count + 1, head.count)} missing at the end"
    elif last.count > head.count:
        yield f"{_rows(head.count + 1, last.count)} not known to the note of the head"
    elif last.hash != head.hash:
        yield f"row {last.count} is not the one that the note of the head knows"


def _rows(first: int, last: int) -> str:
    return f"row {first} is" if first == last else f"rows {first} to {last} are"
