"""Whole runs on small data: what they leave behind, and what may and may not change it."""

import csv
import dataclasses
import io
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import ADAM, DROPOUT, MOMENTUM, autoencoder, config, network, pseudo_label, small, supervised

from pljax.methods import setting
from pljax.methods.supervised import Supervised
from pljax.protocols import SCENARIOS
from pljax.results.folder import RunFolder
from pljax.results.result import Result
from pljax.settings import everywhere, to_json
from pljax.training import loop, seed_group
from pljax.training.progress import Reporter
from pljax.training.run import predicted_warnings, require_savable, run
from pljax.types import Dataset, InputError, Inputs, Scaling

LAYERS = network(32)
PHASE = pseudo_label(LAYERS, 12, 6, 10, MOMENTUM.replace(learning_rate=3.0), **DROPOUT)
CONFIG = config("pl_dae", autoencoder(LAYERS), PHASE)


def run_in(path, dataset, *, of_run=CONFIG, seeds=(0, 1, 2), **options):
    """A quiet run; its result, its folder and what was said."""
    said, folder = io.StringIO(), RunFolder(path)
    result = run(of_run, seeds, dataset, folder, Reporter(said), **options)
    return result, folder, said.getvalue()


def pseudo_labels_of(path):
    """The lines of ``pseudo_labels.csv`` as dicts."""
    with (path / "pseudo_labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def but_times(path):
    return {**json.loads((path / "result.json").read_text()), "seconds": None}


@pytest.fixture(scope="module")
def whole(blobs, tmp_path_factory):
    return run_in(tmp_path_factory.mktemp("whole"), blobs)


def test_the_result_is_recomputed_from_the_saved_parameters(whole, blobs):
    """Recomputed with NumPy from the parameters on disk: nothing of the program's own forward pass."""
    result, folder, _ = whole
    params = folder.load_parameters()
    x = blobs.test_images / 255.0
    for row, accuracy in enumerate(result.test_accuracy):
        hidden, output = ({kind: leaf[row] for kind, leaf in params[name].items()} for name in ("hidden", "output"))
        active = 0.5 * np.maximum(0.8 * x @ hidden["kernel"] + hidden["bias"], 0)
        logits = active @ output["kernel"] + output["bias"]
        predicted = logits.argmax(axis=1)
        assert accuracy == pytest.approx((predicted == blobs.test_labels).mean(), abs=1e-7)
        expected = np.zeros((4, 4), int)
        np.add.at(expected, (blobs.test_labels, predicted), 1)
        assert result.confusion[row] == expected.tolist()
        f = 1 / (1 + np.exp(-logits))
        entropy = -(f * np.log(f)).sum(axis=1).mean()
        assert result.conditional_entropy["test"][row] == pytest.approx(entropy, rel=1e-4)


def test_there_is_a_pseudo_label_for_every_image_that_some_seed_had_unlabelled(whole, blobs):
    """Recomputed with NumPy from the parameters on disk."""
    _, folder, _ = whole
    with np.load(folder.path / "split.npz") as parts:
        unlabelled = parts["unlabelled"]
    params = folder.load_parameters()
    rows = pseudo_labels_of(folder.path)
    unseen = np.stack([np.isin(np.arange(240), of_seed) for of_seed in unlabelled])
    assert [int(row["index"]) for row in rows] == np.flatnonzero(unseen.any(axis=0)).tolist()
    assert {int(row["seeds"]) for row in rows} == {1, 2, 3}
    answers = []
    for seed in range(3):
        hidden, output = ({kind: leaf[seed] for kind, leaf in params[name].items()} for name in ("hidden", "output"))
        active = 0.5 * np.maximum(0.8 * (blobs.train_images / 255.0) @ hidden["kernel"] + hidden["bias"], 0)
        outputs = 1 / (1 + np.exp(-(active @ output["kernel"] + output["bias"])))
        answers.append(outputs / outputs.sum(axis=1, keepdims=True))
    answers = np.stack(answers)
    for row in rows:
        image = int(row["index"])
        own = answers[unseen[:, image], image]
        label = own.mean(axis=0).argmax()
        assert int(row["label"]) == label
        assert float(row["confidence"]) == pytest.approx(own.mean(axis=0)[label], abs=1e-3)
        assert int(row["seeds_agree"]) == (own.argmax(axis=1) == label).sum()
        assert int(row["seeds"]) == len(own)
        # Labels are given in the epochs in which alpha is not 0, and cannot change in the first of them.
        assert row["first_change"] == row["last_change"] == "" or (
            7 < int(row["first_change"]) <= int(row["last_change"]) < 12
        )


# The same images with few labels known, as people bring them.
GIVEN = config("pl", pseudo_label(LAYERS, 12, 6, 10, ADAM), choose_labels="given")


def given(dataset):
    """The data set with 30 labels that are known, and without test images."""
    labels = np.where(np.arange(240) < 30, dataset.train_labels, -1).astype(np.int32)
    nothing = {"test_images": dataset.test_images[:0], "test_labels": dataset.test_labels[:0]}
    return dataclasses.replace(dataset, train_labels=labels, **nothing)


@pytest.mark.parametrize("validation", [20, 0])
def test_data_with_unknown_labels_and_without_test_images_give_a_result_that_loads(blobs, tmp_path, validation):
    of_run = GIVEN.replace(labels=30 - validation, validation=validation)
    result, _, _ = run_in(tmp_path, given(blobs), of_run=of_run)
    assert Result.load(tmp_path) == result == run_in(tmp_path, given(blobs), of_run=of_run)[0]
    assert not result.tested
    nothing = [None, None, None]
    assert result.test_accuracy == result.test_error == result.pseudo_label_accuracy == nothing
    assert result.conditional_entropy["test"] == nothing
    assert None not in (*result.conditional_entropy["labelled"], *result.conditional_entropy["unlabelled"])
    assert result.unlabelled_training["measured_on"] == ("validation" if validation else "unlabelled")
    assert (None in result.unlabelled_training["after"]) == (validation == 0)
    rows = pseudo_labels_of(tmp_path)
    assert [int(row["index"]) for row in rows] == list(range(30, 240))
    assert {row["seeds"] for row in rows} == {"3"}
    assert np.mean([int(row["label"]) == blobs.train_labels[int(row["index"])] for row in rows]) > 0.6
    assert not (tmp_path / "inputs.json").exists()


def test_classes_rows_and_features_keep_their_names(blobs, tmp_path):
    names, columns = ("ant", "bee", "cat", "dog"), tuple(f"f{place}" for place in range(12))
    scaling = Scaling(np.full(12, 100, np.float32), np.full(12, 60, np.float32))
    rows = tuple(f"row {row}" for row in range(240))
    features = {name: scaling.apply(getattr(blobs, name)) for name in ("train_images", "test_images")}
    own = dataclasses.replace(
        blobs, **features, class_names=names, inputs=Inputs(columns, None, scaling), row_names=rows
    )
    result, folder, _ = run_in(tmp_path, own, of_run=CONFIG.replace(phases=(PHASE,)), seeds=(0,))
    assert None not in result.test_accuracy
    labelled = pseudo_labels_of(tmp_path)
    assert {row["label"] for row in labelled} <= set(names)
    assert {row["index"] for row in labelled} <= set(rows)
    inputs, classes = folder.load_inputs()
    assert (inputs.columns, inputs.image, classes) == (columns, None, names)
    np.testing.assert_array_equal(inputs.scaling, scaling)


def test_the_result_says_what_was_run(whole, blobs):
    result, folder, _ = whole
    assert result.seeds == [0, 1, 2]
    assert result.dataset == {"name": "blobs", "digest": blobs.digest, "train": 240, "test": 60, "features": 12}
    assert result.config == to_json(CONFIG) == json.loads((folder.path / "config.json").read_text())
    assert result.effective_config() == CONFIG
    assert result.parameters == 12 * 32 + 32 + 32 * 4 + 4
    assert (result.class_counts["labelled"], result.class_counts["test"]) == ([2] * 4, [15] * 4)
    assert sum(result.class_counts["validation"]) == CONFIG.validation
    assert set(result.seconds) == {"pretrain", "finetune", "score"}
    assert {"pljax", "python", "jax", "flax", "optax"} <= set(result.versions)
    np.testing.assert_allclose(np.add(result.test_accuracy, result.test_error), 1)
    assert result.unlabelled_training["measured_on"] == "validation"
    assert folder.load_result() == result


def test_without_pseudo_labels_there_is_no_accuracy_before_and_after_them(blobs, tmp_path):
    result, folder, _ = run_in(tmp_path, blobs, of_run=small(SCENARIOS["quick"]["nn"]), seeds=(0,))
    assert (result.protocol, result.scenario) == ("quick", "nn")
    assert result.unlabelled_training is None
    assert result.pseudo_label_coverage is None
    assert folder.load_result() == result


def test_there_is_a_line_of_metrics_for_every_epoch_of_every_seed(whole):
    _, folder, _ = whole
    lines = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    places = [(line["phase"], line["epoch"], line["seed"]) for line in lines]
    expected = [(0, epoch, seed) for epoch in range(2) for seed in range(3)]
    expected += [(1, epoch, seed) for epoch in range(12) for seed in range(3)]
    assert places == expected
    last = lines[-1]
    assert last["alpha"] == 0.5
    assert last["updates"] == 24
    assert None not in (last["validation_accuracy"], last["pseudo_label_accuracy"], last["pseudo_labels_changed"])


def test_the_coverage_of_the_result_is_that_of_the_last_metrics(whole):
    result, folder, _ = whole
    last = folder.load_metrics()[-len(result.seeds) :]
    assert result.pseudo_label_coverage == [line["pseudo_label_coverage"] for line in last] == [1.0] * len(last)


def test_the_same_command_gives_the_same_result(whole, blobs, tmp_path):
    """Also if the seeds are an array."""
    _, folder, _ = whole
    run_in(tmp_path, blobs, seeds=np.arange(3))
    assert but_times(tmp_path) == but_times(folder.path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == (folder.path / "metrics.jsonl").read_bytes()
    for name in ("parameters.npz", "pseudo_labels.csv"):
        assert (tmp_path / name).read_bytes() == (folder.path / name).read_bytes()


def test_a_seed_trained_alone_is_that_seed_among_others(whole, blobs, tmp_path):
    result, folder, _ = whole
    alone, alone_folder, _ = run_in(tmp_path, blobs, seeds=(2,))
    assert alone.test_accuracy[0] == pytest.approx(result.test_accuracy[2], abs=1e-4)
    many, one = folder.load_parameters(), alone_folder.load_parameters()
    np.testing.assert_allclose(one["hidden"]["kernel"][0], many["hidden"]["kernel"][2], atol=1e-5)


def test_a_run_is_the_same_where_jax_has_float64(whole, blobs, tmp_path):
    _, folder, _ = whole
    with jax.enable_x64(True):
        run_in(tmp_path, blobs)
    assert (tmp_path / "parameters.npz").read_bytes() == (folder.path / "parameters.npz").read_bytes()


class KeepsState(Supervised):
    """Keeps a random key or a number of few bits beside its parameters."""

    kind: str = setting(default="key", help="which.")

    def init(self, key, data, split, start):
        params, _ = super().init(key, data, split, start)
        return params, {self.kind: key if self.kind == "key" else jnp.zeros(3, jnp.bfloat16)}


@pytest.mark.parametrize("kind", ["key", "bfloat16"])
def test_state_that_no_file_can_hold_is_refused_before_training(blobs, kind):
    phase = supervised(LAYERS, 3)
    keeps = KeepsState(network=LAYERS, kind=kind)
    with pytest.raises(InputError, match=f"extra/{kind} of a method is of type .*, which no file of a run holds"):
        require_savable(config("nn", phase.replace(method=keeps)), blobs)
    require_savable(CONFIG, blobs)


def test_groups_of_seeds_give_the_same_result(whole, blobs, tmp_path):
    result, folder, _ = whole
    grouped, _, _ = run_in(tmp_path, blobs, seeds_at_once=1)
    np.testing.assert_allclose(grouped.test_accuracy, result.test_accuracy, atol=1e-4)
    ours, theirs = (
        [(row["index"], row["label"], row["seeds"]) for row in pseudo_labels_of(path)]
        for path in (tmp_path, folder.path)
    )
    assert ours == theirs
    assert grouped.seeds == result.seeds


def test_labels_of_test_images_change_the_score_and_nothing_else(whole, blobs, tmp_path):
    result, folder, _ = whole
    other = dataclasses.replace(blobs, test_labels=np.roll(blobs.test_labels, 1))
    shuffled, _, _ = run_in(tmp_path, other)
    assert (tmp_path / "parameters.npz").read_bytes() == (folder.path / "parameters.npz").read_bytes()
    assert (tmp_path / "metrics.jsonl").read_bytes() == (folder.path / "metrics.jsonl").read_bytes()
    assert np.mean(result.test_accuracy) > 0.6 > 0.4 > np.mean(shuffled.test_accuracy)
    assert shuffled.conditional_entropy == result.conditional_entropy
    for one, other in zip(result.confusion, shuffled.confusion, strict=True):
        assert np.sum(one, axis=0).tolist() == np.sum(other, axis=0).tolist()  # the predictions are the same


def test_hidden_labels_of_unlabelled_images_change_no_weight(whole, blobs, tmp_path):
    _, folder, _ = whole
    first = CONFIG.replace(choose_labels="first")
    one, two = tmp_path / "one", tmp_path / "two"
    labels = blobs.train_labels.copy()
    labels[30:] = np.roll(labels[30:], 1)  # the labelled images are among the first 30
    run_in(one, blobs, of_run=first)
    run_in(two, dataclasses.replace(blobs, train_labels=labels), of_run=first)
    assert (one / "parameters.npz").read_bytes() == (two / "parameters.npz").read_bytes()
    assert (one / "parameters.npz").read_bytes() != (folder.path / "parameters.npz").read_bytes()


def test_the_test_images_are_read_once_after_the_last_epoch(blobs, tmp_path):
    """The data set notes how many lines of metrics there are when somebody asks for its test images."""
    reads = []

    class Watched(Dataset):
        def __getattribute__(self, name):
            if name == "test_images":
                metrics = tmp_path / "metrics.jsonl"
                reads.append(metrics.read_text().count("\n") if metrics.exists() else 0)
            return super().__getattribute__(name)

    watched = Watched(**{field.name: getattr(blobs, field.name) for field in dataclasses.fields(blobs)})
    assert watched.digest == blobs.digest
    reads.clear()
    run_in(tmp_path, watched, seeds=(0,))
    assert reads == [2 + 12]


def test_a_seed_that_diverges_is_named_marked_and_never_averaged_in(whole, blobs, tmp_path):
    poisoned = everywhere(PHASE, "learning_rate", 1e38)
    result, _, said = run_in(tmp_path, blobs, of_run=CONFIG.replace(phases=(poisoned,)))
    assert set(result.diverged) == {"0", "1", "2"}
    assert result.test_accuracy == [None, None, None]
    assert np.isnan(result.accuracies()).all()
    assert pseudo_labels_of(tmp_path) == []  # nobody has a say
    assert said.count("seed 1 diverged (finetune, epoch") == 1
    assert whole[0].diverged == {}


def test_other_seeds_go_on_bit_identically_beside_one_that_diverges(whole, blobs, tmp_path, monkeypatch):
    """One seed's weights are spoilt between two phases: the others end with the very same bytes."""
    folder = whole[1]
    train_phase = loop.train_phase

    def spoil_seed_1(group, progress, *rest):
        if progress.phase == 1:
            hidden = progress.params["hidden"]
            progress.params = {"hidden": {**hidden, "kernel": hidden["kernel"].at[1].set(np.nan)}}
        return train_phase(group, progress, *rest)

    monkeypatch.setattr(loop, "train_phase", spoil_seed_1)
    result, spoilt, said = run_in(tmp_path, blobs)
    assert list(result.diverged) == ["1"]
    assert "seed 1 diverged (finetune, epoch 0)" in said
    assert result.test_accuracy[1] is None
    assert {row["seeds"] for row in pseudo_labels_of(tmp_path)} == {"1", "2"}
    for layer, leaves in folder.load_parameters().items():
        for kind, leaf in leaves.items():
            for seed in (0, 2):
                np.testing.assert_array_equal(spoilt.load_parameters()[layer][kind][seed], leaf[seed])


def test_an_alpha_that_cannot_act_is_warned_of_before_training():
    """In epochs 0 to 11."""

    def warned(**changes):
        return predicted_warnings(CONFIG.replace(phases=(PHASE.replace(method=PHASE.method.replace(**changes)),)))

    assert warned() == warned(t2=11) == []
    for changes, message in (
        ({"t2": 12}, "never reaches alpha_f 0.5"),
        ({"t1": 11, "t2": 12}, "never rises above 0"),
        ({"alpha_f": 0.0}, "never rises above 0"),
    ):
        (warning,) = warned(**changes)
        assert message in warning


def test_more_labels_than_the_data_have_are_refused_before_anything_is_written(blobs, tmp_path):
    with pytest.raises(InputError, match="101 labels"):
        run_in(tmp_path / "new", blobs, of_run=CONFIG.replace(labels=101))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("seeds", [[], [0, 0], [-1], [0.5], [2**32], ["0"]])
def test_seeds_that_are_not_different_whole_numbers_are_refused_before_anything_is_written(blobs, tmp_path, seeds):
    with pytest.raises(InputError, match="seeds is not a list of different whole numbers"):
        run_in(tmp_path / "new", blobs, seeds=seeds)
    assert not (tmp_path / "new").exists()


def test_every_program_is_compiled_once_for_all_groups_of_a_size(blobs, tmp_path, caplog):
    """Two seeds lie on both devices, and one seed on one; neither may compile anything anew in its second round."""
    of_phases = {"init_state": 1, "_train_round": 1, "_evaluate": 1}  # and those of split, keys and scores
    short = config("nn", supervised(LAYERS, 2))
    for cached in (seed_group.programs, seed_group.split_program, seed_group.score_program, seed_group.key_program):
        cached.cache_clear()

    def compiled(seeds, size):
        caplog.clear()
        with caplog.at_level("WARNING"), jax.log_compiles():
            run_in(tmp_path / f"{len(seeds)}-{size}", blobs, of_run=short, seeds=seeds, seeds_at_once=size)
        names = re.findall(r"Finished XLA compilation of jit\((.*?)\)", "\n".join(caplog.messages))
        return {name: names.count(name) for name in {*of_phases, "of_one", "<lambda>", "score"} if name in names}

    for size in (1, 2):
        assert of_phases.items() <= compiled(range(size), size).items()
        assert compiled(range(2 * size), size) == {}
