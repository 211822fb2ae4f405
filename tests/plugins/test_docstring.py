"""Docstrings in parts."""

from __future__ import annotations

from gantk.plugins.docstring import parse


def test_a_docstring_in_parts() -> None:
    doc = parse(
        "Sum of\nall: L = Σ x (Who et al., 2017, eq. 3).\n\nMore\nof it.\n\nSource: a code.\n\n"
        "Args:\n    a: the first\n        thing.\n    b: B.\n\nRaises:\n    ValueError: never."
    )
    assert doc.summary == "Sum of all: L = Σ x (Who et al., 2017, eq. 3)."
    assert doc.description == "More of it.\n\nSource: a code."
    assert doc.arguments == {"a": "the first thing.", "b": "B."}
    assert doc.sources == ["Who et al., 2017, eq. 3", "a code"]
    assert doc.equations == ["L = Σ x (Who et al., 2017, eq. 3)"]
