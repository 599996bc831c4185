"""``keyturn vault`` as a person types it, from the first ring key to the next."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from typer.testing import CliRunner, Result

from infra.ledger import Ledger, Secrets
from infra.settings import load_settings
from infra.vault import KeyRing, Vault, vault
from schemas.errors import ConfigurationError, LedgerUnavailable
from schemas.secret import Secret
from services.cli.main import app
from services.wiring import open_vault
from tests.support.processes import CLI, clean_environ, ran
from tests.support.vault import ring_text, vault_of

NAME = "tap/IOTZ00000000000042/password"
WORD = "correct-horse-battery-staple"
TOKEN = "Bearer hook-token-0123456789"


@pytest.fixture
def environ(ledger: Ledger) -> dict[str, str]:
    url = ledger.database.engine.url.render_as_string(hide_password=False)
    return {"DATABASE_URL": url, "KEYTURN_WEBHOOK_TOKENS": TOKEN}


def keyturn(environ: Mapping[str, str], *words: str, ring: str) -> Result:
    result = CliRunner().invoke(app, ["vault", *words], env={**environ, "KEYTURN_VAULT_KEYS": ring, "COLUMNS": "120"})
    assert isinstance(result.exception, SystemExit | None)
    assert WORD not in result.output
    assert all(line.partition(":")[2] not in result.output for line in ring.splitlines())
    return result


def lines(result: Result) -> list[list[str]]:
    """The cells of the table."""
    return [
        [cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines() if line[0] == "│"
    ]


def put(ledger: Ledger, *ids: str, **values: str) -> None:
    vault_of(ledger, *ids).put_many({name: SecretStr(value) for name, value in values.items()})


def test_new_key_prints_one_line_for_the_settings_and_says_on_the_side_what_to_do() -> None:
    made = [CliRunner().invoke(app, ["vault", "new-key"]) for _ in range(2)]
    assert [result.exit_code for result in made] == [0, 0]
    ring = "".join(result.stdout for result in made)
    assert len(ring.splitlines()) == 2
    assert len(KeyRing.parse(ring).ids) == 2
    for words in ("KEYTURN_VAULT_KEYS", "keyturn vault reseal", "whoever loses the ring loses every secret"):
        assert words in made[0].stderr
    assert made[0].stdout.strip().partition(":")[2] not in made[0].stderr
    told = json.loads(CliRunner().invoke(app, ["vault", "new-key", "--json"]).stdout)
    assert len(KeyRing.parse(told["line"]).ids) == 1


def test_the_line_of_new_key_goes_into_a_file_and_opens_a_vault(
    ledger: Ledger, environ: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "vault-keys"
    file.write_text(CliRunner().invoke(app, ["vault", "new-key"]).stdout)
    vault = open_vault(load_settings({**environ, "KEYTURN_VAULT_KEYS_FILE": str(file)}, None), ledger)
    vault.put(NAME, SecretStr(WORD))
    assert vault.get(NAME) == Secret(WORD)


def test_without_a_ring_the_vault_says_how_to_make_one(ledger: Ledger, environ: dict[str, str]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^KEYTURN_VAULT_KEYS .* 'keyturn vault new-key' makes its first line"
    ):
        open_vault(load_settings(environ, None), ledger)


def test_a_command_without_a_ring_ends_with_a_sentence(environ: dict[str, str], tmp_path: Path) -> None:
    done = ran((*CLI, "vault", "status"), folder=tmp_path, env=clean_environ(**environ))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("KEYTURN_VAULT_KEYS (or KEYTURN_VAULT_KEYS_FILE) is needed")


def test_a_ring_is_changed_from_the_first_to_the_last_step(ledger: Ledger, environ: dict[str, str]) -> None:
    put(ledger, "old", a=WORD, b=WORD)
    put(ledger, "new", c=WORD)
    both = ring_text("new", "old")
    before = keyturn(environ, "status", ring=both)
    assert before.exit_code == 0
    assert lines(before) == [
        ["new", "1", "0", "newest: seals what is put now"],
        ["old", "2", "0", "old: 'keyturn vault reseal' relieves it"],
    ]
    resealed = keyturn(environ, "reseal", ring=both)
    assert (resealed.exit_code, resealed.stdout) == (0, "2 values sealed again with the newest ring key.\n")
    after = keyturn(environ, "status", ring=both)
    assert lines(after)[1] == ["old", "0", "0", "old, seals nothing: can be taken away"]
    assert keyturn(environ, "status", ring=ring_text("new")).exit_code == 0
    assert vault_of(ledger, "new").get("a") == Secret(WORD)


def recorded(ledger: Ledger) -> list[tuple[str, str, dict[str, object]]]:
    entries = [one.entry for one in ledger.audit.page(before=None, limit=9)]
    return [(one.action, one.reason, dict(one.detail)) for one in entries]


def test_sealing_again_stands_in_the_audit_also_where_it_stopped_half_way(
    ledger: Ledger, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(ledger, "old", a=WORD, b=WORD, c=WORD)
    both, exchange, calls = ring_text("new", "old"), Secrets.exchange, iter(range(9))

    def failing(self: Secrets, pairs: Any) -> int:
        if next(calls):
            raise LedgerUnavailable("locked")
        return exchange(self, pairs)

    with monkeypatch.context() as patch:
        patch.setattr(vault, "BATCH", 2)
        patch.setattr(Secrets, "exchange", failing)
        stopped = CliRunner().invoke(app, ["vault", "reseal"], env={**environ, "KEYTURN_VAULT_KEYS": both})
    assert isinstance(stopped.exception, LedgerUnavailable)
    assert recorded(ledger) == [("vault.reseal", "", {"behind": 2, "of": 3, "failed": "locked"})]
    keyturn(environ, "reseal", "--reason", "the old key goes", ring=both)
    expected = {"behind": 1, "of": 1, "resealed": 1, "left": {}}
    assert recorded(ledger)[0] == ("vault.reseal", "the old key goes", expected)
    keyturn(environ, "reseal", ring=both)
    assert len(recorded(ledger)) == 2, "nothing was left to do"


def test_status_fails_where_a_ring_key_is_missing(ledger: Ledger, environ: dict[str, str]) -> None:
    put(ledger, "old", a=WORD, b=WORD)
    shown = keyturn(environ, "status", ring=ring_text("new"))
    assert (shown.exit_code, shown.stderr) == (1, "2 values cannot be opened.\n")
    assert lines(shown)[1] == ["old", "2", "2", "missing: not in KEYTURN_VAULT_KEYS"]


def test_status_fails_where_an_id_has_another_key(ledger: Ledger, environ: dict[str, str]) -> None:
    put(ledger, "old", a=WORD)
    shown = keyturn(environ, "status", ring=ring_text("x").replace("x:", "old:"))
    assert (shown.exit_code, shown.stderr) == (1, "1 value cannot be opened.\n")
    assert lines(shown) == [["old", "1", "1", "another key of this id has sealed them, or they were changed"]]


def test_status_and_reseal_are_told_as_json(ledger: Ledger, environ: dict[str, str]) -> None:
    put(ledger, "old", a=WORD, b=WORD)
    put(ledger, "lost", c=WORD)
    both = ring_text("new", "old")
    before = keyturn(environ, "status", "--json", ring=both)
    found = {one.pop("key_id"): one for one in json.loads(before.stdout)["items"]}
    assert (before.exit_code, json.loads(before.stdout)["ok"]) == (1, False)
    assert found["old"] == {"in_ring": True, "newest": False, "values": 2, "closed": 0}
    assert found["lost"] == {"in_ring": False, "newest": False, "values": 1, "closed": 1}
    resealed = keyturn(environ, "reseal", "--json", ring=both)
    assert (resealed.exit_code, json.loads(resealed.stdout)) == (1, {"ok": False, "resealed": 2, "left": {"lost": 1}})


def test_reseal_names_what_it_had_to_leave(ledger: Ledger, environ: dict[str, str]) -> None:
    put(ledger, "old", a=WORD, b=WORD)
    put(ledger, "lost", c=WORD)
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE secrets SET id = 'moved' WHERE name = 'b'"))
    resealed = keyturn(environ, "reseal", ring=ring_text("new", "old"))
    assert (resealed.exit_code, resealed.stdout) == (1, "1 value sealed again with the newest ring key.\n")
    for key_id in ("lost", "old"):
        assert f"1 value still sealed by '{key_id}': see 'keyturn vault status'" in resealed.stderr
    assert Vault(ledger.secrets, KeyRing.parse(ring_text("lost"))).get("c") == Secret(WORD)
