"""``keyturn fleet`` as a person types it."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from infra.ledger import Ledger
from services.cli.main import app
from tests.support.inventory import house_environ
from tests.support.vault import ring_text

EXAMPLES = Path(__file__).resolve().parents[2] / "infra" / "deploy" / "examples"
SECRETS = ("an-example-only", "another-example", "a-third-example", "+999100200300", "EX-0042", "a-fifth-example")
UID = "135700008928c093"


class House:
    """A ledger and a vault, and the command in their environment."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.folder = folder
        self.environ = {**house_environ(folder), "COLUMNS": "160", **more}

    def run(self, *words: str | Path) -> Result:
        """Say ``keyturn fleet`` and words; no secret is ever shown."""
        result = CliRunner().invoke(app, ["fleet", *map(str, words)], env=self.environ)
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert not [secret for secret in SECRETS if secret in result.output]
        return result

    def told(self, *words: str | Path) -> Any:
        """What the command says as JSON."""
        return json.loads(self.run(*words, "--json").stdout)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def stocked(house: House) -> House:
    assert house.run("import", EXAMPLES / "fleet.toml").exit_code == 0
    return house


def test_an_import_shows_what_it_does_and_a_second_one_that_nothing_is_left(house: House) -> None:
    dry = house.run("import", EXAMPLES / "fleet.csv", "--dry-run")
    assert dry.stdout.splitlines()[-1] == "Nothing was changed (dry run): 11 added, 0 changed, 0 removed, 0 unchanged"
    done = house.run("import", EXAMPLES / "fleet.csv")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "11 added, 0 changed, 0 removed, 0 unchanged")
    assert "IOTZ00000000000043" in done.stdout
    again = house.run("import", EXAMPLES / "fleet.toml")
    assert again.stdout == "0 added, 0 changed, 0 removed, 11 unchanged\n"


