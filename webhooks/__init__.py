"""Webhooks, both ways: what carriers push to us and what we push to subscribers."""
