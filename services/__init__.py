"""What we do, also to machines that we do not own."""
