"""Runs: what they are, what is asked of them, and what is done with them."""
