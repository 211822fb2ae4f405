"""A recipe of three variants over a grid, and the two recipes that they extend."""

from __future__ import annotations

__all__ = ["BASE", "OTHER", "SWEEP"]

BASE = """\
name = "base"
predict = "a"

[data]
dataset = "phantom"
inputs = ["t1", "t2"]
target = "t1ce"

[translators.a]
generator = { use = "resnet", channels = 8 }

[translators.b]
like = "a"

[maps.edges]
use = "edges"

[losses.pixelwise]
use = "l1"
on = "a"
map = "edges"
weight = 100

[losses.structure]
use = "ssim"
on = "b"

[schedule]
use = "linear_decay"
epochs = 20
"""
OTHER = BASE.replace('name = "base"', 'name = "other"').replace("weight = 100", "weight = 7")
SWEEP = """\
extends = "base.toml"
name = "table"
description = "a table"

[evaluation]
batch = 3

[variants.full]
label = "Full method"
report = ["a", "b"]

[variants.no-map]
"maps.edges.enabled" = false

[variants.other]
extends = "other.toml"
without = ["losses.structure"]
"translators.a.generator.channels" = 16
sweep = { "data.paired_fraction" = [1.0] }

[sweep]
"data.paired_fraction" = [0.05, 0.5]
"run.seed" = [0, 1]
"""
