"""MkDocs' hook: adds the generated pages to the hand-written ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    docs = str(Path(__file__).parent.parent)
    if docs not in sys.path:
        sys.path.insert(0, docs)
    from mkdocs.structure.files import File

    from _generate.pages import pages

    for path, text in pages(Path(config.config_file_path).parent).items():
        files.append(File.generated(config, path, content=text))
    return files
