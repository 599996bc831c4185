"""The benchmark: Keyturn beside its peers, interleaved in one run (``python -m tests.bench``)."""
