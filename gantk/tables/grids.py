"""Tables as text cells, and their output for the terminal, as Markdown, HTML or LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

__all__ = ["Cell", "Grid", "fitted", "latex", "to_html", "to_latex", "to_markdown", "to_rich"]

FOLD = 16
"""The smallest width of columns of words in a terminal, in characters."""
GAP = 2
"""The gap between two columns in a terminal, in characters."""


@dataclass(frozen=True)
class Cell:
    """A cell's text, and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Args:
        title: the title above the table.
        header: one title per column.
        sections: groups of rows, separated by a rule if the format has rules.
        words: number of columns on the left that contain words; the others contain numbers.
        caption: a description of the numbers.
        notes: sentences below the table.
        warning: why the numbers are not comparable; empty if they are.
        long: whether the table may need more than a page.
    """

    title: str
    header: tuple[str, ...]
    sections: tuple[tuple[tuple[Cell, ...], ...], ...]
    words: int = 1
    caption: str = ""
    notes: tuple[str, ...] = ()
    warning: str = ""
    long: bool = False

    @property
    def head(self) -> str:
        """The title, preceded by the warning."""
        return f"NOT COMPARABLE: {self.warning}. {self.title}" if self.warning else self.title

    def only(self, columns: Sequence[int]) -> Grid:
        """The table with only some columns; columns of words are always kept."""
        chosen = [*range(self.words), *columns]

        def part(row: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(row[i] for i in chosen)

        return replace(self, header=part(self.header), sections=tuple(tuple(map(part, s)) for s in self.sections))

    def transposed(self) -> Grid:
        """The table with its rows as columns, and without sections."""
        rows = [row for section in self.sections for row in section]
        heads = (", ".join(cell.text for cell in row[: self.words]) for row in rows)
        lines = ((Cell(self.header[i]), *(row[i] for row in rows)) for i in range(self.words, len(self.header)))
        return replace(self, header=("", *heads), sections=(tuple(lines),), words=1)

    def stacked(self) -> Grid:
        """The table with one column of words; words of the columns to its left become headings above their rows."""
        blank = (Cell(""),) * (len(self.header) - self.words)
        sections = []
        for section in self.sections:
            rows: list[tuple[Cell, ...]] = []
            for heading, new, row in _headed(section, self.words):
                rows += [(Cell(heading), *blank)] if new else []
                rows.append((replace(row[0], text=f"  {row[0].text}"), *row[1:]) if heading else row)
            sections.append(tuple(rows))
        header = (" / ".join(self.header[: self.words]), *self.header[self.words :])
        return replace(self, header=header, sections=tuple(sections), words=1)


def to_rich(grid: Grid) -> RenderableType:
    """The grid for a terminal of any width, with title, caption and notes; numbers are never truncated."""
    return _Fitted(grid)


@dataclass(frozen=True)
class _Fitted:
    """A grid whose layout depends on the width of the terminal."""

    grid: Grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from rich.text import Text

        grid = self.grid
        yield Text(grid.head, "bold red" if grid.warning else "bold")
        for part in fitted(grid, options.max_width):
            yield Text("")
            yield _table(part)
        said = [grid.caption] if grid.caption else []
        for line in ["", *said, *(f"· {note}" for note in grid.notes)]:
            yield Text(line)
        if said or grid.notes:
            yield Text("")


def fitted(grid: Grid, width: int) -> list[Grid]:
    """A grid as tables no wider than `width` characters.

    Words are wrapped; if that is not enough, they share one column, and the numbers are divided among several tables.
    """
    if grid.words > 1 and sum(_least(grid)) + GAP * (len(grid.header) - 1) > width:
        grid = grid.stacked()
    least = _least(grid)
    start = sum(least[: grid.words]) + GAP * (grid.words - 1)
    parts: list[list[int]] = []
    used = 0
    for i in range(grid.words, len(least)):
        used += GAP + least[i]
        if not parts or used > width:
            parts.append([])
            used = start + GAP + least[i]
        parts[-1].append(i)
    return [grid.only(part) for part in parts or [[]]]


def _least(grid: Grid) -> list[int]:
    """The smallest width of each column in characters: full width for numbers, at most `FOLD` for words."""
    from rich.cells import cell_len

    rows = [row for section in grid.sections for row in section]
    widths = [max([cell_len(title), *(cell_len(row[i].text) for row in rows)]) for i, title in enumerate(grid.header)]
    return [min(width, FOLD) if i < grid.words else width for i, width in enumerate(widths)]


def _table(grid: Grid) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for i, title in enumerate(grid.header):
        number = i >= grid.words
        table.add_column(Text(title), justify="right" if number else "left", no_wrap=number, overflow="fold")
    for section in grid.sections:
        for row in _blanked(section, grid.words):
            table.add_row(*(Text(cell.text, "bold" if cell.best else "") for cell in row))
        table.add_section()
    return table


def to_markdown(grid: Grid) -> str:
    """The grid as Markdown with aligned source; ends with a newline."""
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


def to_html(grid: Grid) -> str:
    """The grid as an HTML table for notebooks: the best of a column bold; caption and notes below."""
    from html import escape

    def cell(text: str, place: int, tag: str = "td", best: bool = False) -> str:
        side = "left" if place < grid.words else "right"
        return f'<{tag} style="text-align:{side}">{f"<b>{escape(text)}</b>" if best else escape(text)}</{tag}>'

    def line(row: Sequence[Cell]) -> str:
        return "<tr>" + "".join(cell(one.text, place, best=one.best) for place, one in enumerate(row)) + "</tr>"

    head = "".join(cell(title, place, "th") for place, title in enumerate(grid.header))
    bodies = "".join(f"<tbody>{''.join(line(row) for row in section)}</tbody>" for section in grid.sections)
    below = "".join(f"<div>{escape(text)}</div>" for text in (grid.caption, *grid.notes) if text)
    return f"<div><b>{escape(grid.head)}</b></div><table><thead><tr>{head}</tr></thead>{bodies}</table>{below}"


def to_latex(*grids: Grid) -> str:
    """One `table` with booktabs or `longtable` per grid, escaped; the first line names the required packages."""
    packages = ["booktabs", *(["longtable"] if any(grid.long for grid in grids) else [])]
    lines = [f"% needs \\usepackage{{{','.join(packages)}}}"]
    for grid in grids:
        lines += ["", *(_longtable(grid) if grid.long else _float(grid))]
    return "\n".join(lines) + "\n"


def _float(grid: Grid) -> Iterator[str]:
    yield from (r"\begin{table}", r"\centering", _caption(grid), rf"\begin{{tabular}}{{{_columns(grid)}}}", r"\toprule")
    yield _line(map(latex, grid.header))
    for section in grid.sections:
        yield r"\midrule"
        yield from (_line(map(_latex_cell, row)) for row in _blanked(section, grid.words))
    yield from (r"\bottomrule", r"\end{tabular}", *_notes(grid), r"\end{table}")


def _longtable(grid: Grid) -> Iterator[str]:
    """The grid as a `longtable` with one column of words, because a page is narrow."""
    count = len(grid.header) - grid.words + 1
    narrow = replace(grid, header=(" / ".join(grid.header[: grid.words]), *grid.header[grid.words :]), words=1)
    header = _line(map(latex, narrow.header))
    yield from (r"\begingroup\small", rf"\begin{{longtable}}{{{_columns(narrow)}}}", _caption(grid) + r" \\")
    yield from (r"\toprule", header, r"\midrule", r"\endfirsthead", r"\toprule", header, r"\midrule", r"\endhead")
    yield from (r"\bottomrule", r"\endfoot")
    for number, section in enumerate(grid.sections):
        if number:
            yield r"\addlinespace"
        for heading, new, row in _headed(section, grid.words):
            if new:
                yield rf"\multicolumn{{{count}}}{{l}}{{{latex(heading)}}} \\*"
            yield (r"\quad " if heading else "") + _line(map(_latex_cell, row))
    yield from (r"\end{longtable}", *_notes(grid), r"\endgroup")


def _caption(grid: Grid) -> str:
    return rf"\caption{{{latex(' '.join([grid.head.rstrip('.') + '.', grid.caption]).strip())}}}"


def _columns(grid: Grid) -> str:
    return "l" * grid.words + "r" * (len(grid.header) - grid.words)


def _line(cells: Iterator[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell) -> str:
    return rf"\textbf{{{latex(cell.text)}}}" if cell.best else latex(cell.text)


def _notes(grid: Grid) -> Iterator[str]:
    if grid.notes:
        notes = r" \\ ".join(latex(note) for note in grid.notes)
        yield rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {notes}}}"


#: LaTeX for characters that are common in tables; includes `[`, which would start a length after `\\`.
_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "−": "$-$", "×": r"$\times$",
    "→": r"$\rightarrow$", "·": r"$\cdot$", "–": "--", "²": r"\textsuperscript{2}", "³": r"\textsuperscript{3}",
    "[": "{[}", "]": "{]}",
}  # fmt: skip


def latex(text: str) -> str:
    """Escape text for LaTeX; Greek letters, signs and accents become commands."""
    return _encoder().unicode_to_latex(text)


@cache
def _encoder() -> Any:
    from pylatexenc.latexencode import RULE_DICT, UnicodeToLatexConversionRule, UnicodeToLatexEncoder

    own = UnicodeToLatexConversionRule(RULE_DICT, {ord(letter): said for letter, said in _LATEX.items()})
    return UnicodeToLatexEncoder(
        conversion_rules=[own, "defaults"], unknown_char_policy="keep", unknown_char_warning=False
    )


def _headed(section: Sequence[tuple[Cell, ...]], words: int) -> Iterator[tuple[str, bool, tuple[Cell, ...]]]:
    """For each row: the words left of its last word, whether they differ from the row above, and the other cells."""
    above = ""
    for row in section:
        heading = ", ".join(cell.text for cell in row[: words - 1] if cell.text != "–")
        yield heading, bool(heading) and heading != above, row[words - 1 :]
        above = heading


def _blanked(section: Sequence[tuple[Cell, ...]], words: int) -> list[tuple[Cell, ...]]:
    """The rows with leading words blanked if they equal those of the row above; the last word is always kept."""
    rows = []
    above: tuple[Cell, ...] = ()
    for row in section:
        same = 0
        while same < words - 1 and above and row[same].text == above[same].text:
            same += 1
        rows.append((*(Cell("") for _ in range(same)), *row[same:]))
        above = row
    return rows
