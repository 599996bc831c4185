"""The two signatures of the API: of a login, and of every call after it. HMAC-SHA256 in lower-case hex.

Source: Username and Password Authentication API, Token Registration API.
"""

import hmac

from services.sandbox.centagate.bodies import Login


def signature(key: str, text: str) -> str:
    """Sign a text."""
    return hmac.digest(key.encode(), text.encode(), "sha256").hex()


def same(left: str, right: str) -> bool:
    """Compare two texts in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())


def login_texts(login: Login) -> tuple[str, str]:
    """The texts that ``hmac`` of a login may be of: in the order of the parameter table, and of the Java sample.

    They are the same when all optional members are empty.
    """
    named = login.username + login.password
    optional = login.support_fido + login.ip_address + login.user_agent + login.browser_fp
    table = (
        named
        + login.user_agent
        + login.integration_key
        + login.support_fido
        + login.browser_fp
        + login.unix_timestamp
        + login.ip_address
    )
    return table, named + login.integration_key + login.unix_timestamp + optional


def is_signed(login: Login, secret_key: str) -> bool:
    """Whether the login's ``hmac`` is right in one of the two orders."""
    return any([same(signature(secret_key, text), login.hmac) for text in login_texts(login)])  # noqa: C419 - both, always


def cen_token(admin: str, auth_token: str, secret_code: str) -> str:
    """``cenToken`` of a session: the same for each of its calls."""
    return signature(secret_code, admin + auth_token)
