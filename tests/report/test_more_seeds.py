"""The commands that add the seeds a comparison lacks: they are right as they are typed, and no more than is needed."""

import dataclasses
import itertools
import json
import shlex
import subprocess
from html import unescape

import pytest
from commands import call, cheap_figures
from made_results import MNIST, make_result

from pljax import compare as compare_command
from pljax import main as main_command
from pljax.analysis.comparison import compare
from pljax.protocols import SCENARIOS
from pljax.report.html import render
from pljax.report.more_seeds import more_seeds, shell_lines
from pljax.settings import override

QUICK = SCENARIOS["quick"]
COMMANDS = {"pljax.main": main_command.main, "pljax.compare": compare_command.main}


def typed(command):
    """The module that a command runs, and its arguments, as a shell reads them."""
    printed = subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True)
    python, option, module, *arguments = printed.stdout.split("\0")[:-1]
    assert (python, option) == ("python", "-m")
    return module, arguments


def result_of(name, seeds, config=None, diverged=(), dataset=MNIST):
    accuracies = [None if seed in diverged else 0.7 + seed % 100 / 1000 for seed in seeds]
    where = {str(seed): "finetune" for seed in diverged}
    return make_result(config or QUICK[name], accuracies, dataset, where, seeds=list(seeds))


def seeds_of(comparison):
    """The new seeds by scenario, as the flags of the commands have them."""
    found = {}
    for command in more_seeds(comparison).commands:
        flags = dict(argument.removeprefix("--").split("=", 1) for argument in typed(command)[1])
        for scenario in flags["scenario"].split(","):
            first, count = int(flags["first_seed"]), int(flags["seeds"])
            found.setdefault(scenario, []).extend(range(first, first + count))
    return found


# --------------------------------------------------------------------------------------- whole commands


@pytest.mark.slow
def test_the_commands_that_are_printed_lead_to_a_verdict_on_every_pair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--dataset=mnist_5k", "--scenario=nn,drop_nn", "--hidden=8", "--epochs=2", "--learning_rate=1"]
    with cheap_figures():
        outcome = call(main_command.main, *small, "--first_seed=1", "--seeds=2", "--workdir=my runs")
        assert outcome.status == 0
        blocks = [block for block in outcome.out.split("\n\n") if "python -m" in block]
        commands = [f"python{command}" for block in blocks for command in block.split("  python")[1:]]
        assert [typed(command)[0] for command in commands] == ["pljax.main", "pljax.compare"]
        for command in commands:
            module, arguments = typed(command)
            outcome = call(COMMANDS[module], *arguments)
            assert outcome.status == 0, outcome.err
    assert "python -m" not in outcome.out
    compared = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert [run["seeds"] for run in compared["runs"]] == [[1, 2, 3, 4, 5, 6]] * 2
    assert compared["pairs"][0]["best_p"] <= 0.05


@pytest.fixture
def places(tmp_path):
    """The folders of two runs, with names that a shell and a report must not read as anything else."""
    for name in ("a_b *c*", "<d> & $e"):
        (tmp_path / name).mkdir()
        for file in ("metrics.jsonl", "parameters.npz"):
            (tmp_path / name / file).touch()
    return [tmp_path / "a_b *c*", tmp_path / "<d> & $e"]


def test_all_folders_are_compared_with_the_flags_of_the_first_comparison(places):
    compared = compare([result_of(name, range(5)) for name in ("nn", "pl")], 2.0)
    (_, run), (module, arguments) = map(typed, more_seeds(compared, places, "my data", "a report").commands)
    assert {f"--workdir={places[0].parent}", "--data_dir=my data"} <= set(run)
    assert module == "pljax.compare"
    assert arguments[:2] == list(map(str, places))
    assert arguments[-3:] == ["--margin=2.0", "--data_dir=my data", "--output=a report"]


def test_the_report_has_the_commands_as_they_are(places):
    compared = compare([result_of(name, range(5)) for name in ("nn", "pl")])
    more = more_seeds(compared, places)
    markdown, page = (render(name, compared, [], more) for name in ("report.md", "report.html"))
    shown = unescape(page[page.index("<pre>") : page.index("</pre>")])
    for line in itertools.chain(*map(str.splitlines, more.commands)):
        assert f"    {line}" in markdown.splitlines()
        assert line in shown
    assert "<d>" not in page


