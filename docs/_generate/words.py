"""Text and tables as Markdown wants them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from gantk.plugins.words import value_words

__all__ = ["cell", "default_words", "escape", "sentence", "table"]

#: A code span; a split by it keeps the spans.
CODE = re.compile(r"(`[^`]*`)")


def default_words(value: Any) -> str:
    """A default as code; a dash if there is none."""
    return "–" if value is None else f"`{value_words(value)}`"


def sentence(text: str) -> str:
    """Text with its first letter large, unless it begins with a symbol such as y or λ."""
    return text[:1].upper() + text[1:] if re.match(r"(a |[a-z]{2,}\b)", text) else text


def escape(text: str) -> str:
    """Text in which Markdown finds nothing but code spans; a code span's pipes stay."""

    def plain(piece: str) -> str:
        return re.sub(r"([\\*_\[\]>|#])", r"\\\1", piece).replace("<", "&lt;")

    return "".join(piece if piece.startswith("`") else plain(piece) for piece in CODE.split(text))


def cell(text: str) -> str:
    """Text inside a table: one line, without a bare pipe but in code, where it divides nothing."""
    pieces = CODE.split(" ".join(text.split()))
    return "".join(piece if piece.startswith("`") else re.sub(r"(?<!\\)\|", r"\\|", piece) for piece in pieces)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines) + "\n"
