"""Pseudo-Label against the paper's equations, and what its unlabelled images may and may not change."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
from one_seed import (
    ALIGNED_PHASE,
    DROPOUT,
    KERAS,
    NETWORK,
    ONCE_PHASE,
    PSEUDO_LABEL,
    PSEUDO_LABEL_PHASE,
    SGD,
    SUPERVISED_PHASE,
    batch,
    draw,
    evaluate,
    init,
    leaves_of,
    logits_of,
    split_of,
    start,
    step,
    train,
    train_round,
    training_data,
)

from pljax.methods.pseudo_label import Extra
from pljax.methods.supervised import Supervised
from pljax.nn import losses
from pljax.training import phases
from pljax.types import TrainState

PLAIN = PSEUDO_LABEL.replace(network=KERAS.replace(hidden=(12,)), visible_dropout=0.0, hidden_dropout=0.0)
OUTPUTS = [PLAIN, PLAIN.replace(network=PLAIN.network.replace(output="sigmoid"))]
every_output = pytest.mark.parametrize("method", OUTPUTS, ids=["softmax", "sigmoid"])
NOTHING = Extra(None, None)


@pytest.fixture(scope="module")
def data(blobs):
    return training_data(blobs)


def params_of(method, data):
    return start(method, jax.random.key(0), data)[0]


def update(method, params, extra, made, alpha=1.5, seed=1):
    """What a step of gradient descent at a rate of 1 changes, the loss and the rest."""
    state = TrainState(params, SGD.init(params), extra)
    after, loss, aux = step(method, SGD, state, made, jnp.float32(alpha), jax.random.key(seed))
    return jax.tree.map(np.subtract, *jax.device_get((params, after.params))), loss, aux


# ---- the paper's equations


def plain_step(params, velocity, p, rate, batch, weights, masks):
    """Eq. 9-11, 14 and 15 for one hidden layer, written with sums and no library; float64."""
    w1, b1, w2, b2 = params
    keep_visible, keep_hidden = 0.8, 0.5
    x, y, unlabelled = batch

    def clean(x):
        return keep_hidden * np.maximum((keep_visible * x) @ w1 + b1, 0) @ w2 + b2

    def one_hot(labels):
        return np.eye(w2.shape[1])[labels]

    targets = np.concatenate([one_hot(y), one_hot(clean(unlabelled).argmax(axis=1))])
    visible = np.concatenate([x, unlabelled]) * masks[0]
    active = visible @ w1 + b1
    hidden = np.maximum(active, 0) * masks[1]
    output = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    error = weights[:, None] * (output - targets)
    back = (error @ w2.T) * masks[1] * (active > 0)
    gradients = (visible.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0))
    velocity = [p * dw - (1 - p) * rate * g for dw, g in zip(velocity, gradients, strict=True)]
    return [w + dw for w, dw in zip(params, velocity, strict=True)], velocity


@functools.partial(jax.jit, static_argnums=2)
def masks_of(method, key, rows):
    """The masks that the network draws from ``key``: what its dropout layers make of ones."""
    ones = {
        "hidden": {"kernel": jnp.zeros((12, 12)), "bias": jnp.ones(12)},
        "output": {"kernel": jnp.zeros((12, 4)), "bias": jnp.zeros(4)},
    }
    _, seen = method.model(4).apply(
        {"params": ones},
        jnp.ones((rows, 12)),
        train=True,
        rngs={"dropout": key},
        capture_intermediates=lambda module, _: type(module).__name__ == "Dropout",
    )
    return [seen["intermediates"][layer]["__call__"][0] for layer in ("visible", "drop")]


@pytest.mark.parametrize("last_batch", ["filled", "short"])
def test_rounds_are_the_papers_equations(data, last_batch):
    """Eq. 9 to 16, over five epochs of two updates: alpha, rate and momentum by hand, too."""
    phase = PSEUDO_LABEL_PHASE.replace(batches=PSEUDO_LABEL_PHASE.batches.replace(last_batch=last_batch))
    key, images = jax.random.key(0), np.asarray(data.images, np.float64) / 255
    parts = split_of(key, data)
    state = init(phase, key, parts, data)
    state = state.replace(params=jax.tree.map(lambda leaf: 30 * leaf, state.params))  # outputs that differ
    plain = [np.asarray(leaf, np.float64) for leaf in leaves_of(state.params, "hidden", "output")]
    velocity = [np.zeros_like(leaf) for leaf in plain]
    for t in range(5):
        alpha, rate, p = (0, 0, 1, 2, 2)[t], 0.5 * 0.99**t, min(0.5 + 0.08 * t, 0.9)
        rows, update_keys = draw(phase, key, jnp.int32(t), parts, data)
        rows = jax.device_get(rows)
        for of_update, update_key in enumerate(update_keys):
            labelled, unlabelled = rows.images[of_update], rows.unlabelled[of_update]
            counts = np.ones(5) if last_batch == "filled" or of_update == 0 else np.array([1, 1, 1, 0, 0])
            plain, velocity = plain_step(
                plain,
                velocity,
                p,
                rate,
                (images[labelled], np.asarray(data.labels)[labelled], images[unlabelled]),
                np.concatenate([counts / counts.sum(), np.full(16, alpha / 16)]),
                jax.device_get(masks_of(phase.method, update_key, 21)),
            )
        state, _, _ = train_round(phase, key, t, state, parts, data)
        for fast, slow in zip(leaves_of(state.params, "hidden", "output"), plain, strict=True):
            np.testing.assert_allclose(fast, slow, atol=1e-5)


# ---- pseudo-labels in the loss


@pytest.mark.parametrize(("network", "alignment"), [(NETWORK, 0.7), (KERAS, 0.0)], ids=["paper", "keras"])
def test_pseudo_labels_are_constants_for_the_gradient(network, alignment, data, blobs):
    """The update is the one where the same labels are given as data."""
    method = PSEUDO_LABEL.replace(network=network, alignment=alignment)
    made, params = batch(blobs, 5, 15), params_of(method, data)
    shares = jnp.tile(jnp.array([0.1, 0.2, 0.3, 0.4]), (2, 1)) if alignment else None
    change, _, aux = update(method, params, Extra(shares, None), made)
    known = jnp.full(len(data.labels), -1).at[made.unlabelled_rows].set(aux.pseudo_labels)
    given = update(method, params, Extra(None, known), made)[0]
    chex.assert_trees_all_close(change, given, atol=1e-6)

    def whole(params):
        logits = method.forward(params, jnp.concatenate([made.images, made.unlabelled]), jax.random.key(1))
        supervised = losses.supervised_loss(logits[:5], made.labels, made.weights, network.output)
        return supervised + 1.5 * losses.pseudo_label_loss(logits[5:], aux.pseudo_labels, network.output)

    chex.assert_trees_all_close(change, jax.jit(jax.grad(whole))(params), atol=1e-6)


def test_pseudo_labels_are_the_classes_that_the_network_gives_with_dropout_off(data, blobs):
    made, params = batch(blobs, 5, 15), params_of(PSEUDO_LABEL, data)
    _, _, aux = update(PSEUDO_LABEL, params, NOTHING, made)
    expected = np.argmax(logits_of(PSEUDO_LABEL, params, NOTHING, made.unlabelled), axis=-1)
    chex.assert_shape(aux.pseudo_labels, (15,))
    np.testing.assert_array_equal(aux.pseudo_labels, expected)
    chex.assert_type(aux.pseudo_labels, jnp.int32)


def confident_split(logits, output):
    """A threshold that half of the rows reach, and which of them do."""
    logits = np.asarray(logits)
    outputs = 1 / (1 + np.exp(-logits)) if output == "sigmoid" else scipy.special.softmax(logits, axis=-1)
    largest = np.sort(outputs.max(axis=-1))
    threshold = float(largest[len(largest) // 2 - 1 :][:2].mean())  # between two rows
    return threshold, outputs.max(axis=-1) >= threshold


@every_output
def test_a_row_below_the_threshold_has_no_gradient(method, data, blobs):
    """The same update comes of a batch in which such a row holds other pixels, and of confident rows alone."""
    made, params, output = batch(blobs, 6, 15), params_of(method, data), method.network.output
    logits = np.asarray(logits_of(method, params, NOTHING, made.unlabelled))
    threshold, sure = confident_split(logits, output)
    assert 0 < sure.sum() < 15

    def whole(params):
        logits = method.logits(params, NOTHING, jnp.concatenate([made.images, made.unlabelled]))
        supervised = losses.supervised_loss(logits[:6], made.labels, made.weights, output)
        own = losses.classification_loss(logits[6:][sure], jnp.argmax(logits[6:][sure], axis=-1), output)
        return supervised + 1.5 * own.sum() / 15

    change, _, aux = update(method.replace(threshold=threshold), params, NOTHING, made)
    chex.assert_trees_all_close(change, jax.jit(jax.grad(whole))(params), atol=1e-6)
    np.testing.assert_array_equal(aux.pseudo_labels, np.where(sure, logits.argmax(axis=-1), -1))
    labels = jnp.full(len(data.labels), -1).at[made.unlabelled_rows].set(aux.pseudo_labels)
    others = made._replace(unlabelled=made.unlabelled.at[~sure].set(0.5))
    known, changed = (update(method, params, Extra(None, labels), of)[0] for of in (made, others))
    chex.assert_trees_all_equal(known, changed)


def test_aligned_labels_are_those_of_aligned_outputs(data, blobs):
    method, made = PLAIN.replace(alignment=1.0), batch(blobs, 5, 55)
    params = params_of(method, data)
    # A network that sees the first class everywhere.
    params["output"]["bias"] = params["output"]["bias"].at[0].set(5.0)
    shares = jnp.full((2, 4), 0.25)
    seen, aligned = (
        jax.jit(of.pseudo_labels)(params, extra, made.unlabelled, made.unlabelled_rows)
        for of, extra in ((PLAIN, NOTHING), (method, Extra(shares, None)))
    )
    np.testing.assert_array_equal(seen, 0)
    expected = jax.jit(losses.align)(logits_of(method, params, NOTHING, made.unlabelled), shares, 1.0).argmax(axis=1)
    np.testing.assert_array_equal(aligned, expected)
    assert len(set(expected.tolist())) > 1


def test_shares_are_those_of_the_labelled_images(data):
    """Of three images of one class and five of another; places that are none do not count."""
    method, key = PSEUDO_LABEL.replace(alignment=1.0), jax.random.key(0)
    parts = split_of(key, data).replace(labelled=jnp.array([0, 4, 8, 3, 7, 11, 15, 19], jnp.int32))
    padded = parts.replace(labelled=jnp.pad(parts.labelled, (0, 2), constant_values=1))
    for split in (parts, padded):
        _, extra = jax.jit(method.init)(key, data, split, {})
        np.testing.assert_allclose(extra.shares, [[3 / 8, 0, 0, 5 / 8]] * 2)
    assert jax.jit(PSEUDO_LABEL.init)(key, data, parts, {})[1] == NOTHING


# ---- what the unlabelled images change, and when


def test_an_update_of_weight_zero_is_that_of_supervised_training(data, blobs):
    """With unlabelled images or without: the labelled ones meet the same dropout masks."""
    method, made = PSEUDO_LABEL, batch(blobs, 5, 15)
    params, short = params_of(method, data), made._replace(unlabelled=None, unlabelled_rows=None)
    expected, loss, _ = update(Supervised(network=NETWORK, **DROPOUT), params, None, short)
    for of in (made, short):
        change, own_loss, _ = update(method, params, NOTHING, of, alpha=0.0)
        chex.assert_trees_all_close((change, own_loss), (expected, loss), rtol=1e-5, atol=1e-6)


def test_training_is_supervised_until_alpha_rises(data):
    """To rounding; to the bit where programs are optimised as usual: see test_as_users_run."""
    late = PSEUDO_LABEL_PHASE.replace(method=PSEUDO_LABEL.replace(t1=2, t2=3))
    same = [train(phase, data, rounds=3)[0].params for phase in (late, SUPERVISED_PHASE)]
    chex.assert_trees_all_close(*same, atol=1e-6)
    parted = [train(phase, data)[0].params for phase in (late, SUPERVISED_PHASE)]
    with pytest.raises(AssertionError):
        chex.assert_trees_all_close(*parted, atol=1e-6)


def test_where_alpha_is_zero_the_unlabelled_images_change_nothing(data):
    """Not even where seeds are stacked: NaN in their place changes nothing, and everything when alpha is more."""
    phase = ALIGNED_PHASE
    floats = data.replace(images=data.images.astype(jnp.float32) / 255)
    parts, keys = split_of(jax.random.key(0), data), jax.random.split(jax.random.key(1))
    blind = floats.replace(images=floats.images.at[parts.unlabelled].set(jnp.nan))
    begin = jax.jit(jax.vmap(phases.init_state, (None, 0, None, None, None)))
    one_round = jax.jit(jax.vmap(phases.train_round, (None, 0, None, 0, None, None)))
    state = begin(phase, keys, {}, parts, floats)
    seen, unseen = (
        [one_round(phase, keys, jnp.int32(t), state, parts, images) for t in (1, 2)] for images in (floats, blind)
    )
    chex.assert_trees_all_equal(unseen[0], seen[0])
    assert [bool(metrics["finite"].any()) for _, metrics, _ in (*seen, *unseen)] == [True, True, True, False]


def test_a_threshold_that_every_output_reaches_trains_as_none_does(data):
    low = PSEUDO_LABEL_PHASE.replace(method=PSEUDO_LABEL.replace(threshold=1e-30))
    chex.assert_trees_all_close(train(PSEUDO_LABEL_PHASE, data), train(low, data), atol=1e-6)  # two programs


def test_a_threshold_that_no_output_reaches_is_supervised_training(data):
    # Outputs of new weights are about a half each, and stay below this one within four epochs.
    never = PSEUDO_LABEL_PHASE.replace(method=PSEUDO_LABEL.replace(threshold=0.9999))
    one, two = (train(of, data)[0].params for of in (never, SUPERVISED_PHASE))
    chex.assert_trees_all_close(one, two, atol=1e-6)


# ---- labels given once


def test_labels_given_once_are_those_of_the_network_that_the_phase_starts_from(data):
    before, _ = train(SUPERVISED_PHASE, data)
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(ONCE_PHASE, key, parts, data, before.params)
    chex.assert_trees_all_equal(state.params, before.params)
    reach = 30 + 2 * 16  # the buffer, and what is drawn
    predicted = np.argmax(logits_of(ONCE_PHASE.method, before.params, None, data.images), axis=-1)
    expected = np.where(np.arange(len(data.labels)) < reach, predicted, -1)
    np.testing.assert_array_equal(state.extra.labels, expected)
    after, _ = train(ONCE_PHASE, data, start=before.params)
    np.testing.assert_array_equal(after.extra.labels, state.extra.labels)
    assert (state.params["output"]["bias"] != after.params["output"]["bias"]).any()


def test_a_round_trains_with_the_labels_given_once_and_returns_them(data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(ONCE_PHASE, key, parts, data)
    after, _, assigned = train_round(ONCE_PHASE, key, 3, state, parts, data)
    np.testing.assert_array_equal(assigned.labels, state.extra.labels[assigned.rows])
    other = state.replace(extra=state.extra._replace(labels=(state.extra.labels + 1) % 4))
    changed, _, assigned = train_round(ONCE_PHASE, key, 3, other, parts, data)
    np.testing.assert_array_equal(assigned.labels, other.extra.labels[assigned.rows])
    assert (changed.params["output"]["bias"] != after.params["output"]["bias"]).any()


def test_labels_given_once_are_held_to_the_threshold_and_aligned(data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    method = PLAIN.replace(assign="once")
    params = params_of(method, data)
    logits = logits_of(method, params, None, data.images[parts.unlabelled])
    threshold, sure = confident_split(logits, "softmax")
    _, extra = start(method.replace(threshold=threshold), key, data, params)
    given = extra.labels[parts.unlabelled]
    np.testing.assert_array_equal(given, np.where(sure, np.argmax(logits, axis=-1), -1))
    _, extra = start(method.replace(alignment=1.0), key, data, params)
    expected = jax.jit(losses.align)(logits, extra.shares, 1.0).argmax(axis=-1)
    np.testing.assert_array_equal(extra.labels[parts.unlabelled], expected)
    known = jnp.concatenate([parts.labelled, parts.validation])
    np.testing.assert_array_equal(extra.labels[known], -1)


# ---- the metrics and labels of a round, and evaluations


def test_metrics_of_a_round(data):
    _, metrics = train(PSEUDO_LABEL_PHASE, data)
    assert [float(of_round["alpha"]) for of_round in metrics] == [0, 0, 1, 2]
    assert np.isnan([float(of_round["unlabelled_loss"]) for of_round in metrics]).tolist() == [True, True, False, False]
    assert np.isfinite([float(of_round["labelled_loss"]) for of_round in metrics]).all()


def test_a_round_returns_the_pseudo_labels_of_its_images(data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(PSEUDO_LABEL_PHASE, key, parts, data)
    unread, read = (train_round(PSEUDO_LABEL_PHASE, key, t, state, parts, data)[2] for t in (0, 3))
    for assigned in (unread, read):
        chex.assert_shape([assigned.rows, assigned.labels], (2 * 16,))
        chex.assert_type([assigned.rows, assigned.labels], jnp.int32)
        assert set(assigned.rows.tolist()) <= set(parts.unlabelled.tolist())
    assert set(unread.labels.tolist()) == {-1}  # alpha is 0
    first = read.rows[:16]  # the second update meets other weights
    np.testing.assert_array_equal(read.labels[:16], predictions(state, data)[first])


def predictions(state, data):
    return np.argmax(logits_of(PSEUDO_LABEL, state.params, NOTHING, data.images), axis=-1)


@pytest.mark.parametrize("phase", [PSEUDO_LABEL_PHASE, ONCE_PHASE], ids=["every_update", "once"])
def test_the_accuracies_of_an_evaluation_are_those_of_its_images(phase, data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(phase, key, parts, data)
    predicted, truth = predictions(state, data), np.asarray(data.labels)
    metrics, labels = dataclasses.astuple(evaluate(phase, state, parts, data))
    for name, rows in (("validation_accuracy", parts.validation), ("unlabelled_accuracy", parts.unlabelled)):
        np.testing.assert_allclose(metrics[name], (predicted[rows] == truth[rows]).mean(), rtol=1e-6)
    expected = (predicted == truth)[parts.unlabelled if phase is PSEUDO_LABEL_PHASE else np.arange(62)]
    np.testing.assert_allclose(metrics["pseudo_label_accuracy"], expected.mean(), rtol=1e-6)
    known = predicted[parts.unlabelled] if phase is PSEUDO_LABEL_PHASE else state.extra.labels[:62]
    np.testing.assert_array_equal(labels, known)


@pytest.mark.parametrize("phase", [PSEUDO_LABEL_PHASE, ONCE_PHASE], ids=["every_update", "once"])
def test_images_of_unknown_class_are_in_no_accuracy(phase, data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(phase, key, parts, data)
    few = data.replace(labels=data.labels.at[parts.unlabelled[10:]].set(-1))
    none = data.replace(labels=data.labels.at[parts.unlabelled].set(-1))
    whole, of_few, of_none = (evaluate(phase, state, parts, of).metrics for of in (data, few, none))
    rows = parts.unlabelled[:10]
    right = predictions(state, data)[rows] == np.asarray(data.labels)[rows]
    np.testing.assert_allclose(of_few["unlabelled_accuracy"], right.mean(), rtol=1e-6)
    assert jnp.isnan(of_none["unlabelled_accuracy"])
    assert len({float(metrics["validation_accuracy"]) for metrics in (whole, of_few, of_none)}) == 1


def test_accuracy_is_of_those_whose_class_is_known():
    predicted, truth = jnp.array([0, 1, 2, 3, 0]), jnp.array([0, -1, 1, 3, -1])
    np.testing.assert_allclose(phases.accuracy(predicted, truth), 2 / 3, rtol=1e-6)
    assert float(phases.accuracy(jnp.array([-1, 0]), jnp.array([-1, 0]))) == 1  # no label is not the right one
    for unknown in (jnp.full(5, -1), jnp.zeros(0, jnp.int32)):
        assert jnp.isnan(phases.accuracy(predicted[: len(unknown)], unknown))
