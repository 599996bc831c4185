"""One file per verb: look, compare, act, look again."""
