"""Several processes with the seeds of one run: real ones, on this machine."""

import json
import os
import socket
import subprocess
import sys

import pytest

from pljax.training import processes
from pljax.types import InputError

RUN = ("--dataset=mnist_5k", "--scenario=nn,pl", "--hidden=8", "--epochs=3", "--t1=1", "--t2=2", "--backend=cpu")
# The processes of a test compile as the tests do, but for the number of devices.
FLAGS = os.environ["XLA_FLAGS"].replace("--xla_force_host_platform_device_count=2", "")


def start(workdir, *flags, devices=1):
    environment = {**os.environ, "XLA_FLAGS": f"{FLAGS} --xla_force_host_platform_device_count={devices}"}
    return subprocess.Popen(
        [sys.executable, "-m", "pljax.main", *RUN, f"--workdir={workdir}", *flags],
        env=environment,
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
    folders = (workdir / f"quick-{scenario}-mnist_5k-{seeds}-hidden=8-epochs=3-t1=1-t2=2" for scenario in ("nn", "pl"))
    return [json.loads((folder / "result.json").read_text()) for folder in folders]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The results of three seeds on one device of one process."""
    workdir = tmp_path_factory.mktemp("alone")
    finish(start(workdir, "--seeds=3"))
    return results(workdir, "seeds0to2")


def test_two_processes_give_what_one_gives_and_the_first_tells_it(alone, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = ("--seeds=3", "--checkpoint_every=1epochs", f"--coordinator=localhost:{port}", "--num_processes=2")
    both = [start(tmp_path, *flags, f"--process_id={process}") for process in range(2)]
    told = [finish(process) for process in both]
    assert "3 seeds" in told[0]
    assert "report:" in told[0]
    assert told[1] == ""
    for joined, expected in zip(results(tmp_path, "seeds0to2"), alone, strict=True):
        assert {**joined, "seconds": 0} == {**expected, "seconds": 0}
    shares = results(tmp_path, "seeds0to1") + results(tmp_path, "seed2")
    assert [result["seeds"] for result in shares] == [[0, 1], [0, 1], [2], [2]]


def test_eight_devices_give_the_accuracies_of_one(alone, tmp_path):
    finish(start(tmp_path, "--seeds=3", devices=8))
    for result, expected in zip(results(tmp_path, "seeds0to2"), alone, strict=True):
        assert result["device"]["count"] == 8
        assert result["test_accuracy"] == pytest.approx(expected["test_accuracy"], abs=0.01)


def test_shares_are_even_and_in_order():
    assert processes.shares(range(7), 3) == [[0, 1, 2], [3, 4], [5, 6]]
    assert processes.shares([4], 1) == [[4]]
    with pytest.raises(InputError, match="3 processes are too many for 2 seeds"):
        processes.shares([0, 1], 3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((None, 2, None), "need a --coordinator"),
        ((None, None, 0), "need a --coordinator"),
        (("banana", 2, 0), "'banana'"),
        (("localhost:1", None, 0), "needs --num_processes"),
        (("localhost:1", 2, 2), "from 0 to one less"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, told):
    with pytest.raises(InputError, match=told):
        processes.connect(*arguments)


def test_without_a_coordinator_there_is_one_process():
    processes.connect(None, None, None)
    assert processes.is_coordinator()
