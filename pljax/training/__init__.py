"""Training: the step, the loops over epochs and phases, the axis of seeds, checkpoints."""
