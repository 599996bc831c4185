"""What a document of the inventory gives: its entries, and the secrets that it writes out or says the place of."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from infra.ledger import Entry, EntryId
from infra.references import resolve
from schemas.errors import InputError
from schemas.fleet import FleetDocument, cross_faults, faults_between, things_of
from schemas.references import EnvironmentReference, FileReference, VaultReference
from schemas.secret import Secret
from services.fleet.documents import in_sentences, judge
from services.fleet.entries import TABLES, at, entries_of, put, secret_places, things_in
from services.fleet.loader import load_configuration
from services.fleet.written import Written
from services.playbook.faults import Fault
from services.playbook.positions import Path as Place

PHONE: Final = r"\+?[0-9]{5,15}"
"""A phone number as CENTAGATE takes it; E.164 allows 15 digits."""

FILES: Final = (("configuration",), ("ca_file",), ("relay", "ca_file"))
"""The keys of an entry under which a file of this machine is named."""

LONGEST: Final = 1024
"""Characters of a password, a phone number or a serial number."""


@dataclass(frozen=True, slots=True)
class Given:
    """A document without faults of its own.

    Attributes:
        entries: in which every secret is named by its name in the vault.
        values: the secrets that it gave, by those names.
    """

    entries: dict[EntryId, Entry] = field(default_factory=dict)
    values: dict[str, Secret] = field(default_factory=dict)


def understand(written: Written, known: Mapping[EntryId, Entry], names: set[str], *, alone: bool) -> Given:
    """Judge a document by itself and beside what is there.

    Args:
        written: the document.
        known: the entries of the ledger.
        names: of the secrets in the vault.
        alone: whether what the document does not name goes, so that its things fit together by themselves.

    Raises:
        InputError: every fault, one sentence each, with its line.
    """
    faults = _adopt_implied(written, known)
    literals = _take_literals(written.document)
    folder = written.path.resolve().parent
    made, found = judge(written.document, FleetDocument, cross_faults, folder=folder, repeat=False)
    faults += found
    if made is None:
        raise _told(written, faults)
    placed = list(entries_of(made))
    if written.remote and (foreign := list(_foreign(placed, literals, known))):
        raise _told(written, faults + foreign)  # before anything is read that it names
    named = {entry.id for _, entry in placed}
    others = () if alone else (entry for entry in known.values() if entry.id not in named)
    faults += [Fault(*fault) for fault in faults_between(things_in(others) + things_of(dict(made)))]
    faults += _file_faults(made)
    given = Given()
    for place, entry in placed:
        faults += _take_in(entry, place, literals, names, given)
    if faults:
        raise _told(written, faults)
    return given


def _told(written: Written, faults: list[Fault]) -> InputError:
    return InputError(in_sentences(written.path, faults, written.lines, written.key_of))


def _adopt_implied(written: Written, known: Mapping[EntryId, Entry]) -> list[Fault]:
    """A site that the document does not describe stays as it is; there must be one."""
    faults = []
    for name, place in written.implied.items():
        entry = known.get(EntryId("site", name))
        if entry is None:
            faults.append(Fault((*place, "name"), "there is no such site yet: describe it in a row of the kind site"))
        else:
            at_place: Any = written.document
            for part in place:
                at_place = at_place[part]
            at_place.update(entry.fields)
    return faults


def _take_literals(document: dict[str, Any]) -> dict[Place, Secret]:
    """Take secrets that are written out away from a document, so that nothing that looks at it later sees one."""
    taken: dict[Place, Secret] = {}
    for place, kind, table in _raw_tables(document):
        for inner, name in secret_places(kind, "new").items():
            value = at(table, inner)
            if isinstance(value, str):
                taken[*place, *inner] = Secret(value)
                put(table, inner, {"vault": name})
    return taken


def _foreign(
    placed: list[tuple[Place, Entry]], literals: Mapping[Place, Secret], known: Mapping[EntryId, Entry]
) -> Iterator[Fault]:
    """Places on this machine that somebody on another one names, and secrets of the vault that belong elsewhere.

    A file that the inventory names already, and a secret that stands where it stood, are nothing new.
    """
    trusted = {at(entry.fields, inner) for entry in known.values() for inner in FILES}
    for place, entry in placed:
        before = known[entry.id].fields if entry.id in known else {}
        for inner, name in secret_places(*entry.id).items():
            reference = at(entry.fields, inner)
            is_own = reference in ({"vault": name}, at(before, inner))
            if reference is not None and (*place, *inner) not in literals and not is_own:
                yield Fault((*place, *inner), f'expected the secret itself, or {{ vault = "{name}" }} where it is kept')
        for inner in FILES:
            if (path := at(entry.fields, inner)) is not None and path not in trusted:
                yield Fault(
                    (*place, *inner), "expected a file that the inventory names already: import it on its machine"
                )


def _raw_tables(document: dict[str, Any]) -> Iterator[tuple[Place, str, dict[str, Any]]]:
    for index, site in _dicts(document.get("sites")):
        for kind, key in TABLES.items():
            for number, table in _dicts(site.get(key)):
                yield ("sites", index, key, number), kind, table


def _dicts(value: object) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = value if isinstance(value, list) else ()
    return ((index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict))


def _take_in(
    entry: Entry, place: Place, literals: Mapping[Place, Secret], names: set[str], given: Given
) -> Iterator[Fault]:
    """Note an entry and its secrets; the place of a secret that is given becomes its name in the vault."""
    fields = dict(entry.fields)
    for inner, name in secret_places(*entry.id).items():
        reference = at(fields, inner)
        if reference is None:
            continue
        literal = literals.get((*place, *inner))
        try:
            value = literal if literal is not None else _fetched(reference, names)
        except InputError as error:
            yield from (Fault((*place, *inner), fault) for fault in error.faults)
            continue
        if value is None:
            continue
        if fault := _value_fault(inner[-1], value):
            yield Fault((*place, *inner), fault)
        put(fields, inner, {"vault": name})
        given.values[name] = value
    given.entries[entry.id] = Entry(id=entry.id, site=entry.site, fields=fields)


def _fetched(reference: Mapping[str, str], names: set[str]) -> Secret | None:
    """The secret that a reference tells the place of; None of one that is in the vault already."""
    match reference:
        case {"file": file}:
            return _resolved(FileReference(file=Path(file)), "the file")
        case {"env": env}:
            return _resolved(EnvironmentReference(env=env), "the variable")
        case _ if VaultReference.model_validate(reference).vault not in names:
            raise InputError(["names a secret that the vault does not have"])
    return None


def _resolved(reference: FileReference | EnvironmentReference, called: str) -> Secret:
    """Fetch a secret; a fault does not repeat the place, as a secret may have been written there."""
    try:
        return resolve(reference)
    except InputError as error:
        faults = [fault.replace(str(reference), called) for fault in error.faults]
    raise InputError(faults)  # out here: the error above names the place


def _value_fault(key: str, value: Secret) -> str:
    text = value.get_secret_value()
    if not text:
        return "is empty"
    if len(text) > LONGEST or not text.isprintable() or text != text.strip():
        return f"expected at most {LONGEST} printable characters without blanks around them"
    if key == "phone" and not re.fullmatch(PHONE, text):
        return "expected a phone number: digits, with a + before the code of the country"
    return ""


def _file_faults(document: FleetDocument) -> Iterator[Fault]:
    """What is wrong with the files that a document names; a configuration is read once, however many Taps share it."""
    read: dict[Path, tuple[str, ...]] = {}
    for place, tap in _things_under("taps", document):
        if tap.configuration not in read:
            read[tap.configuration] = _faults_of(tap.configuration)
            yield from (Fault((*place, "configuration"), fault) for fault in read[tap.configuration])
        if tap.relay is not None:
            yield from _missing(tap.relay.ca_file, (*place, "relay", "ca_file"))
    for place, device in _things_under("twon", document):
        yield from _missing(device.ca_file, (*place, "ca_file"))


def _missing(ca_file: Path | None, place: Place) -> Iterator[Fault]:
    if ca_file is not None and not ca_file.is_file():
        yield Fault(place, "expected a file that can be read")


def _things_under(key: str, document: FleetDocument) -> Iterator[tuple[Place, Any]]:
    for index, site in enumerate(document.sites):
        for number, thing in enumerate(getattr(site, key)):
            yield ("sites", index, key, number), thing


def _faults_of(configuration: Path) -> tuple[str, ...]:
    """The faults of a wanted configuration; the name of a file that is not there may be something else by mistake."""
    if not configuration.is_file():
        return ("expected a file that can be read",)
    try:
        load_configuration(configuration)
    except InputError as error:
        return error.faults
    return ()
