"""The mutations of code locations: one file each."""
