"""The instance, and who asks it."""
