"""Training: stages, the update, the engine, checkpoints."""
