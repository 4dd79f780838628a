"""Finished runs: the files of a run's folder, the result, and the trained networks."""
