"""The admin API under ``/admin/v1``: from one table of routes come addresses, access check and OpenAPI."""
