"""Assets, pages of them, and what is asked of them."""
