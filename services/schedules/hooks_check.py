"""``ublox.check_webhooks``: compares the webhooks at u-blox with the settings, and changes nothing."""

from services.schedules.registration import Registration, changes, known_tokens, plan, shown
from services.schedules.turn import Found, Turn


def work(turn: Turn) -> Found:
    """Compare once."""
    means = turn.means
    if means.public_url is None:
        return Found(reason="KEYTURN_PUBLIC_URL is not set, so there is nothing to compare with")
    wanted = Registration.of(means.public_url, means.webhook_tokens)
    steps = plan(wanted, means.ublox.webhooks.walk(), known_tokens(means.ledger))
    wrong = changes(steps)
    if not wrong:
        return Found(reason=f"{len(steps)} webhooks are as the settings say", detail={"steps": shown(steps)})
    told = "; ".join(f"{step.url} {step.why}" for step in wrong)
    reason = f"{len(wrong)} webhooks are not as the settings say: run 'keyturn webhooks sync' ({told})"
    return Found(reason=reason, attention=True, detail={"steps": shown(steps)})
