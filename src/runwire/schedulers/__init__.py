"""Schedulers that come with runwire."""
