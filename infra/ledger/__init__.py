"""The SQL ledger: the one truth about events and jobs. Nobody else speaks SQL."""
