"""Tracking: the run's own journal, and MLflow fed from the run folder, beside the training or later."""

from gantk.tracking.environment import environment
from gantk.tracking.feeder import Feeder, sync
from gantk.tracking.journal import Journal

__all__ = ["Feeder", "Journal", "environment", "sync"]
