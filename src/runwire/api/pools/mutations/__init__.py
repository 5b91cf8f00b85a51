"""The mutations of concurrency pools."""
