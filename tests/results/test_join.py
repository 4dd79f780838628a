"""Runs with different seeds, joined, are the run that had all the seeds."""

import dataclasses
import io
import json
import re
import shutil

import jax
import numpy as np
import pytest
from tiny_runs import DROPOUT, autoencoder, config, network, pseudo_label, supervised

from pljax.results.folder import EXTRA, METRICS, PARAMETERS, RunFolder
from pljax.results.join import find_parts, join, join_results
from pljax.training.progress import Reporter
from pljax.training.run import run
from pljax.types import InputError

LAYERS = network(8)
PL_DAE = config("pl_dae", autoencoder(LAYERS, 1), pseudo_label(LAYERS, 4, 1, 3, assign="once", **DROPOUT))
NN = config("nn", supervised(LAYERS, 2))


@pytest.fixture(scope="module")
def runs(blobs, tmp_path_factory):
    """A run with seeds 0 to 2, its parts, and others, one seed after another: there a seed is the same to the bit."""
    place = tmp_path_factory.mktemp("runs")
    chosen = {"whole": (PL_DAE, [0, 1, 2]), "late": (PL_DAE, [2]), "early": (PL_DAE, [0, 1]), "nn": (NN, [5])}
    for name, (chosen_config, seeds) in chosen.items():
        run(chosen_config, seeds, blobs, RunFolder(place / name), Reporter(io.StringIO()), seeds_at_once=1)
    return {name: RunFolder(place / name) for name in chosen}


def test_the_parts_make_the_whole(runs, tmp_path):
    whole, joined = runs["whole"], RunFolder(tmp_path / "joined")
    result = join([runs["early"], runs["late"]], joined)
    expected = whole.load_result()
    spent = {
        phase: sum(runs[part].load_result().seconds[phase] for part in ("early", "late")) for phase in expected.seconds
    }
    assert result == dataclasses.replace(expected, seconds=result.seconds)
    assert result.seconds == pytest.approx(spent)
    assert joined.load_result() == result
    for file in (PARAMETERS, EXTRA, "autoencoder.npz"):
        jax.tree.map(np.testing.assert_array_equal, joined.load_arrays(file), whole.load_arrays(file))
    lines = whole.load_metrics()
    assert joined.load_metrics() == sorted(lines, key=lambda line: (line["phase"], line["epoch"], line["seed"]))
    assert (joined.path / METRICS).stat().st_size == (whole.path / METRICS).stat().st_size
    assert json.loads((joined.path / "config.json").read_text()) == result.config


def test_a_joined_folder_holds_every_file_of_a_run_with_the_same_content(runs, tmp_path):
    whole, joined = runs["whole"], RunFolder(tmp_path / "joined")
    join([runs["early"], runs["late"]], joined)
    assert {path.name for path in joined.path.iterdir()} == {path.name for path in whole.path.iterdir()}
    for file in ("split.npz", "pseudo_labels.csv", "pseudo_labels.npz", "parameters.npz", "config.json"):
        assert (joined.path / file).read_bytes() == (whole.path / file).read_bytes()
    expected = json.loads((whole.path / "run.json").read_text())
    about = json.loads((joined.path / "run.json").read_text())
    assert about == {**expected, "seeds_at_once": 3, "joined": ["early", "late"]}


def test_a_joined_run_is_joined_again(runs, blobs, tmp_path):
    fourth, three, four = (RunFolder(tmp_path / name) for name in ("fourth", "three", "four"))
    run(PL_DAE, [3], blobs, fourth, Reporter(io.StringIO()))
    join([runs["early"], runs["late"]], three)
    join([three, fourth], four)
    assert four.load_result().seeds == [0, 1, 2, 3]
    totals, _, _ = four.load_pseudo_labels()
    assert totals.seeds.max() == 4
    np.testing.assert_array_equal(totals.votes.sum(axis=1), totals.seeds)


@pytest.fixture
def earlier(runs, tmp_path):
    """The part with the last seed as a version made it that had no field ``input_noise`` and no totals."""
    place = tmp_path / "earlier"
    shutil.copytree(runs["late"].path, place)
    for file in ("result.json", "config.json"):
        text, removed = re.subn(r'\s*"input_noise": 0\.0,?', "", (place / file).read_text())
        assert removed == 1
        (place / file).write_text(re.sub(r",(\s*[}\]])", r"\1", text))
    (place / "pseudo_labels.npz").unlink()
    return RunFolder(place)


def test_the_coverage_of_all_seeds_is_known_only_if_every_part_has_it(runs):
    early, late = (
        dataclasses.replace(runs[part].load_result(), pseudo_label_coverage=shares)
        for part, shares in (("early", [0.25, 0.5]), ("late", [0.75]))
    )
    assert join_results([early, late]).pseudo_label_coverage == [0.25, 0.5, 0.75]
    assert join_results([early, dataclasses.replace(late, pseudo_label_coverage=None)]).pseudo_label_coverage is None


