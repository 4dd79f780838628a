"""What a reporter writes where there is no terminal, and that it draws a bar where there is one."""

import contextlib
import io
import os
import pty
import re
import signal
import sys

import pytest

from pljax.training.progress import Interrupted, Reporter

METRICS = {"labelled_loss": 0.25, "alpha": 1.5, "validation_accuracy": 0.8125}
LINE = re.compile(
    r"finetune  epoch (?P<epoch>\d+)/(?P<epochs>\d+)  alpha 1\.50  loss 0\.2500  validation 81\.2%  \d+ s left"
)


def run_phase(reporter, epochs, rounds=1, metrics=METRICS):
    reporter.phase("finetune", epochs, rounds)
    for done in range(1, epochs * rounds + 1):
        reporter.round(done, metrics)


def lines_of(epochs, rounds=1, metrics=METRICS):
    stream = io.StringIO()
    with Reporter(stream) as reporter:
        run_phase(reporter, epochs, rounds, metrics)
    return stream.getvalue().splitlines()


def test_at_most_ten_lines_a_phase_each_with_phase_epoch_metrics_and_time_left():
    for epochs, rounds in ((1, 1), (7, 1), (10, 1), (13, 1), (1000, 1), (3, 9)):
        lines = lines_of(epochs, rounds)
        assert len(lines) == min(10, epochs * rounds)
        found = [LINE.fullmatch(line) for line in lines]
        assert all(found)
        assert {int(match["epochs"]) for match in found} == {epochs}
        assert [int(match["epoch"]) for match in found] == sorted(int(match["epoch"]) for match in found)
        assert int(found[-1]["epoch"]) == epochs
        assert lines[-1].endswith(" 0 s left")


def test_each_phase_has_its_own_lines():
    stream = io.StringIO()
    with Reporter(stream) as reporter:
        run_phase(reporter, 20)
        run_phase(reporter, 20)
    assert len(stream.getvalue().splitlines()) == 20


def test_a_metric_that_was_not_measured_is_left_out():
    (line,) = lines_of(1, metrics={"labelled_loss": 0.5, "unlabelled_loss": float("nan"), "alpha": 0.0})
    assert line == "finetune  epoch 1/1  alpha 0.00  loss 0.5000  0 s left"


def test_the_loss_of_pretraining_is_shown_and_unknown_metrics_are_not():
    (line,) = lines_of(1, metrics={"reconstruction_loss": 98.76543, "momentum": 0.9})
    assert line == "finetune  epoch 1/1  loss 98.77  0 s left"


def test_a_message_is_one_plain_line_however_long_and_whatever_its_marks():
    """Before the reporter is entered, too."""
    stream, text = io.StringIO(), "[bold]warning[/bold]: runs/:smile:/a " + "seed 3 diverged " * 20
    reporter = Reporter(stream)
    reporter.say(text)
    with reporter:
        reporter.say(text)
    assert stream.getvalue() == 2 * f"{text}\n"


def test_without_standard_error_nothing_is_shown_and_nothing_fails(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with Reporter() as reporter:
        run_phase(reporter, 20)
        reporter.say("a warning")
    reporter.say("another")


def test_no_environment_variable_makes_a_terminal_of_a_file(monkeypatch):
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.setenv(variable, "1")
        assert len(lines_of(20)) == 10
        assert "\x1b" not in "".join(lines_of(20))


def read_all(terminal):
    content = b""
    with contextlib.suppress(OSError):  # this is how a terminal ends whose other side is closed
        while block := os.read(terminal, 4096):
            content += block
    os.close(terminal)
    return content.decode()


def test_a_terminal_gets_a_bar_and_no_lines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    reading, writing = pty.openpty()
    with os.fdopen(writing, "w") as terminal, Reporter(terminal) as reporter:
        run_phase(reporter, 20)
        reporter.say("a warning")
    drawn = read_all(reading)
    assert "━" in drawn
    assert "epoch 20/20" in drawn
    assert "a warning" in drawn
    assert "s left" not in drawn


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_first_signal_is_stored_and_a_second_one_is_raised(number, status):
    usual = signal.getsignal(number)
    with Reporter(io.StringIO()) as reporter:
        assert reporter.signal_received is None
        signal.raise_signal(number)
        assert reporter.signal_received == number
        with pytest.raises(Interrupted) as ended:
            signal.raise_signal(number)
    assert ended.value.status == status
    assert signal.getsignal(number) is usual
