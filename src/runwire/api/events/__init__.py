"""Event records, their data, and what is asked of them."""
