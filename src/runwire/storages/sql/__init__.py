"""What the storages in databases share: tables, statements, and the form of rows. No dialect's own things."""
