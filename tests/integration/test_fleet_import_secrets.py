"""Secrets of a document: sealed by its import, told nowhere, gone with the last entry that names them."""

from pathlib import Path

import pytest

from infra.ledger import Ledger
from infra.vault import Vault
from schemas.errors import ConfigurationError, InputError
from services.fleet import Importer
from tests.support.imports import (
    LYON,
    PHONE,
    SHORT_WORD,
    WORD,
    counts,
    faults_of,
    keys,
    sealed_rows,
    written,
)
from tests.support.inventory import NOW, RING, stock
from tests.support.vault import everything, told, vault_of

EXAMPLES = Path(__file__).resolve().parents[2] / "infra" / "deploy" / "examples"


def test_secrets_are_sealed_and_stand_nowhere_else(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    vault = vault_of(ledger, RING)
    assert vault.get("twon/54-1046-0745/password").get_secret_value() == WORD
    assert vault.get("token/alice/sms").get_secret_value() == PHONE
    assert WORD.encode() not in everything(ledger)
    assert PHONE.encode() not in everything(ledger)


def test_importing_the_same_twice_changes_nothing_and_seals_nothing(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path, LYON)
    stock(ledger, path)
    before = sealed_rows(ledger), ledger.inventory.revision()
    assert counts(stock(ledger, path)) == (0, 0, 0, 4)
    assert (sealed_rows(ledger), ledger.inventory.revision()) == before


def test_only_a_secret_with_another_value_is_sealed_again(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    before = sealed_rows(ledger)
    result = stock(ledger, written(tmp_path, LYON.replace(WORD, "battery-staple")))
    assert [(change.id.key, change.details) for change in result.changed] == [
        ("54-1046-0745", ("password: another secret",))
    ]
    after = sealed_rows(ledger)
    assert after["token/alice/sms"] == before["token/alice/sms"]
    assert vault_of(ledger, RING).get("twon/54-1046-0745/password").get_secret_value() == "battery-staple"


def test_a_secret_that_does_not_open_any_more_is_replaced(ledger: Ledger, tmp_path: Path) -> None:
    path = written(tmp_path, LYON)
    stock(ledger, path)
    result = Importer(ledger, lambda: vault_of(ledger, "other"), clock=lambda: NOW).take(path)
    assert counts(result) == (0, 2, 0, 2)
    assert vault_of(ledger, "other").get("token/alice/sms").get_secret_value() == PHONE


def test_secrets_come_from_their_places(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "word").write_text(f"{WORD}\n")
    monkeypatch.setenv("PHONE_OF_ALICE", PHONE)
    text = LYON.replace(f'"{WORD}"', '{ file = "word" }').replace(f'"{PHONE}"', '{ env = "PHONE_OF_ALICE" }')
    stock(ledger, written(tmp_path, text))
    assert counts(stock(ledger, written(tmp_path, LYON))) == (0, 0, 0, 4)


def test_a_secret_of_the_vault_may_be_shared(ledger: Ledger, tmp_path: Path) -> None:
    text = LYON.replace(f'"{WORD}"', '{ vault = "doors/all" }')
    assert faults_of(ledger, written(tmp_path, text)) == [
        "line 9, sites[1].twon[1].password: names a secret that the vault does not have"
    ]
    stock(ledger, written(tmp_path, LYON.replace(WORD, PHONE)))
    vault = vault_of(ledger, RING)
    vault.put("doors/all", vault.get("token/alice/sms"))
    result = stock(ledger, written(tmp_path, text))
    assert [change.details for change in result.changed] == [("password",)]
    stock(ledger, written(tmp_path, "version = 1\n"), prune=True, everything=True)
    assert ledger.secrets.names() == ["doors/all"]


def test_a_document_without_secrets_needs_no_vault(ledger: Ledger, tmp_path: Path) -> None:
    def no_vault() -> Vault:
        raise ConfigurationError("KEYTURN_VAULT_KEYS is needed")

    importer = Importer(ledger, no_vault, clock=lambda: NOW)
    bare = 'version = 1\n[[sites]]\nname = "lyon"\n'
    assert keys(importer.take(written(tmp_path, bare)).added) == ["site lyon"]
    with pytest.raises(ConfigurationError):
        importer.take(written(tmp_path, LYON))


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ('""', "is empty"),
        (f'" {PHONE}"', "expected at most 1024 printable characters without blanks around them"),
        (f'"{PHONE}\\n0"', "expected at most 1024 printable characters"),
        (f'"tel:{PHONE}"', "expected a phone number: digits, with a + before the code of the country"),
        ('{ env = "KEYTURN_TEST_UNSET" }', "the variable holds no secret"),
        ('{ file = "absent" }', "the file cannot be read: No such file or directory"),
    ],
)
def test_a_secret_that_cannot_be_one_is_told_without_it(ledger: Ledger, tmp_path: Path, value: str, fault: str) -> None:
    (found,) = faults_of(ledger, written(tmp_path, LYON.replace(f'"{PHONE}"', value)))
    assert found.startswith("line 13, sites[1].tokens[1].phone: ")
    assert fault in found


