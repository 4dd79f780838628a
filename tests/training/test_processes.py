"""Several processes share the seeds of one run: two real ones, on this machine."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import jax
import pytest
from tiny_runs import write_table

from pljax.main import main
from pljax.training import processes
from pljax.training.processes import ProcessEnded, connect
from pljax.types import InputError

# The processes compile as the tests do, but for the number of devices.
FLAGS = os.environ["XLA_FLAGS"].replace("--xla_force_host_platform_device_count=2", "")


# What a process still does after another one has ended: seconds, where all of them used to wait for minutes.
SOON = 15


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """A run of three seeds on a small table."""
    place = tmp_path_factory.mktemp("data")
    table, test = write_table(place / "rows.csv"), write_table(place / "test.csv", count=30, known=30, seed=1)
    return (
        *(f"--dataset={table}", f"--test={test}", "--scenario=nn,pl", "--seeds=3", "--backend=cpu"),
        *("--hidden=8", "--epochs=3", "--t1=1", "--t2=2"),
    )


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


@contextlib.contextmanager
def started(workdir, index, address, *flags, count=2):
    flags = (*flags, f"--coordinator={address}", f"--num_processes={count}", f"--process_id={index}")
    with subprocess.Popen(
        [sys.executable, "-m", "pljax.main", *flags, f"--workdir={workdir}"],
        env={**os.environ, "XLA_FLAGS": FLAGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process, status=0):
    out, err = process.communicate(timeout=240)
    assert process.returncode == status, err
    assert "Traceback" not in err
    return out, err


def results(workdir, seeds):
    found = [next(workdir.glob(f"*-{scenario}-*-{seeds}-*")) for scenario in ("nn", "pl")]
    return [json.loads((folder / "result.json").read_text()) for folder in found]


def wait_for(condition, process):
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_processes_give_what_one_gives_and_the_first_one_prints_it(options, address, tmp_path, monkeypatch):
    one_device = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: one_device)
    assert main([*options, f"--workdir={tmp_path / 'one'}"]) == 0
    both, flags = tmp_path / "two", (*options, "--checkpoint_every=1epochs")
    with started(both, 0, address, *flags) as first, started(both, 1, address, *flags) as second:
        printed = [finish(first)[0], finish(second)[0]]
    assert "3 seeds" in printed[0]
    assert "report:" in printed[0]
    assert printed[1] == ""
    for joined, expected in zip(results(both, "seeds0to2"), results(tmp_path / "one", "seeds0to2"), strict=True):
        assert {**joined, "seconds": 0} == {**expected, "seconds": 0}
    shares = results(both, "seeds0to1") + results(both, "seed2")
    assert [result["seeds"] for result in shares] == [[0, 1], [0, 1], [2], [2]]


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_first_process_and_what_that_has_finished_is_kept(options, address, tmp_path):
    """The first process finds its share finished, and waits for the worker."""
    assert main([*options, "--scenario=pl", "--seeds=2", f"--workdir={tmp_path}"]) == 0
    finished = next(tmp_path.glob("*-pl-*-seeds0to1-*"))
    before = (finished / "result.json").read_bytes()
    flags = (*options, "--scenario=pl", "--checkpoint_every=1s")
    with (
        started(tmp_path, 0, address, *flags) as first,
        started(tmp_path, 1, address, *flags) as worker,
    ):
        wait_for(lambda: list(tmp_path.glob("*-seed2-*/run.json")), worker)
        worker.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        assert worker.wait() == -signal.SIGKILL
        _, err = finish(first, status=1)
        assert time.monotonic() - killed < SOON
    (sentence,) = [line for line in err.splitlines() if line.startswith("pljax: ")]
    assert "Process 1 of 2 has ended without the result in " in sentence
    assert "seed2" in sentence
    assert (finished / "result.json").read_bytes() == before


@pytest.mark.slow
def test_a_first_process_that_is_killed_leaves_the_worker_to_finish_its_share(options, address, tmp_path):
    flags = (*options, "--scenario=pl", "--epochs=400", "--checkpoint_every=1s")
    with started(tmp_path, 0, address, *flags) as first, started(tmp_path, 1, address, *flags) as worker:
        wait_for(lambda: list(tmp_path.glob("*-seed2-*/run.json")), worker)
        first.send_signal(signal.SIGKILL)
        _, err = finish(worker, status=1)
    (sentence,) = [line for line in err.splitlines() if line.startswith("pljax: ")]
    assert "The first process of the run has ended and cannot join the results" in sentence
    assert next(tmp_path.glob("*-seed2-*/result.json")).exists()


@pytest.mark.parametrize(
    ("wrong", "statuses", "sentence"),
    [
        ("--epochs=4", (2, 2), "--epochs is 3 in process 0 and 4 in process 1: give all processes of a run the same."),
        pytest.param(
            *("--backend=abacus", (1, 2), "Process 1 of 2 has ended without the result in "), marks=pytest.mark.slow
        ),
    ],
)
def test_a_wrong_flag_in_one_process_ends_both(options, address, tmp_path, wrong, statuses, sentence):
    begun = time.monotonic()
    with (
        started(tmp_path, 0, address, *options, "--scenario=pl") as first,
        started(tmp_path, 1, address, *options, "--scenario=pl", wrong) as worker,
    ):
        _, of_worker = finish(worker, statuses[1])
        _, err = finish(first, statuses[0])
        assert time.monotonic() - begun < 4 * SOON
    assert sentence in err
    assert len([line for line in of_worker.splitlines() if line.startswith("pljax: ")]) == 1


# ------------------------------------------------------------------------------------- connections alone


class Member(threading.Thread):
    """A process of a run, played by a thread: what :func:`connect` gave or raised, and a way to let it end."""

    def __init__(self, address, index, count, flags=None):
        super().__init__(daemon=True)
        self.arguments = (address, count, index, flags or {"epochs": 3}, lambda _: None)
        self.met, self.leave = threading.Event(), threading.Event()
        self.processes = self.error = None
        self.start()

    def run(self):
        try:
            with connect(*self.arguments) as self.processes:
                self.met.set()
                self.leave.wait(60)
        except (InputError, ProcessEnded) as error:
            self.error = error
            self.met.set()

    def result(self):
        assert self.met.wait(60)
        return self.processes

    def end(self):
        self.leave.set()
        self.join(60)


def test_a_process_sees_which_others_have_ended(address):
    members = [Member(address, index, 3) for index in (2, 0, 1)]
    second, first, other = (member.result() for member in members)
    assert [(of.index, of.count) for of in (first, other, second)] == [(0, 3), (1, 3), (2, 3)]
    assert not any(first.has_ended(index) for index in (1, 2))
    assert not other.has_ended(0)
    other.require_first()
    members[0].end()
    assert first.has_ended(2)
    assert not first.has_ended(1)
    members[1].end()
    with pytest.raises(ProcessEnded, match="cannot join the results"):
        other.require_first()
    members[2].end()


class Folder:
    def __init__(self, path, finished):
        self.path, self.finished = path, finished


def test_the_first_process_waits_for_results_and_not_for_processes_that_have_delivered(address, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.5)
    members = [Member(address, index, 3) for index in range(3)]
    first, *_ = [member.result() for member in members]
    runs = [[Folder(tmp_path / str(index), finished=index < 2)] for index in range(3)]
    members[1].end()  # with its result
    waiting = threading.Thread(target=first.wait_for, args=(runs,), daemon=True)
    waiting.start()
    waiting.join(1.0)
    assert waiting.is_alive()  # for process 2, which runs
    runs[2][0].finished = True
    waiting.join(30)
    assert not waiting.is_alive()
    runs[2][0].finished = False
    members[2].end()
    threading.Timer(0.2, lambda: setattr(runs[2][0], "finished", True)).start()
    first.wait_for(runs)  # a file that is seen a little after the end of its process
    runs[2].append(Folder(tmp_path / "other scenario", finished=False))
    with pytest.raises(ProcessEnded, match=r"Process 2 of 3 has ended without the result in .*other scenario"):
        first.wait_for(runs)
    members[0].end()


def test_a_process_that_has_not_started_is_waited_for_and_then_named(address, monkeypatch):
    monkeypatch.setattr(processes, "SAY_SECONDS", 0.1)
    monkeypatch.setattr(processes, "START_SECONDS", 1.0)
    said = []
    Member(address, 1, 3)
    with (
        pytest.raises(InputError, match="process 2 of 3 did not start"),
        connect(address, 3, 0, {"epochs": 3}, said.append),
    ):
        pass
    assert len(said) == 1
    with pytest.raises(InputError, match="the first process is not at"), connect(address, 3, 1, {}, said.append):
        pass


def test_an_end_before_all_have_started_ends_the_others(address):
    first, worker = (Member(address, index, 3) for index in range(2))
    assert not worker.met.wait(0.5)  # process 2 is missing
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port))) as third:
        third.sendall(json.dumps({"process": 2, "processes": 3, "flags": {"epochs": 9}}).encode() + b"\n")
        assert b"--epochs is 3 in process 0 and 9 in process 2" in third.recv(1000)
    assert first.result() is None
    assert isinstance(first.error, InputError)
    assert worker.result() is None
    assert isinstance(worker.error, ProcessEnded)


def test_other_programs_and_a_number_given_twice_do_not_disturb(address):
    first = Member(address, 0, 3)
    host, _, port = address.rpartition(":")
    for junk in (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b'{"process": 1}\n', b"\xff\x00\n", b""):
        deadline = time.monotonic() + 30
        while True:
            try:
                stranger = socket.create_connection((host, int(port)), timeout=30)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with stranger:
            stranger.sendall(junk)
            stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                assert stranger.recv(100) == b""
    one = Member(address, 1, 3)
    assert not one.met.wait(0.5)
    twin = Member(address, 1, 3)
    assert twin.result() is None
    assert "There is a process 1 of the run already" in str(twin.error)
    two = Member(address, 2, 3)
    assert [member.result().index for member in (first, one, two)] == [0, 1, 2]
    for member in (first, one, two):
        member.end()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no connection meets itself")
def test_a_connection_that_a_process_makes_to_itself_is_not_the_first_process(address, monkeypatch):
    made, create = [], socket.create_connection

    def to_itself(target, timeout):
        made.append(create(target, timeout, source_address=None if made else target))
        return made[-1]

    monkeypatch.setattr(socket, "create_connection", to_itself)
    worker = Member(address.replace("localhost", "127.0.0.1"), 1, 2)
    assert not worker.met.wait(0.1)
    first = Member(address, 0, 2)
    assert first.result() is not None, first.error
    assert (first.result().index, worker.result().index) == (0, 1)
    assert len(made) > 1
    worker.end()
    first.end()


def test_a_port_that_is_taken_is_refused(address):
    with (
        socket.create_server(("", int(address.rpartition(":")[2]))),
        pytest.raises(InputError, match="cannot be opened"),
        connect(address, 2, 0, {}, lambda _: None),
    ):
        pass


def test_a_cluster_gives_address_numbers_and_the_device_of_a_process(address, monkeypatch):
    def detect(coordinator, count, index, devices, method, timeout):
        return coordinator or address, count or 2, index if index is not None else 1, devices or [1]

    from jax._src import clusters

    updated = {}
    monkeypatch.setattr(clusters.ClusterEnv, "auto_detect_unset_distributed_params", detect)
    monkeypatch.setattr(jax.config, "update", updated.__setitem__)
    first, worker = Member(address, 0, 2), Member("auto", None, None)
    assert (worker.result().index, worker.result().count) == (1, 2)
    assert updated["jax_cuda_visible_devices"] == "1"
    first.end()
    worker.end()


def test_without_a_cluster_auto_is_refused(monkeypatch):
    with pytest.raises(InputError, match="no cluster that JAX knows"), connect("auto", None, None, {}, lambda _: None):
        pass


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
        (("localhost:port", 2, 0), "'localhost:port'"),
        (("localhost:1", None, 0), "needs --num_processes"),
        (("localhost:1", 2, 2), "from 0 to one less"),
        (("localhost:99999", 2, 0), "'localhost:99999'"),
        (("1234", 2, 0), "'1234'"),
    ):
        with pytest.raises(InputError, match=message), connect(*arguments, {}, lambda _: None):
            pass


def test_without_a_coordinator_there_is_one_process():
    with connect(None, None, None, {}, lambda _: None) as alone:
        assert (alone.index, alone.count) == (0, 1)
