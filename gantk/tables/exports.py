"""Tables as JSON-like data and as CSV."""

from __future__ import annotations

import csv
import io
import math

from gantk.tables.model import Table

__all__ = ["to_csv", "to_dict"]


def to_dict(table: Table) -> dict[str, object]:
    """The table as JSON-like data; missing numbers are null."""
    tests = table.significance
    return {
        "title": table.title,
        "comparable": not table.differences,
        "differences": list(table.differences),
        "metrics": {name: column.to_dict() for name, column in table.columns.items()},
        "spread": table.spread,
        "caption": table.caption,
        "notes": list(table.notes),
        "rows": [
            {
                "title": row.title,
                "label": row.label,
                "method": row.method,
                "changes": row.changes,
                "baseline": row.baseline,
                "seeds": list(row.seeds),
                "by_seed": {
                    str(seed): {name: mean if math.isfinite(mean) else None for name, mean in means.items()}
                    for seed, means in row.by_run.items()
                },
                "runs": [folder.name for folder in row.folders],
                "best": [name for name in table.columns if name in row.best],
                "unbeaten": [name for name in table.columns if name in row.unbeaten],
                "values": {name: value.to_dict() for name, value in row.values.items()},
            }
            for row in table.rows
        ],
        "significance": tests
        and {
            "reference": tests.reference,
            "caption": tests.caption,
            "notes": list(tests.notes),
            "rows": [
                {
                    "title": row.title,
                    "changes": row.changes,
                    "reference": {"title": other.title, "changes": other.changes},
                    "values": {name: found.to_dict() for name, found in by_column.items()},
                }
                for row, other, by_column in tests.lines
            ],
        },
    }


def to_csv(table: Table) -> str:
    """The table as CSV, one line per row in full precision: `NAME_mean`, `NAME_std`, `NAME_n` per column.

    `n` is the number of seeds or patients in the deviation (`std_over`). With a reference, the columns
    `NAME_difference`, `NAME_low`, `NAME_high`, `NAME_p`, `NAME_p_holm` and `NAME_patients` follow, empty if a row was
    not compared.
    """
    tests = {row: by_column for row, _, by_column in table.significance.lines} if table.significance else {}
    tested = ("difference", "low", "high", "p", "p_holm", "patients") if table.significance else ()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ("title", "label", "method", "baseline", "comparable", "seeds", "std_over")
    parts = ("mean", "std", "n", *tested)
    writer.writerow([*table.keys, *head, *(f"{name}_{part}" for name in table.columns for part in parts)])
    comparable = "no" if table.differences else "yes"
    for row in table.rows:
        cells: list[object] = [row.changes.get(key, "") for key in table.keys]
        cells += [row.title, row.label, row.method, "yes" if row.baseline else "no", comparable]
        cells += [" ".join(map(str, row.seeds)), table.spread]
        for name in table.columns:
            value = row.values[name]
            cells += [_exact(value.mean), _exact(value.std), value.n]
            found = tests.get(row, {}).get(name)
            if found:
                cells += [*map(_exact, (found.mean, found.low, found.high, found.p, found.holm)), found.n]
            else:
                cells += [""] * len(tested)
        writer.writerow(cells)
    return out.getvalue()


def _exact(value: float | None) -> str:
    return repr(float(value)) if value is not None and math.isfinite(value) else ""
