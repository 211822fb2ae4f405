"""What the files of a run's folder are called."""

from __future__ import annotations

RECIPE = "recipe.toml"
STATUS = "status.json"
ENVIRONMENT = "environment.json"
SPLIT = "split.csv"
JOURNAL = "metrics.jsonl"
SWEEP = "sweep.json"
