"""Tables as text: in terminals of any width, and as LaTeX that fits a page."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from gantk.tables.grids import Cell, Grid, fitted, latex, to_html, to_latex, to_markdown, to_rich

NUMBERS = ("0.8947 ± 0.0012", "25.28 ± 0.88", "0.004079 ± 0.001160", "0.8102 ± 0.1149")
METRICS = ("SSIM ↑", "PSNR ↑", "MSE tumour ↓", "Dice ↑")
LABELS = ("without the feature distillation", "a_name_that_is_long_and_does_not_break", "short")


def grid(words: tuple[str, ...] = ("paired fraction", "method"), **more) -> Grid:
    """Three rows: one without a fraction, two of 5 %."""
    lefts = (("–", LABELS[0]), ("5 %", LABELS[1]), ("5 %", LABELS[2]))
    rows = [tuple(map(Cell, (*left[-len(words) :], *NUMBERS))) for left in lefts]
    return Grid("a title", (*words, *METRICS), (tuple(rows[:1]), tuple(rows[1:])), words=len(words), **more)


def terminal(shown: Grid, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None, force_terminal=True)
    console.print(to_rich(shown))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("words", [("method",), ("paired fraction", "method")])
@pytest.mark.parametrize("width", [36, 48, 60, 72, 80, 100, 120, 160])
def test_no_terminal_cuts_a_number(words, width):
    lines = terminal(grid(words), width)
    text = "\n".join(lines)
    assert "…" not in text
    assert max(map(cell_len, lines)) <= width
    for number, metric in zip(NUMBERS, METRICS, strict=True):
        assert text.count(number) == 3
        assert metric in text
    assert "short" in text


@pytest.mark.parametrize("width", range(40, 130, 7))
def test_fitted_keeps_every_column_once_and_in_order(width):
    parts = fitted(grid(), width)
    assert [title for part in parts for title in part.header[part.words :]] == list(METRICS)
    assert all(len(row) == len(part.header) for part in parts for section in part.sections for row in section)
    assert len(parts) > 1 or width > 80
    assert len(fitted(grid(), 200)) == 1


def test_words_share_a_column_before_numbers_are_parted():
    (one,) = fitted(grid(), 90)
    assert one.header == ("paired fraction / method", *METRICS)
    first = [row[0].text for section in one.sections for row in section]
    assert first == [LABELS[0], "5 %", f"  {LABELS[1]}", f"  {LABELS[2]}"]
    assert [cell.text for cell in one.sections[1][0][1:]] == [""] * 4


def test_caption_and_notes_stand_below_once():
    text = "\n".join(terminal(grid(caption="what it is", notes=("odd",)), 60))
    assert text.count("what it is") == text.count("· odd") == text.count("a title") == 1


def test_a_long_table_is_a_longtable():
    text = to_latex(grid(), grid(long=True, notes=("a: few",)))
    assert text.splitlines()[0] == r"% needs \usepackage{booktabs,longtable}"
    assert text.count(r"\begin{table}") == text.count(r"\begin{longtable}{lrrrr}") == 1
    long = text[text.index(r"\begin{longtable}") : text.index(r"\end{longtable}")]
    assert long.count("paired fraction / method & SSIM") == 2  # on the first page and on the others
    assert long.index(r"\endfirsthead") < long.index(r"\endhead") < long.index(r"\endfoot")
    assert long.count(r"\multicolumn{5}{l}{5 \%} \\*") == 1
    assert long.count(r"\quad ") == 2
    assert "a: few" in text
    assert "longtable" not in to_latex(grid()).splitlines()[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("λ = 10", r"\ensuremath{\lambda} = 10"),
        ("≤ 5 × α²", r"\ensuremath{\leq} 5 $\times$ \ensuremath{\alpha}\textsuperscript{2}"),
        ("L₁ → café", r"L\ensuremath{_1} $\rightarrow$ caf\'e"),
        (
            r"50 % & a_b {c} #1 $x ~ ^ \d",
            r"50 \% \& a\_b \{c\} \#1 \$x \textasciitilde{} \textasciicircum{} \textbackslash{}d",
        ),
    ],
)
def test_signs_become_commands(text, said):
    assert latex(text) == said
    assert latex(text).isascii()


def test_html_holds_every_cell_and_runs_nothing() -> None:
    section = ((Cell("<script>"), Cell("0.9", best=True)), (Cell("other"), Cell("0.8")))
    page = to_html(Grid("A & B", ("method", "SSIM ↑"), (section,), caption="2 patients", notes=("a < b",)))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>0.9</b>" in page
    assert "<b>0.8</b>" not in page
    assert "<b>A &amp; B</b>" in page
    assert page.endswith("<div>2 patients</div><div>a &lt; b</div>")
    assert page.index("SSIM ↑") < page.index("0.9") < page.index("0.8")


def test_markdown_and_latex_escape():
    grid = Grid("a_b", ("x|y", "n"), (((Cell("50 % & *a_b* [c] <b>"), Cell("−1 ± 2", True)),),), notes=("$1 #2 {3}",))
    markdown = to_markdown(grid)
    assert r"x\|y" in markdown
    assert r"50 % & \*a\_b\* [c] \<b>" in markdown
    assert "**−1 ± 2**" in markdown
    latex = to_latex(grid)
    assert r"50 \% \& *a\_b* {[}c{]} \textless{}b\textgreater{}" in latex
    assert r"\textbf{$-$1 $\pm$ 2}" in latex
    assert r"\$1 \#2 \{3\}" in latex
    assert r"\caption{a\_b.}" in latex
