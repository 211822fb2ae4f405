"""The parts of a component's docstring."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Doc", "parse"]

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields|Example|Examples):$")
_ARGUMENT = re.compile(r"^ {4}(\w+):\s*(.*)$")
# (Author et al., 2017), (Method, eq. 2), (Method's code): in parentheses, with a year, an equation or a code; or
# a sentence that begins with `Source:`
_SOURCE = re.compile(r"\(([^()]*(?:\b(?:19|20)\d\d\b|\beqs?\. ?\d|'s code(?=\)))[^()]*)\)")
_NAMED_SOURCE = re.compile(r"\bSources?: (.+?)(?:\.(?= |$)|$)", re.MULTILINE)
_EQUATION = re.compile(r"[^\s,;(]\S*\([^)]*\) = |\b[A-Z](?:_\w+)? = |\|[^|]+\||[∑Σ‖√]")


@dataclass(frozen=True)
class Doc:
    """A docstring's parts.

    Args:
        summary: its first paragraph, in one line.
        description: the other text before its sections; paragraphs are separated by an empty line.
        arguments: the description of each parameter, by name.
    """

    summary: str = ""
    description: str = ""
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        """The papers that it names, with the numbers of equations if it names them."""
        text = f"{self.summary} {self.description}"
        return [*_SOURCE.findall(text), *_NAMED_SOURCE.findall(text)]

    @property
    def equations(self) -> list[str]:
        """The sentences and lines that contain an equation."""
        text = f"{self.summary}\n\n{self.description}"
        parts = re.split(r"\n\n|(?<=[.;:])\s+(?=[A-ZΑ-Ω|‖√∑Σ])|(?<=: )", text)
        return [part.strip().rstrip(".") for part in parts if _EQUATION.search(part)]


def parse(text: str) -> Doc:
    """Parse a docstring without indentation, in Google style."""
    head: list[str] = []
    arguments: dict[str, str] = {}
    section = name = ""
    for line in text.splitlines():
        if found := _SECTION.match(line):
            section, name = found[1], ""
        elif not section:
            head.append(line)
        elif section == "Args":
            if found := _ARGUMENT.match(line):
                name = found[1]
                arguments[name] = found[2].strip()
            elif name and line.strip():
                arguments[name] = f"{arguments[name]} {line.strip()}".strip()
    summary, _, description = "\n".join(head).strip().partition("\n\n")
    paragraphs = [" ".join(p.split()) for p in description.split("\n\n")]
    return Doc(" ".join(summary.split()), "\n\n".join(filter(None, paragraphs)), arguments)
