"""Concurrency pools."""
