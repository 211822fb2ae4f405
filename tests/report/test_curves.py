"""Curves from a journal."""

import math
import re

import numpy as np

from gantk.report.curves import Chart, draw_chart, gather


def record(step: int, stage: str, **metrics: float) -> dict:
    return {"step": step, "stage": stage, "metrics": {k.replace("__", "/"): v for k, v in metrics.items()}}


RECORDS = [
    record(0, "one", train__teacher__pixelwise=3.0, train__teacher__gan=1.0, rate__teacher__generator=1e-4),
    record(5, "one", train__teacher__pixelwise=2.0, validation__teacher__ssim=0.5),
    record(5, "one", train__teacher__pixelwise=2.5),
    record(9, "two", train__student__gan=math.nan, validation__student__ssim=0.6, seconds=1.0),
]


def test_grouping():
    curves = gather(RECORDS)
    assert curves.stages == [(0, "one"), (9, "two")]
    found = {
        (section, chart.title): list(chart.series) for section, charts in curves.sections.items() for chart in charts
    }
    assert found == {
        ("losses", "teacher"): ["pixelwise", "gan"],
        ("rates", "teacher"): ["generator"],
        ("validation", "ssim"): ["teacher", "student"],
        ("seconds", ""): [""],
    }
    steps, values = curves.sections["losses"][0].series["pixelwise"]
    assert (steps.tolist(), values.tolist()) == ([0, 5], [3.0, 2.5])


def test_nothing_to_draw():
    assert gather([]).sections == {}


def test_svg_is_for_a_page():
    steps = np.arange(2000)
    chart = Chart('a "b" <c>', {"<x>": (steps, 1 / (1.0 + steps)), "y": (steps, steps * 0 + 0.5)}, True)
    svg = draw_chart(chart, [(0, "one"), (700, "two <&>")], salt="s")
    assert svg.startswith('<svg role="img" aria-label="a &quot;b&quot; &lt;c>"')
    assert "http" not in svg
    assert "currentColor" in svg
    assert "two &lt;&amp;&gt;" in svg
    assert "&lt;x&gt;" in svg
    assert len(svg) < 120_000
    assert draw_chart(chart, [(0, "one"), (700, "two <&>")], salt="s") == svg
    ids = [set(re.findall(r'id="((?:m|p)[0-9a-f]{10})"', draw_chart(chart, salt=salt))) for salt in "st"]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_one_point():
    assert "<svg" in draw_chart(Chart("x", {"y": (np.array([3]), np.array([0.0]))}), [(0, "one")])


def test_one_term_does_not_hide_the_others() -> None:
    """Negative values need a linear axis; a logarithmic axis shows all magnitudes."""
    names = {"patchwise": 400.0, "pixelwise": 0.5, "gan": -0.2}
    records = [record(step, "one", **{f"train__student__{n}": v for n, v in names.items()}) for step in range(3)]
    charts = gather(records).sections["losses"]
    assert [(chart.title, list(chart.series)) for chart in charts] == [
        ("student: patchwise", ["patchwise"]),
        ("student: pixelwise, gan", ["pixelwise", "gan"]),
    ]
    positive = [record(step, "one", train__student__patchwise=400.0, train__student__gan=0.2) for step in range(3)]
    (chart,) = gather(positive).sections["losses"]
    assert (chart.title, chart.logarithmic) == ("student", True)
