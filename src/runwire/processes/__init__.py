"""Child processes: forked by a fork server that has imported what they need, or spawned; and whether they live."""
