"""The HTTP face: webhook receiver, receipts, health."""
