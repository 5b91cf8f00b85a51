"""What can be done with runs: one module a mutation."""
