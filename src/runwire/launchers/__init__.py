"""The run launchers."""
