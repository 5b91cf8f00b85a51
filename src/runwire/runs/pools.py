"""What concurrency pools can be called."""

from __future__ import annotations

import re

POOL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")
POOL_NAME_RULE = (
    "1 to 128 of the letters a-z, A-Z, digits, _, ., / and -, beginning with a letter, digit or _"
)

MAX_POOL_LIMIT = 1_000_000
"""The largest limit that a pool can have."""
