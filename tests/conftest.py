"""Fixtures of all tests."""

from __future__ import annotations

from tests.postgres import pooled_url, pooler_port, postgres_server, postgres_url

__all__ = ["pooled_url", "pooler_port", "postgres_server", "postgres_url"]
