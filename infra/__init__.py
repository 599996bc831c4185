"""The machinery that we own: ledger, broker, coordination, settings, logs."""