# ------------------------------------------------------------------------------------------ which seeds


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({"nn": range(5), "pl": range(5)}, {"nn": [5], "pl": [5]}),
        ({"nn": range(2), "pl": range(2)}, {"nn": [2, 3, 4, 5], "pl": [2, 3, 4, 5]}),
        ({"nn": [0], "pl": [0]}, {"nn": [1, 2, 3, 4, 5], "pl": [1, 2, 3, 4, 5]}),
        ({"nn": range(3, 8), "pl": range(3, 8)}, {"nn": [8], "pl": [8]}),
        ({"nn": range(2**32 - 5, 2**32), "pl": range(2**32 - 5, 2**32)}, {"nn": [0], "pl": [0]}),
        ({"nn": range(10), "pl": range(5)}, {"pl": [5]}),  # nn has it already
        ({"nn": range(7), "pl": range(2, 5)}, {"pl": [0, 1, 5]}),
        ({"nn": range(5), "pl": range(5), "pl_dae": range(5)}, {"nn": [5, 6], "pl": [5, 6], "pl_dae": [5, 6]}),
        ({"nn": range(9), "pl": range(9), "pl_dae": range(5)}, {"pl_dae": [5, 6]}),
    ],
)
def test_just_the_seeds_that_are_missing_are_added(runs, expected):
    assert seeds_of(compare([result_of(name, seeds) for name, seeds in runs.items()])) == expected


def test_a_seed_that_diverged_is_not_counted_and_not_tried_again():
    nn, pl = result_of("nn", range(6), diverged=[2]), result_of("pl", range(5))
    assert seeds_of(compare([nn, pl])) == {"nn": [6], "pl": [5, 6]}


def test_nothing_is_added_where_every_pair_can_have_a_verdict():
    assert more_seeds(compare([result_of("nn", range(6)), result_of("pl", range(6))])) is None
    assert more_seeds(compare([result_of("nn", range(2))])) is None


def test_runs_with_other_settings_have_a_command_of_their_own():
    changed, _ = override(QUICK["pl"], {"alpha_f": 1, "hidden": (50, 20)})
    results = [result_of("nn", range(5)), result_of("pl", range(5)), result_of("pl", range(5), changed)]
    (_, same), (_, other) = map(typed, more_seeds(compare(results)).commands)
    assert same == ["--protocol=quick", "--scenario=nn,pl", "--dataset=mnist", "--first_seed=5", "--seeds=2"]
    assert sorted(other[5:]) == ["--alpha_f=1.0", "--hidden=50,20"]


def test_the_precision_of_the_runs_is_that_of_the_new_seeds():
    results = [result_of(name, range(5)) for name in ("nn", "pl")]
    results[1] = dataclasses.replace(results[1], device={**results[1].device, "matmul_precision": "float32"})
    (_, as_default), (_, precise) = map(typed, more_seeds(compare(results)).commands)
    assert not any("precision" in flag for flag in as_default)
    assert precise[-1] == "--matmul_precision=float32"


# ------------------------------------------------------------------------------- where no command is right


def test_two_runs_of_one_config_have_no_commands():
    """The new seeds would have two runs to belong to."""
    for seeds in (range(3), range(1, 6)):
        advice = more_seeds(compare([result_of("nn", range(3)), result_of("nn", seeds), result_of("pl", range(3))]))
        assert advice.commands == []
        assert "Two of the runs have the same config" in advice.sentence


@pytest.mark.parametrize(
    ("dataset", "config"),
    [
        ({**MNIST, "name": "rows"}, QUICK["pl"]),
        ({**MNIST, "digest": "f" * 64}, QUICK["pl"]),  # a file of one's own with the name of a public data set
        ({**MNIST, "name": "kmnist", "notes": {}, "classes": list("abcdefghij")}, QUICK["pl"]),
        (MNIST, QUICK["pl"].replace(choose_labels="first")),  # there is no such flag
        (MNIST, QUICK["pl"].replace(protocol="adaptive")),  # its numbers depend on the data
        (MNIST, QUICK["pl"].replace(protocol="mine")),
    ],
)
def test_flags_that_are_not_known_are_not_made_up(dataset, config):
    nn = QUICK["nn"].replace(protocol=config.protocol, choose_labels=config.choose_labels)
    results = [result_of("nn", range(5), nn, dataset=dataset), result_of("pl", range(5), config, dataset=dataset)]
    advice = more_seeds(compare(results))
    assert advice.commands == []
    assert "run nn and pl in the same way with --first_seed=5 --seeds=1" in advice.sentence


def test_results_alone_cannot_be_joined(tmp_path):
    advice = more_seeds(compare([result_of("nn", range(5)), result_of("pl", range(5))]), [tmp_path])
    assert advice.commands == []
    assert "cannot be joined" in advice.sentence


def test_a_command_is_the_same_on_one_line_and_on_several():
    tokens = ["python", "-m", "pljax.compare", "runs/a b", "it's", "new\nline", "$HOME", "*", "ä" * 90, "--x=1,2"]
    for width in (10, 40, 77, 1000):
        module, arguments = typed(shell_lines(tokens, width))
        assert [module, *arguments] == tokens[2:]
    assert shell_lines(tokens, 10_000) == shlex.join(tokens)
