"""The keyturn command."""
