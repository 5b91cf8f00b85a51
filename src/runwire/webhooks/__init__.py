"""Webhooks: what is sent of the events of runs, and how it is signed, sent and tried again."""
