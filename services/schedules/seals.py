"""``vault.check_seals``: tells of secrets that wait for being sealed again after a new ring key was added."""

from services.schedules.turn import Found, Turn


def work(turn: Turn) -> Found:
    """Count what each ring key seals: one that is not the newest cannot be taken away while it seals anything."""
    counts, newest = turn.means.ledger.secrets.counts(), turn.means.newest_seal
    old = {key: count for key, count in counts.items() if key != newest} if newest else counts
    if not old or (newest is None and len(counts) == 1):
        told = "all sealed by the newest ring key" if newest else "all sealed by the same ring key"
        return Found(reason=f"{sum(counts.values())} secrets, {told}", detail={"seals": counts})
    words = ", ".join(f"{key} seals {count}" for key, count in sorted(old.items()))
    return Found(
        reason=f"secrets wait for the newest ring key ({words}): run 'keyturn vault reseal'",
        attention=True,
        detail={"seals": counts},
    )
