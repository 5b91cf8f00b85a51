"""The mutations of webhooks: one file each."""
