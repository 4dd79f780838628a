"""The pseudo-labels that an evaluation measures: those that an update gives, how many there are, and how many right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
from one_seed import (
    KERAS,
    LADDER,
    LADDER_PHASE,
    ONCE_PHASE,
    PSEUDO_LABEL_PHASE,
    SUPERVISED,
    batch,
    evaluate,
    init,
    logits_of,
    split_of,
    train,
    training_data,
)

KEY = jax.random.key(0)
SIZE = PSEUDO_LABEL_PHASE.batches.unlabelled_batch_size


def with_method(phase, **settings):
    return phase.replace(method=phase.method.replace(**settings))


ALIGNED = {
    "softmax": with_method(PSEUDO_LABEL_PHASE, network=KERAS, alignment=0.8, threshold=0.6),
    "sigmoid": with_method(PSEUDO_LABEL_PHASE, network=KERAS.replace(output="sigmoid"), alignment=0.8, threshold=0.6),
}
PHASES = {
    "every update": with_method(PSEUDO_LABEL_PHASE, network=KERAS, threshold=0.8),
    **ALIGNED,
    "ladder": with_method(LADDER_PHASE, threshold=0.6),
    "ladder by layer": with_method(LADDER_PHASE, normalisation="layer", threshold=0.8),
}
every_phase = pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)


@pytest.fixture(scope="module")
def data(blobs):
    return training_data(blobs)


def with_random_weights(phase, data):
    """The split, and a state with weights that give outputs from unsure to sure."""
    parts = split_of(KEY, data)
    state = init(phase, KEY, parts, data)
    params = jax.tree.map(lambda leaf: leaf + jax.random.normal(jax.random.key(16), leaf.shape), state.params)
    return parts, state.replace(params=params)


@jax.jit
def labels_of_update(method, params, extra, made):
    return method.loss(params, extra, made, jnp.float32(1), KEY)[1].pseudo_labels


def given(phase, state, rows, data, blobs):
    """The pseudo-labels that an update gives the unlabelled images ``rows``."""
    images = jnp.asarray(data.images[rows], jnp.float32) / 255
    made = batch(blobs)._replace(unlabelled=images, unlabelled_rows=jnp.asarray(rows))
    return labels_of_update(phase.method, state.params, state.extra, made)


@every_phase
def test_the_labels_of_an_evaluation_are_those_that_updates_give(phase, data, blobs):
    """In mini-batches of the size of training; the last one is filled up with the first images."""
    parts, state = with_random_weights(phase, data)
    unlabelled = np.asarray(parts.unlabelled)
    rows = unlabelled[np.arange(-(-len(unlabelled) // SIZE) * SIZE) % len(unlabelled)].reshape(-1, SIZE)
    expected = np.concatenate([given(phase, state, of_update, data, blobs) for of_update in rows])
    labels = evaluate(phase, state, parts, data).pseudo_labels
    assert 0.4 < (labels >= 0).mean() < 0.9
    np.testing.assert_array_equal(labels, expected[: len(unlabelled)])


def outputs_of(method, state, data, rows):
    logits = np.asarray(logits_of(method, state.params, state.extra, data.images[rows]), np.float64)
    return 1 / (1 + np.exp(-logits)) if method.output == "sigmoid" else scipy.special.softmax(logits, axis=1)


def at_the_middle(outputs):
    """A threshold between two rows, that half of them reach."""
    largest = np.sort(outputs.max(axis=1))
    return float(largest[len(largest) // 2 - 1 :][:2].mean())


@pytest.mark.parametrize("network", [KERAS, KERAS.replace(output="sigmoid")], ids=["softmax", "sigmoid"])
def test_coverage_is_the_share_of_rows_above_the_threshold_and_the_accuracy_is_theirs(network, data):
    phase = with_method(PHASES["every update"], network=network)
    parts, state = with_random_weights(phase, data)
    outputs = outputs_of(phase.method, state, data, parts.unlabelled)
    threshold = at_the_middle(outputs)
    sure, right = outputs.max(axis=1) >= threshold, outputs.argmax(axis=1) == data.labels[parts.unlabelled]
    assert right[sure].mean() != right.mean()
    metrics = evaluate(with_method(phase, threshold=threshold), state, parts, data).metrics
    np.testing.assert_allclose(metrics["pseudo_label_coverage"], sure.mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["pseudo_label_accuracy"], right[sure].mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["unlabelled_accuracy"], right.mean(), rtol=1e-6)  # of all predictions


def test_without_a_threshold_every_row_has_a_label_and_with_one_that_none_reaches_no_row(data):
    parts, state = with_random_weights(PSEUDO_LABEL_PHASE, data)
    whole, none = (
        evaluate(with_method(PSEUDO_LABEL_PHASE, threshold=threshold), state, parts, data).metrics
        for threshold in (0.0, 0.9999)
    )
    assert float(whole["pseudo_label_coverage"]) == 1
    assert whole["pseudo_label_accuracy"] == whole["unlabelled_accuracy"]
    assert float(none["pseudo_label_coverage"]) == 0
    assert jnp.isnan(none["pseudo_label_accuracy"])
    assert none["unlabelled_accuracy"] == whole["unlabelled_accuracy"]


@pytest.mark.parametrize("batches", [PSEUDO_LABEL_PHASE.batches, ONCE_PHASE.batches], ids=["unlabelled", "buffer"])
def test_labels_given_once_count_by_the_same_rule(batches, data):
    """The images are those that training draws from. The network may have learnt since: the labels have not."""
    phase = ONCE_PHASE.replace(batches=batches)
    parts = split_of(KEY, data)
    fresh = init(with_method(phase, threshold=1e-30), KEY, parts, data)
    rows = np.asarray(parts.unlabelled if batches is PSEUDO_LABEL_PHASE.batches else jnp.arange(62))
    outputs = outputs_of(phase.method, fresh, data, rows)
    phase = with_method(phase, threshold=at_the_middle(outputs))
    state, _ = train(phase, data, parts=parts)
    sure, right = outputs.max(axis=1) >= phase.method.threshold, outputs.argmax(axis=1) == data.labels[rows]
    metrics = evaluate(phase, state, parts, data).metrics
    np.testing.assert_allclose(metrics["pseudo_label_coverage"], sure.mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["pseudo_label_accuracy"], right[sure].mean(), rtol=1e-6)


@pytest.mark.parametrize("phase", [*ALIGNED.values(), ONCE_PHASE], ids=[*ALIGNED, "once"])
def test_hidden_labels_change_the_accuracies_alone(phase, data):
    parts, state = with_random_weights(phase, data)
    hidden = data.replace(labels=data.labels.at[parts.unlabelled].set(-1))
    seen, unseen = (evaluate(phase, state, parts, of) for of in (data, hidden))
    np.testing.assert_array_equal(unseen.pseudo_labels, seen.pseudo_labels)
    for name in ("pseudo_label_coverage", "validation_accuracy"):
        assert unseen.metrics[name] == seen.metrics[name]
    assert jnp.isnan(unseen.metrics["unlabelled_accuracy"])
    assert jnp.isfinite(seen.metrics["pseudo_label_accuracy"])


PADDED = 20


@pytest.mark.parametrize(
    "phase",
    [
        PHASES["softmax"],
        pytest.param(PHASES["ladder"], marks=pytest.mark.slow),
        PSEUDO_LABEL_PHASE.replace(method=ONCE_PHASE.method.replace(threshold=0.5)),
    ],
    ids=["softmax", "ladder", "once"],
)
def test_padding_rows_do_not_count(phase, data):
    """Neither as rows nor in the mean of a mini-batch: with them, every metric and label is that without."""
    parts, state = with_random_weights(phase, data)
    last = len(data.labels) + PADDED - 1
    more = data.replace(
        images=jnp.pad(data.images, ((0, PADDED), (0, 0)), constant_values=255),
        labels=jnp.pad(data.labels, (0, PADDED), constant_values=-1),
    )
    padded = parts.replace(unlabelled=jnp.pad(parts.unlabelled, (0, PADDED), constant_values=last))
    of_more = state
    if getattr(state.extra, "labels", None) is not None:  # a padding row may have one
        of_more = state.replace(extra=state.extra._replace(labels=jnp.pad(state.extra.labels, (0, PADDED))))
    one, other = evaluate(phase, state, parts, data), evaluate(phase, of_more, padded, more)
    count = len(parts.unlabelled)
    np.testing.assert_array_equal(other.pseudo_labels[:count], one.pseudo_labels)
    np.testing.assert_array_equal(other.pseudo_labels[count:], -1)
    for name, value in one.metrics.items():
        np.testing.assert_allclose(other.metrics[name], value, rtol=1e-6, err_msg=name)


def test_a_method_without_a_rule_of_its_own_gives_the_predicted_classes(data):
    _, state = with_random_weights(LADDER_PHASE.replace(method=SUPERVISED), data)
    images = jnp.asarray(data.images[:50], jnp.float32) / 255
    labels = SUPERVISED.pseudo_labels(state.params, state.extra, images, jnp.arange(50))
    np.testing.assert_array_equal(labels, logits_of(SUPERVISED, state.params, None, data.images[:50]).argmax(axis=1))
    without = LADDER_PHASE.replace(method=LADDER.replace(alpha_f=0.0))
    metrics = evaluate(without, *reversed(with_random_weights(without, data)), data).metrics
    assert jnp.isnan(metrics["pseudo_label_coverage"])
    assert jnp.isnan(metrics["pseudo_label_accuracy"])
