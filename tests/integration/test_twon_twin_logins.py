"""Who gets into the twin of a 2N device: Digest by RFC 7616, Basic, nobody in particular."""

import hashlib
import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.twon import PASSWORD, USER, TwonPark, twon_park

INFO = "/api/system/info"


@pytest.fixture(scope="module", params=["md5", "sha-256"])
def only_park(request: pytest.FixtureRequest) -> Iterator[TwonPark]:
    with twon_park(algorithm=request.param) as park:
        yield park


@pytest.fixture
def park(only_park: TwonPark) -> TwonPark:
    only_park.reset()
    return only_park


@pytest.fixture
def client(park: TwonPark) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=park.addresses[0], trust_env=False, timeout=10) as client:
        yield client


def code(answer: httpx.Response) -> int:
    number: int = answer.json().get("error", {}).get("code", 0)
    return number


def challenge(client: httpx.Client) -> dict[str, str]:
    answer = client.get(INFO)
    assert (answer.status_code, code(answer)) == (401, 9)
    return parsed(answer)


def parsed(answer: httpx.Response) -> dict[str, str]:
    header = answer.headers["www-authenticate"]
    assert header.startswith("Digest ")
    return {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)}


def authorization(said: dict[str, str], *, password: str = PASSWORD, uri: str = INFO, nc: int = 1) -> str:
    """Write an answer to a challenge by hand."""
    by_name: dict[str, Callable[[bytes], hashlib._Hash]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}

    def digest(text: str) -> str:
        return by_name[said["algorithm"]](text.encode()).hexdigest()

    count, cnonce = f"{nc:08x}", "0a4f113b"
    secret = digest(f"{USER}:{said['realm']}:{password}")
    response = digest(f"{secret}:{said['nonce']}:{count}:{cnonce}:auth:{digest(f'GET:{uri}')}")
    parts = {
        "username": USER,
        "realm": said["realm"],
        "nonce": said["nonce"],
        "uri": uri,
        "algorithm": said["algorithm"],
        "qop": "auth",
        "nc": count,
        "cnonce": cnonce,
        "response": response,
    }
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in parts.items())


def ask(client: httpx.Client, header: str, path: str = INFO) -> httpx.Response:
    return client.get(path, headers={"Authorization": header})


def test_an_ordinary_client_gets_in_and_keeps_its_nonce(park: TwonPark, client: httpx.Client) -> None:
    client.auth = httpx.DigestAuth(USER, PASSWORD)
    for _ in range(5):
        assert client.get(INFO).json()["success"]
    assert park.stats()["outcomes"] == {"9": 1, "ok": 5}


@pytest.mark.parametrize("account", [(USER, "wrong"), ("stranger", PASSWORD), ("", "")])
def test_wrong_credentials(client: httpx.Client, account: tuple[str, str]) -> None:
    answer = client.get(INFO, auth=httpx.DigestAuth(*account))
    assert (answer.status_code, code(answer)) == (401, 9)
    assert "stale" not in answer.headers["www-authenticate"]


def test_basic_where_digest_is_set(client: httpx.Client) -> None:
    answer = client.get(INFO, auth=(USER, PASSWORD))
    assert (answer.status_code, code(answer)) == (401, 8)
    assert answer.headers["www-authenticate"].startswith("Digest")


def test_a_count_that_was_used_is_a_replay(client: httpx.Client) -> None:
    said = challenge(client)
    assert ask(client, authorization(said)).status_code == 200
    replayed = ask(client, authorization(said))
    assert replayed.status_code == 401
    assert "stale" not in replayed.headers["www-authenticate"]
    assert ask(client, authorization(said, nc=7)).status_code == 200
    assert ask(client, authorization(said, nc=2)).status_code == 200


def test_a_spent_nonce_is_stale_and_the_fresh_one_works(park: TwonPark, client: httpx.Client) -> None:
    park.turn(nonce_uses=2)
    said = challenge(client)
    assert [ask(client, authorization(said, nc=nc)).status_code for nc in (1, 2)] == [200, 200]
    late = ask(client, authorization(said, nc=3))
    assert (late.status_code, parsed(late)["stale"]) == (401, "true")
    assert ask(client, authorization(parsed(late))).status_code == 200


def test_an_old_nonce_is_stale(park: TwonPark, client: httpx.Client) -> None:
    said = challenge(client)
    park.turn(nonce_seconds=0.000_001)
    assert parsed(ask(client, authorization(said)))["stale"] == "true"


def test_a_restart_makes_every_nonce_stale(park: TwonPark, client: httpx.Client) -> None:
    said = challenge(client)
    park.reboot()
    assert parsed(ask(client, authorization(said)))["stale"] == "true"


def test_a_wrong_password_is_never_called_stale(client: httpx.Client) -> None:
    unknown = {**challenge(client), "nonce": "0" * 32}
    assert "stale" not in parsed(ask(client, authorization(unknown, password="guess")))


@pytest.mark.parametrize(
    "part",
    [
        {"realm": "elsewhere"},
        {"qop": "auth-int"},
        {"nc": "1"},
        {"nc": "zzzzzzzz"},
        {"algorithm": "SHA-512-256"},
        {"response": "é"},
        {"username": "someone"},
    ],
)
def test_an_answer_that_does_not_fit_its_challenge(client: httpx.Client, part: dict[str, str]) -> None:
    ((name, value),) = part.items()
    fitting = authorization(challenge(client))
    header = re.sub(rf'\b{name}="[^"]*"', f'{name}="{value}"', fitting).encode("latin-1")
    assert header.decode("latin-1") != fitting
    answer = client.get(INFO, headers={b"Authorization": header})
    assert (answer.status_code, code(answer)) == (401, 9)


@pytest.mark.parametrize("header", ["Digest", "Digest nonsense", 'Digest username="admin"', "Digest ,=,", "Digest a="])
def test_half_an_answer(client: httpx.Client, header: str) -> None:
    assert ask(client, header).status_code == 401


def test_an_answer_for_one_path_does_not_open_another(client: httpx.Client) -> None:
    said = challenge(client)
    assert ask(client, authorization(said), "/api/system/status").status_code == 401
    assert ask(client, authorization(said), f"{INFO}?a=b").status_code == 401
    assert ask(client, authorization(said, uri=f"{INFO}?a=b"), f"{INFO}?a=b").status_code == 200


def test_a_storm_of_stale_nonces(park: TwonPark, client: httpx.Client) -> None:
    park.turn(strikes=[{"do": "stale", "times": 3}])
    said = challenge(client)
    for _ in range(3):
        answer = ask(client, authorization(said))
        said = parsed(answer)
        assert (answer.status_code, said["stale"]) == (401, "true")
    assert ask(client, authorization(said)).status_code == 200


def test_basic() -> None:
    with twon_park(auth="basic") as park, httpx.Client(base_url=park.addresses[0], trust_env=False) as client:
        assert client.get(INFO, auth=(USER, PASSWORD)).status_code == 200
        bare, wrong = client.get(INFO), client.get(INFO, auth=(USER, "wrong"))
        assert [code(bare), code(wrong)] == [9, 9]
        assert bare.headers["www-authenticate"].startswith("Basic ")
        digest = ask(client, 'Digest username="admin"')
        assert (digest.status_code, code(digest)) == (401, 8)
        assert ask(client, "Basic ###").status_code == 401


def test_no_login() -> None:
    with twon_park(auth="none") as park, httpx.Client(base_url=park.addresses[0], trust_env=False) as client:
        assert client.get(INFO).json()["success"]
        assert client.get(INFO, auth=(USER, "whatever")).json()["success"]
