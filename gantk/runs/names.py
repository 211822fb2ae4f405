"""Names of the files and folders in a run's folder."""

from __future__ import annotations

RECIPE = "recipe.toml"
STATUS = "status.json"
ENVIRONMENT = "environment.json"
SPLIT = "split.csv"
JOURNAL = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
EVALUATION = "evaluation"
REPORT = "report.html"
#: The MLflow model, if `tracking.model` requests one.
MODEL = "model"
TRACKING = "tracking.json"
#: In a sweep's folder.
SWEEP = "sweep.json"
CHILDREN = "children"
TABLE = "table.md"
#: In the folder of a sweep's child.
CHILD = "child.json"