def test_an_import_as_json(stocked: House, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(f'version = 1\n[[sites]]\nname = "nice"\ndevices = ["{UID}"]\n')
    told = stocked.told("import", file, "--prune")
    assert (told["ok"], told["dry_run"], told["unchanged"]) == (True, False, 1)
    assert told["changed"] == [{"kind": "device", "name": UID, "site": "nice", "details": ["site: lyon → nice"]}]
    assert len(told["removed"]) == 9


def test_faults_are_listed_one_by_one(house: House, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("kind,site,uid\nsite,lyon,\ndevice,lyon,zz\ndevice,nice,zz\n")
    result = house.run("import", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{file}: line 3, uid: ROTPublicUID must be 16 hexadecimal digits",
        f"{file}: line 4, site: there is no such site yet: describe it in a row of the kind site",
        f"{file}: line 4, uid: ROTPublicUID must be 16 hexadecimal digits",
        f"{file}: line 4, uid: this device is there twice, in two sites",
        "4 faults",
    ]
    assert house.told("import", file) == {"ok": False, "faults": result.stderr.splitlines()[:-1]}
    assert house.told("list") == []


def test_pruning_with_a_file_that_names_nothing_has_to_be_meant(stocked: House, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("version = 1\n")
    result = stocked.run("import", file, "--prune")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == (
        f"{file}: names nothing, so pruning would empty the inventory: all 11 entries with their secrets."
        " Where that is meant, add --yes on the command line"
    )
    assert len(stocked.told("list")) == 11
    assert len(stocked.told("import", file, "--prune", "--dry-run")["removed"]) == 11
    assert stocked.told("import", file)["removed"] == []
    assert len(stocked.told("import", file, "--prune", "--yes")["removed"]) == 11
    assert stocked.told("list") == []
    assert stocked.run("import", file, "--prune").exit_code == 0


def test_a_slip_in_skip_rules_is_noted(house: House, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('version = 1\n[[sites]]\nname = "nice"\nskip_rules = ["rotate-invalid-key-sets"]\n')
    note = "the site nice skips the rule rotate-invalid-key-sets, which the playbook does not have"
    assert f"note: {note}" in house.run("import", file).stdout.splitlines()
    assert house.told("import", file)["notes"] == [note]  # also when nothing is changed
    playbook = tmp_path / "playbook.toml"
    playbook.write_text("rules = 1\n")
    house.environ["KEYTURN_PLAYBOOK_FILE"] = str(playbook)
    assert house.told("import", file)["notes"] == [
        "the playbook in force has faults, so whether it has the rules of skip_rules was not looked at"
    ]
    file.write_text('version = 1\n[[sites]]\nname = "nice"\n')
    assert house.told("import", file)["notes"] == []


def test_many_changes_are_counted_and_not_all_shown(house: House, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("kind,site,uid\nsite,lyon,\n" + "".join(f"device,lyon,{number:016x}\n" for number in range(300)))
    lines = house.run("import", file).stdout.splitlines()
    assert lines[-2:] == ["… and 101 more; --json has all", "301 added, 0 changed, 0 removed, 0 unchanged"]


def test_secrets_need_a_vault_and_the_fault_says_how_to_get_one(tmp_path: Path) -> None:
    ringless = {**house_environ(tmp_path), "KEYTURN_VAULT_KEYS": ""}
    result = CliRunner().invoke(app, ["fleet", "import", str(EXAMPLES / "fleet.toml")], env=ringless)
    assert "KEYTURN_VAULT_KEYS" in str(result.exception)


def test_another_ring_seals_anew_what_it_cannot_open(stocked: House) -> None:
    stocked.environ["KEYTURN_VAULT_KEYS"] = ring_text("two")
    told = stocked.told("import", EXAMPLES / "fleet.toml")
    assert {tuple(change["details"]) for change in told["changed"]} >= {("password: another secret",)}
    assert stocked.told("import", EXAMPLES / "fleet.toml")["changed"] == []


@pytest.mark.parametrize("name", ["out.toml", "out.csv"])
def test_an_export_is_a_file_that_imports_as_no_change(stocked: House, name: str) -> None:
    file = stocked.folder / name
    assert stocked.run("export", file).exit_code == 0
    assert stocked.told("import", file, "--prune")["unchanged"] == 11
    if name == "out.toml":
        assert stocked.run("export").stdout == file.read_text()


def test_an_export_that_cannot_be_written_is_told(stocked: House) -> None:
    for file, fault in (
        (stocked.folder / "absent" / "x.toml", "cannot be written: No such file or directory"),
        (stocked.folder / "x.xml", "expected the name of a file that ends in .toml or .csv"),
    ):
        result = stocked.run("export", file)
        assert result.exit_code == 1
        assert fault in result.stderr


def test_the_list_can_be_of_one_kind(stocked: House) -> None:
    assert [entry["name"] for entry in stocked.told("list", "--kind", "2n")] == ["54-1046-0745", "54-1046-0746"]
    text = stocked.run("list").stdout
    assert text.splitlines()[-1] == "11 entries"
    assert "Lobby, https://192.0.2.60" in text
    wrong = stocked.run("list", "--kind", "gate")
    assert (wrong.exit_code, wrong.stderr.splitlines()[0]) == (
        1,
        "expected one of site, device, 2n, token, tap, not gate",
    )


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("nice", {"site", "device"}),
        (UID.upper(), {"device"}),
        ("54-1046-0745", {"2n"}),
        ("Lobby", {"2n"}),
        ("location:Lobby", {"2n"}),
        ("alice/sms", {"token"}),
        ("IOTZ00000000000043", {"tap"}),
    ],
)
def test_show_finds_a_thing_by_any_of_its_names(stocked: House, name: str, kinds: set[str]) -> None:
    assert {entry["kind"] for entry in stocked.told("show", name)} == kinds
    assert "lyon" in stocked.run("show", name).stdout or name == "nice"


def test_one_thing_is_removed_with_its_secrets_and_recorded(stocked: House) -> None:
    with closing(Ledger(stocked.environ["DATABASE_URL"])) as ledger:
        names = {name for name in ledger.secrets.names() if name.startswith("tap/IOTZ00000000000042/")}
        assert names
        gone = stocked.told("remove", "tap", "IOTZ00000000000042", "--reason", "taken down")
        assert (gone["kind"], gone["name"]) == ("tap", "IOTZ00000000000042")
        assert not names & set(ledger.secrets.names())
        entry = ledger.audit.page(before=None, limit=1)[0].entry
    assert (entry.action, entry.subject, entry.reason) == ("fleet.remove", "fleet/tap/IOTZ00000000000042", "taken down")
    assert stocked.run("show", "IOTZ00000000000042").exit_code == 1


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("tap", "IOTZ0", "there is no tap IOTZ0 in the inventory"),
        ("lamp", "IOTZ0", "expected one of site, device, 2n, token, tap, not lamp"),
        ("site", "nice", "has things that belong to it"),
    ],
)
def test_what_cannot_be_removed_is_told(stocked: House, kind: str, name: str, words: str) -> None:
    before = stocked.told("list")
    refused = stocked.run("remove", kind, name)
    assert (refused.exit_code, words in refused.stderr) == (1, True)
    assert stocked.told("list") == before


def test_show_names_secrets_and_says_what_is_not_there(stocked: House) -> None:
    assert '"tap/IOTZ00000000000043/net-key"' in stocked.run("show", "IOTZ00000000000043").stdout
    result = stocked.run("show", "Gate")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        1,
        "the inventory has no site, device, location, token or Tap Gate",
    )
