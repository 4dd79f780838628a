"""A process that is forked after JAX has started is refused in one sentence, where it would hang."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")

# What the forked process does, with what it printed: a fit, a prediction and a run.
IN_A_FORK = """
import os, sys, warnings
import numpy as np
warnings.simplefilter("ignore", RuntimeWarning)  # JAX warns of every fork
from pljax import SCENARIOS, Dataset, PseudoLabelClassifier, RunFolder, run
from pljax.settings import override

def attempt(name, function):
    try:
        function()
        print(name, "worked", flush=True)
    except RuntimeError as error:
        print(name, error, flush=True)

def forked(*attempts):
    child = os.fork()
    if not child:
        for name, function in attempts:
            attempt(name, function)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
y = np.arange(20) % 2
config, _ = override(SCENARIOS["quick"]["nn"], {"labels": 4, "validation": 0, "hidden": (4,), "epochs": 1})
pixels = Dataset("pixels", 2, (X > 0).astype(np.uint8), y.astype(np.int32), X[:0] > 0, y[:0].astype(np.int32))
classifier = PseudoLabelClassifier("nn", hidden=4, epochs=1, random_state=0)
fit = ("fit", lambda: classifier.fit(X, y))
forked(fit)
attempt(*fit)
trial = ("run", lambda: run(config, [0], pixels, RunFolder(sys.argv[1])))
forked(fit, ("predict", lambda: classifier.predict(X)), trial)
attempt("predict", lambda: classifier.predict(X))
"""


@pytest.mark.slow
def test_a_fork_after_a_fit_is_told_what_to_use_and_one_before_it_works(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FORK, tmp_path / "run"], capture_output=True, text=True, timeout=120, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[:2] == ["fit worked", "fit worked"]
    assert lines[-1] == "predict worked"
    assert [line.partition(" ")[0] for line in lines[2:-1]] == ["fit", "predict", "run"]
    for line in lines[2:-1]:
        assert "forked after JAX had started" in line
        assert "'spawn' or 'forkserver'" in line
        assert "loky" in line
