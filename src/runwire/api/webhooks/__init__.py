"""Webhooks of the API."""
