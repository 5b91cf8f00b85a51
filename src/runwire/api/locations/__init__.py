"""Code locations, and the jobs that they have loaded."""
