"""Rows that the tests of the classifier share."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs


@pytest.fixture(scope="module")
def rows():
    """Four classes far apart; every tenth row is labelled."""
    X, y = make_blobs(200, n_features=5, centers=4, cluster_std=0.6, random_state=1)
    return X, y, np.where(np.arange(200) % 10 == 0, y, -1)
