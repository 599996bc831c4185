"""One thin client per outside system; none knows another."""
