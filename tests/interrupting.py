"""A reporter that ends a run early, as a signal does."""

import io
import itertools

from pljax import Reporter


class StopsAfter(Reporter):
    """Asks for an end after some rounds, as a signal would."""

    def __init__(self, rounds):
        super().__init__(io.StringIO())
        self._left = itertools.count(rounds, -1)

    def round(self, done, metrics):
        super().round(done, metrics)
        if next(self._left) == 1:
            self.signal_received = 2
