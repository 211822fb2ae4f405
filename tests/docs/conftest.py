"""The documentation as the tests see it: pages, code blocks, commands."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@dataclass(frozen=True)
class Block:
    """A fenced block of code; its title is the name of the file that it is."""

    page: str
    language: str
    title: str
    text: str


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """Hand-written pages by path below `docs`, and the README."""
    found = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
    return found | {"../README.md": (ROOT / "README.md").read_text(encoding="utf-8")}


@pytest.fixture(scope="session")
def blocks(pages: dict[str, str]) -> list[Block]:
    """All fenced blocks, in the order in which they stand."""
    fence = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
    return [
        Block(page, language, title, text)
        for page, content in pages.items()
        for language, title, text in fence.findall(content)
    ]


@pytest.fixture(scope="session")
def write_files(blocks: list[Block]) -> Callable[..., list[Path]]:
    """Writes the titled blocks of some pages into a folder, as a reader does."""

    def write(folder: Path, *names: str) -> list[Path]:
        written = []
        for block in blocks:
            if block.page in names and block.title:
                written.append(folder / block.title)
                written[-1].write_text(block.text, encoding="utf-8")
        return written

    return write


@pytest.fixture(scope="session")
def generated() -> Iterator[dict[str, str]]:
    """The pages that are made from the code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        from _generate.pages import pages

        yield pages(ROOT)
    for name in [name for name in sys.modules if name.split(".")[0] == "_generate"]:
        del sys.modules[name]
