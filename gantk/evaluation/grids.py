"""A table as text in cells, and the forms in which it is written: terminal, Markdown, LaTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Cell", "Grid", "to_latex", "to_markdown", "to_rich"]


@dataclass(frozen=True)
class Cell:
    """Text, and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Args:
        title: above it.
        header: one title per column.
        sections: groups of rows, set apart by a rule where the form has one.
        words: how many columns from the left hold words; the others hold numbers.
        groups: over the columns of numbers, (title, how many columns); empty for none.
        short: the header below `groups`, where the groups need not be said again; empty: `header`.
        caption: what the numbers are.
        notes: one sentence each, below.
        warning: why the table must not be read as it stands; empty where it may.
    """

    title: str
    header: tuple[str, ...]
    sections: tuple[tuple[tuple[Cell, ...], ...], ...]
    words: int = 1
    groups: tuple[tuple[str, int], ...] = ()
    short: tuple[str, ...] = ()
    caption: str = ""
    notes: tuple[str, ...] = ()
    warning: str = ""

    @property
    def head(self) -> str:
        """Title with the warning before it."""
        return f"NOT COMPARABLE: {self.warning}. {self.title}" if self.warning else self.title


def to_rich(grid: Grid) -> Table:
    """For a terminal; title and caption are part of it, notes are not."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(grid.head, "bold red" if grid.warning else "bold"),
        title_justify="left",
        caption=Text(grid.caption) if grid.caption else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for i, title in enumerate(grid.header):
        # words may be broken, numbers never
        table.add_column(Text(title), justify="left" if i < grid.words else "right", no_wrap=i >= grid.words)
    for section in grid.sections:
        for row in _blanked(section, grid.words):
            table.add_row(*(Text(cell.text, "bold" if cell.best else "") for cell in row))
        table.add_section()
    return table


def to_markdown(grid: Grid) -> str:
    """Aligned in the source too; ends with a newline."""
    from rich.cells import cell_len

    def text(cell: Cell) -> str:
        plain = re.sub(r"[\\|*_`]|<(?=[A-Za-z/!])|\](?=\()", r"\\\g<0>", cell.text)
        return f"**{plain}**" if cell.best else plain

    rows = [[text(Cell(title)) for title in grid.header]]
    rows += [[text(cell) for cell in row] for section in grid.sections for row in section]
    widths = [max(3, *(cell_len(row[i]) for row in rows)) for i in range(len(grid.header))]

    def line(cells: list[str]) -> str:
        padded = []
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            gap = " " * (width - cell_len(cell))
            padded.append(cell + gap if i < grid.words else gap + cell)
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if i < grid.words else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    parts = [f"**{text(Cell(grid.head))}**", "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])]
    parts += [text(Cell(grid.caption))] if grid.caption else []
    parts += ["\n".join(f"- {text(Cell(note))}" for note in grid.notes)] if grid.notes else []
    return "\n\n".join(parts) + "\n"


def to_latex(grid: Grid) -> str:
    """A `table` with booktabs, everything escaped; needs `\\usepackage{booktabs}` alone."""

    def text(cell: Cell) -> str:
        return rf"\textbf{{{latex(cell.text)}}}" if cell.best else latex(cell.text)

    columns = "l" * grid.words + "r" * (len(grid.header) - grid.words)
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex(' '.join([grid.head.rstrip('.') + '.', grid.caption]).strip())}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
    ]
    header = grid.header
    if len(grid.groups) > 1:
        header = grid.short or grid.header
        start = grid.words + 1
        rules = []
        spans = []
        for title, count in grid.groups:
            spans.append(rf"\multicolumn{{{count}}}{{c}}{{{latex(title)}}}")
            rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}")
            start += count
        lines += [" & ".join([""] * grid.words + spans) + r" \\", " ".join(rules)]
    lines.append(" & ".join(map(latex, header)) + r" \\")
    for section in grid.sections:
        lines.append(r"\midrule")
        lines += [" & ".join(map(text, row)) + r" \\" for row in _blanked(section, grid.words)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if grid.notes:
        notes = r" \\ ".join(latex(note) for note in grid.notes)
        lines.append(rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {notes}}}")
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "−": "$-$", "×": r"$\times$", "–": "--",
    "²": r"\textsuperscript{2}", "³": r"\textsuperscript{3}", "[": "{[}", "]": "{]}",
}  # fmt: skip


def latex(text: str) -> str:
    """Text with what LaTeX would read as commands escaped; `[` too, which after `\\\\` would be a length."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _blanked(section: tuple[tuple[Cell, ...], ...], words: int) -> list[tuple[Cell, ...]]:
    """The rows with what the row above says as well left out, from the left, but never the last of the words."""
    rows = []
    above: tuple[Cell, ...] = ()
    for row in section:
        same = 0
        while same < words - 1 and above and row[same].text == above[same].text:
            same += 1
        rows.append((*(Cell("") for _ in range(same)), *row[same:]))
        above = row
    return rows