SHIFTED = [
    "2n,lyon,54-1046-0745,{},Lobby,https://door,,,,,,",
    "2n,lyon,{},https://door,Lobby,54-1046-0745,,,,,,",
    "2n,lyon,54-1046-0745,https://door,Lobby,x,{}:x,,,,,",
    "2n,lyon,54-1046-0745,https://door,Lobby,x,,{},,,,",
    "2n,lyon,54-1046-0745,https://door,Lobby,x,,,{},,,",
    "2n,lyon,54-1046-0745,http://door/{},Lobby,x,,,,,,",
    "2n,lyon,54-1046-0745,https://door,{}\t,x,,,,,,",
    "2n,{},54-1046-0745,https://door,Lobby,x,,,,,,",
    "site,{}!,,,,,,,,,,",
    "token,lyon,,,,,,,,alice,{},+999100200300",
    "token,lyon,,,,,,,,{} x,sms,+999100200300",
    "token,lyon,,,,,,,,{},sms,+999100200300\ntoken,lyon,,,,,,,,{},sms,+999100200300",
    "2n,lyon,{},https://a,L,x,,,,,,\n2n,lyon,{},https://b,L,x,,,,,,",
    "2n,lyon,54-1046-0745,https://{},L,x,,,,,,\n2n,lyon,54-1046-0746,https://{},L,x,,,,,,",
    "2n,lyon,54-1046-0745,https://a,{},x,,,,,,\nsite,nice,,,,,,,,,,\n2n,nice,54-1046-0746,https://b,{},x,,,,,,",
    "tap,lyon,A1,tcp://t,,x,,,,,,,{}",
    "tap,lyon,{},tcp://a,,x,,,,,,,absent\ntap,lyon,{},tcp://b,,x,,,,,,,absent",
    "2n,lyon,54-1046-0745,https://door,Lobby,file:{},,,,,,",
    "2n,lyon,54-1046-0745,https://door,Lobby,env:{},,,,,,",
]


@pytest.mark.parametrize("rows", SHIFTED)
def test_a_secret_in_a_wrong_column_is_not_repeated(ledger: Ledger, tmp_path: Path, rows: str) -> None:
    header = "kind,site,serial,address,location,password,user,fingerprint,ca_file,username,type,phone,configuration"
    lines = [header, "site,lyon", *rows.replace("{}", SHORT_WORD).split("\n")]
    text = "\n".join(line + "," * (header.count(",") - line.count(",")) for line in lines)
    with pytest.raises(InputError) as caught:
        stock(ledger, written(tmp_path, text + "\n", "fleet.csv"))
    assert SHORT_WORD not in told(caught.value).lower()
    assert "line 3" in str(caught.value) or "line 4" in str(caught.value) or "line 5" in str(caught.value)


@pytest.mark.parametrize(
    "keys_of_the_door",
    [
        'user = "admin:{}"',
        'auth = "{}"',
        'fingerprint = "{}"',
        'managed_by = "{}"',
        'may_write = "{}"',
        'ca_file = "{}"',
        'password.file = "{}"',
        'password = {{ env = "{}" }}',
        '[[sites.taps]]\nserial = "A1"\naddress = "tcp://t"\nconfiguration = "c"\npassword = "x"\nrelay = "{}"',
        '[[sites.taps]]\nserial = "A1"\naddress = "tcp://t"\nconfiguration = "c"\npassword = "x"\nuser = "\\t{}"',
    ],
)
def test_a_secret_under_a_wrong_key_is_not_repeated(ledger: Ledger, tmp_path: Path, keys_of_the_door: str) -> None:
    door = 'version = 1\n[[sites]]\nname = "lyon"\n[[sites.twon]]\nserial = "54-1046-0745"\nlocation = "L"\n'
    door += 'address = "https://door"\n' + keys_of_the_door.replace("{}", SHORT_WORD).replace("{{", "{").replace(
        "}}", "}"
    )
    (tmp_path / "c").write_text("")
    with pytest.raises(InputError) as caught:
        stock(ledger, written(tmp_path, door))
    assert SHORT_WORD not in told(caught.value)


@pytest.mark.parametrize(
    "instead", ['auth = "none"', 'password = { vault = "doors/all" }'], ids=["no password", "a shared one"]
)
def test_a_secret_goes_when_its_entry_names_it_no_more(ledger: Ledger, tmp_path: Path, instead: str) -> None:
    stock(ledger, written(tmp_path, LYON))
    vault = vault_of(ledger, RING)
    vault.put_many({name: vault.get("token/alice/sms") for name in ("doors/all", "twon/54-1046-0746/password")})
    stock(ledger, written(tmp_path, LYON.replace(f'password = "{WORD}"', instead)))
    assert ledger.secrets.names() == ["doors/all", "token/alice/sms", "twon/54-1046-0746/password"]


def test_a_secret_stays_where_another_entry_names_it(ledger: Ledger, tmp_path: Path) -> None:
    stock(ledger, written(tmp_path, LYON))
    other = '[[sites.twon]]\nserial = "54-1046-0746"\naddress = "https://gate"\nlocation = "Lobby"\n'
    other += 'password = { vault = "twon/54-1046-0745/password" }\n'
    bare = LYON.replace(f'password = "{WORD}"', 'auth = "none"')
    stock(ledger, written(tmp_path, bare + other))
    assert vault_of(ledger, RING).get("twon/54-1046-0745/password").get_secret_value() == WORD


def test_what_a_dropped_relay_named_goes_with_it(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "tap.toml").write_bytes((EXAMPLES / "tap.toml").read_bytes())
    tap = 'version = 1\n[[sites]]\nname = "lyon"\n[[sites.taps]]\nserial = "A1"\nconfiguration = "tap.toml"\n'
    tap += 'password = "x"\naddress = '
    relayed = '"mqtts://broker.example"\nrelay = { net_key = "k", user = "u", password = "p" }\n'
    stock(ledger, written(tmp_path, tap + relayed))
    assert ledger.secrets.names() == ["tap/A1/broker-password", "tap/A1/net-key", "tap/A1/password"]
    stock(ledger, written(tmp_path, tap + '"tcp://192.0.2.50"\n'))
    assert ledger.secrets.names() == ["tap/A1/password"]
