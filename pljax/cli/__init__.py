"""What the four commands share: their frame, and the flags for reading own data."""
