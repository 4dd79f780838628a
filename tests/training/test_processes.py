"""Several processes share the seeds of one run: two real ones, on this machine."""

import json
import os
import socket
import subprocess
import sys

import jax
import pytest
from tiny_runs import write_table

from pljax.main import main
from pljax.training import processes
from pljax.types import InputError

# The processes compile as the tests do, but for the number of devices.
FLAGS = os.environ["XLA_FLAGS"].replace("--xla_force_host_platform_device_count=2", "")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """A run of three seeds on a small table."""
    place = tmp_path_factory.mktemp("data")
    table, test = write_table(place / "rows.csv"), write_table(place / "test.csv", count=30, known=30, seed=1)
    return (
        *(f"--dataset={table}", f"--test={test}", "--scenario=nn,pl", "--seeds=3", "--backend=cpu"),
        *("--hidden=8", "--epochs=3", "--t1=1", "--t2=2"),
    )


def start(workdir, *flags):
    return subprocess.Popen(
        [sys.executable, "-m", "pljax.main", *flags, f"--workdir={workdir}"],
        env={**os.environ, "XLA_FLAGS": FLAGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out


def results(workdir, seeds):
    found = [next(workdir.glob(f"*-{scenario}-*-{seeds}-*")) for scenario in ("nn", "pl")]
    return [json.loads((folder / "result.json").read_text()) for folder in found]


def test_two_processes_give_what_one_gives_and_the_first_one_prints_it(options, tmp_path, monkeypatch):
    one_device = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: one_device)
    assert main([*options, f"--workdir={tmp_path / 'one'}"]) == 0
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = (*options, "--checkpoint_every=1epochs", f"--coordinator=localhost:{port}", "--num_processes=2")
    with (
        start(tmp_path / "two", *flags, "--process_id=0") as first,
        start(tmp_path / "two", *flags, "--process_id=1") as second,
    ):
        printed = [finish(first), finish(second)]
    assert "3 seeds" in printed[0]
    assert "report:" in printed[0]
    assert printed[1] == ""
    for joined, expected in zip(
        results(tmp_path / "two", "seeds0to2"), results(tmp_path / "one", "seeds0to2"), strict=True
    ):
        assert {**joined, "seconds": 0} == {**expected, "seconds": 0}
    shares = results(tmp_path / "two", "seeds0to1") + results(tmp_path / "two", "seed2")
    assert [result["seeds"] for result in shares] == [[0, 1], [0, 1], [2], [2]]


def test_shares_are_even_and_in_order():
    assert processes.shares(range(7), 3) == [[0, 1, 2], [3, 4], [5, 6]]
    assert processes.shares([4], 1) == [[4]]
    with pytest.raises(InputError, match="3 processes are too many for 2 seeds"):
        processes.shares([0, 1], 3)


def test_arguments_that_do_not_fit_together_are_refused():
    for arguments, message in (
        ((None, 2, None), "need a --coordinator"),
        ((None, None, 0), "need a --coordinator"),
        (("banana", 2, 0), "'banana'"),
        (("localhost:1", None, 0), "needs --num_processes"),
        (("localhost:1", 2, 2), "from 0 to one less"),
    ):
        with pytest.raises(InputError, match=message):
            processes.connect(*arguments)


def test_without_a_coordinator_there_is_one_process():
    processes.connect(None, None, None)
    assert processes.is_coordinator()
