"""Text of others made fit for a terminal: no control sequences, no broken Unicode."""

from __future__ import annotations

_SHOWN = {ord("\n"), ord("\t")}
_CONTROLS = {
    code: f"\\x{code:02x}"
    for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))
    if code not in _SHOWN
}


def printable(text: str) -> str:
    """The text with control characters and lone surrogates written as escapes; line ends and tabs stay."""
    return text.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()
