"""Data sets: MNIST, tables, arrays and pictures; scaling, the labelled split, and mini-batches."""
