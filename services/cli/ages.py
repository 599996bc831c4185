"""``keyturn keys-and-certificates``: how old keys are and what ends when."""

from typing import TYPE_CHECKING

from services.cli.output import AsJson, console, now, opened, show_table, write_json

if TYPE_CHECKING:
    from schemas.ages import KeysAndCertificates


def keys_and_certificates(*, as_json: AsJson = False) -> None:
    """Show the ages of mobile and vault keys, renewals under way, and the ends of webhook tokens.

    The keys of the admin API are listed by 'keyturn keys', the ends of all certificates told by 'keyturn forecast'.
    """
    from infra.settings import load_settings
    from services.ages import keys_and_certificates as look

    with opened() as ledger:
        found = look(ledger, load_settings(), now())
    if as_json:
        write_json(found)
    else:
        _show(found)


def _show(found: "KeysAndCertificates") -> None:
    show_table(
        ("location", "mobile keys", "not primary yet", "primary since", "days"),
        [(one.location, one.keys, one.waiting, one.primary_since, one.age_days) for one in found.mobile_keys],
    )
    _tell_of_more(found.locations - len(found.mobile_keys))
    show_table(
        ("ring key", "is", "seals"),
        [(one.id, _standing(in_ring=one.in_ring, newest=one.newest), one.secrets) for one in found.vault],
    )
    show_table(
        ("job", "renews", "site", "is", "ends", "days left", "why"),
        [
            (one.job, one.target, one.site, one.state, one.expires_at, one.days_left, one.reason)
            for one in found.renewals
        ],
    )
    _tell_of_more(found.renewals_open - len(found.renewals))
    show_table(
        ("webhook token", "name", "is", "made", "ends"),
        [
            (one.id, one.name, "living" if one.living else "ended", one.created_at, one.ends_at)
            for one in found.webhook_tokens
        ],
    )
    console().print(f"and {found.webhook_tokens_of_settings} of KEYTURN_WEBHOOK_TOKENS, which do not end by themselves")


def _tell_of_more(count: int) -> None:
    if count:
        console().print(f"and {count} more")


def _standing(*, in_ring: bool, newest: bool) -> str:
    if not in_ring:
        return "missing"
    return "newest" if newest else "old"
