"""Schedules, and their ticks."""
