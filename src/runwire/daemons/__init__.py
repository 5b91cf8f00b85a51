"""What works beside the server: each daemon does one thing, again and again."""
