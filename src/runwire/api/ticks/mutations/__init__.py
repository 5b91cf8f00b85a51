"""The mutations of schedules."""