def test_a_part_from_before_a_field_with_a_default_joins(runs, earlier, tmp_path):
    for number, parts in enumerate(([runs["early"], earlier], [earlier, runs["early"]])):
        assert len(find_parts([part.load_result() for part in parts])) == 1
        joined = RunFolder(tmp_path / str(number))
        result = join(parts, joined)
        assert result.config == runs["whole"].load_result().config
        assert joined.load_config()[0] == PL_DAE
        assert not (joined.path / "pseudo_labels.csv").exists()  # one part has no totals


def test_a_field_that_is_not_at_its_default_keeps_parts_apart(earlier, blobs, tmp_path):
    finetune = PL_DAE.phases[1]
    noisy = PL_DAE.replace(phases=(PL_DAE.phases[0], finetune.replace(method=finetune.method.replace(input_noise=0.5))))
    other = RunFolder(tmp_path / "noisy")
    run(noisy, [0], blobs, other, Reporter(io.StringIO()))
    assert find_parts([earlier.load_result(), other.load_result()]) == [[0], [1]]
    with pytest.raises(InputError, match=r"differ in phases\.1\.method\.input_noise"):
        join([earlier, other], RunFolder(tmp_path / "joined"))


def test_files_that_are_not_those_of_the_parts_are_refused(runs, tmp_path):
    for file, other, message in (
        ("split.npz", "early", "not the split of its run"),
        ("pseudo_labels.csv", "nn", "not of one run"),
    ):
        spoilt = tmp_path / file
        shutil.copytree(runs["late"].path, spoilt)
        shutil.copy(runs[other].path / file, spoilt / file)
        if file == "pseudo_labels.csv":
            (spoilt / file).write_text((spoilt / file).read_text() + "1,0,0.5,1,1,,\n")
        with pytest.raises(InputError, match=message):
            join([runs["early"], RunFolder(spoilt)], RunFolder(tmp_path / "joined"))
        assert not (tmp_path / "joined" / "result.json").exists()


def test_parts_of_a_run_are_found_and_put_in_order(runs):
    results = {name: folder.load_result() for name, folder in runs.items()}
    assert find_parts([results[name] for name in ("late", "nn", "early")]) == [[2, 0], [1]]
    assert find_parts([results[name] for name in ("whole", "early")]) == [[0], [1]]  # they have seeds in common
    assert find_parts([]) == []


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}


def test_a_run_of_its_own_is_not_replaced_and_a_joined_one_is(runs, tmp_path):
    shutil.copytree(runs["nn"].path, tmp_path / "own")
    own = RunFolder(tmp_path / "own")
    before = files_of(own)
    with pytest.raises(InputError, match="a run of its own, which the joined one would replace"):
        join([runs["early"], runs["late"]], own)
    assert files_of(own) == before
    joined = RunFolder(tmp_path / "joined")
    first = join([runs["early"], runs["late"]], joined)
    (joined.path / "model.safetensors").write_text("exported")
    assert join([runs["early"], runs["late"]], joined) == first
    assert (joined.path / "model.safetensors").exists()  # of the same networks
    assert join([runs["nn"]], joined).scenario == "nn"
    assert not (joined.path / "model.safetensors").exists()


def test_a_part_that_cannot_be_read_leaves_the_joined_run_as_it_was(runs, tmp_path):
    joined, broken = RunFolder(tmp_path / "joined"), RunFolder(tmp_path / "broken")
    first = join([runs["nn"]], joined)
    shutil.copytree(runs["late"].path, broken.path)
    (broken.path / PARAMETERS).write_bytes(b"")
    with pytest.raises(InputError, match="No arrays can be read"):
        join([runs["early"], broken], joined)
    assert joined.load_result() == first


def test_a_joined_run_says_which_seeds_had_another_device_or_version(runs):
    early, late = (runs[name].load_result() for name in ("early", "late"))
    assert join_results([early, late]).warnings == [*early.warnings]
    elsewhere = dataclasses.replace(
        late, device={"kind": "H100", "platform": "gpu"}, versions={**late.versions, "jax": "9"}
    )
    device, version = join_results([early, elsewhere]).warnings[-2:]
    assert device.startswith("Seeds 2 ran on H100 (gpu), and 0, 1 on ")
    assert "another version of jax" in version
    coarse = dataclasses.replace(late, device={**late.device, "matmul_precision": "bfloat16"})
    precision = join_results([early, coarse]).warnings[-1]
    assert precision.startswith("Seeds 2 ran with matmul_precision bfloat16, and 0, 1 with None")


def test_runs_that_are_no_parts_of_one_are_refused(runs, blobs, tmp_path):
    other = RunFolder(tmp_path / "other")
    changed = dataclasses.replace(blobs, test_labels=np.roll(blobs.test_labels, 1))
    run(PL_DAE, [9], changed, other, Reporter(io.StringIO()))
    for folders, message in (
        ([runs["early"], runs["nn"]], "differ in scenario, phases"),
        ([runs["whole"], runs["late"]], "both have seed 2"),
        ([runs["early"], other], "differ in the data set"),
    ):
        with pytest.raises(InputError, match=message):
            join(folders, RunFolder(tmp_path / "joined"))
        assert not (tmp_path / "joined" / "result.json").exists()
