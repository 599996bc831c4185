"""A faithful twin of each outside system, over real HTTP and TCP, with fault dials."""
