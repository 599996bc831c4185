"""Celery: they decide when, never what."""
