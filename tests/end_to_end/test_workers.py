"""Being written by TORTURE."""
