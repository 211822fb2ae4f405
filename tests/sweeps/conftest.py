"""Tiny runs in processes of their own."""

from tiny_runs import (  # noqa: F401  fixtures
    cohort,
    make_patient,
    make_volume,
    options,
    own_recipe,
    patients,
    recipe,
    server,
    surroundings,
    uninterrupted,
)
