"""Tracking: the run's own journal, and uploads from the run folder to MLflow, during training or later."""

from gantk.tracking.environment import environment
from gantk.tracking.feeder import Feeder, sync
from gantk.tracking.journal import Journal

__all__ = ["Feeder", "Journal", "environment", "sync"]
