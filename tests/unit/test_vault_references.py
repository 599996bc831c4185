"""Documents that name a secret of the vault."""

import json
from pathlib import Path

import pytest

from infra.references import resolve
from schemas.errors import ConfigurationError, InputError
from schemas.references import EnvironmentReference, FileReference, VaultReference
from schemas.secret import Secret
from schemas.tap import TapConfiguration, json_schema
from services.fleet import load_configuration

NAME = "tap/IOTZ00000000000042/password"
DOCUMENT = """\
version = "1.2.3"
[[users]]
name = "admin"
password = { vault = "%s" }
[[users]]
name = "supervisor"
password = { env = "S" }
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "tap.toml"
    file.write_text(text)
    return file


def fault(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        load_configuration(written(folder, text))
    (only,) = caught.value.faults
    return only.partition(": ")[2]


def test_a_document_names_a_secret_of_the_vault_as_it_names_a_file(tmp_path: Path) -> None:
    admin, _ = load_configuration(written(tmp_path, DOCUMENT % NAME)).users
    assert admin.password == VaultReference(vault=NAME)
    assert str(admin.password) == f"vault secret {NAME}"


def test_a_reference_survives_being_written_as_json(tmp_path: Path) -> None:
    wanted = load_configuration(written(tmp_path, DOCUMENT % NAME))
    assert TapConfiguration.model_validate_json(wanted.model_dump_json()) == wanted


@pytest.mark.parametrize("name", ["", "hunter2//hunter2", "hunter2 \\t"])
def test_a_name_that_is_none_is_told_with_its_place_and_not_repeated(tmp_path: Path, name: str) -> None:
    told = fault(tmp_path, DOCUMENT % name)
    assert told.startswith("line 4, users[1].password.vault: expected")
    assert "hunter2" not in told


@pytest.mark.parametrize("written_out", ['"hunter2"', '{ vault = "a", env = "B" }', '{ vauld = "hunter2" }'])
def test_what_names_no_place_is_told_what_places_there_are(tmp_path: Path, written_out: str) -> None:
    text = DOCUMENT.replace('{ vault = "%s" }', written_out)
    assert fault(tmp_path, text) == (
        "line 4, users[1].password: expected where the secret stands, such as "
        '{ file = "path" }, { env = "NAME" } or { vault = "name" }'
    )


def test_the_json_schema_knows_the_vault() -> None:
    assert "VaultReference" in json.loads(json_schema())["$defs"]


def test_without_a_vault_the_place_and_the_setting_are_named() -> None:
    with pytest.raises(
        ConfigurationError, match=f"^vault secret {NAME} is needed, but no vault is open: set KEYTURN_VAULT"
    ):
        resolve(VaultReference(vault=NAME))


def test_what_is_fetched_from_a_file_or_a_variable_is_a_secret_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    monkeypatch.setenv("TAP_KEY", "hunter2")
    found = [resolve(FileReference(file=tmp_path / "key")), resolve(EnvironmentReference(env="TAP_KEY"))]
    assert found == [Secret("hunter2")] * 2


def test_a_file_that_is_no_text_is_refused_without_its_bytes_in_the_chain(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"hunter2\xff")
    with pytest.raises(InputError, match="is not UTF-8") as caught:
        resolve(FileReference(file=tmp_path / "key"))
    assert caught.value.__cause__ is caught.value.__context__ is None
