"""Statistics of runs, and comparisons of runs paired by seed."""
