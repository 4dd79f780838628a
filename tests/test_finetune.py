import dataclasses
import functools
import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pljax import finetune, losses, split
from pljax.config import Adam, Config, Dropout, Finetune, PaperMomentum, PseudoLabels
from pljax.models import Classifier, forward, predict
from pljax.optimizers import paper_momentum
from pljax.seeds import over_seeds, seed_keys
from pljax.types import TrainingData, TrainState

MOMENTUM = PaperMomentum(rate=0.5, decay=0.99, initial_momentum=0.5, final_momentum=0.9, momentum_epochs=5)
PSEUDO = PseudoLabels(alpha_f=2.0, t1=1, t2=3, batch_size=16)
PHASE = Finetune(4, 5, MOMENTUM, Dropout(0.2, 0.5), PSEUDO)
CONFIG = Config("test", "pl", (PHASE,), (12,), "normal", False, "sigmoid", labels=8, validation=20)
ONCE = dataclasses.replace(PSEUDO, assign="once", draw="shuffle_buffer", buffer_size=30)
ALIGNED = dataclasses.replace(PSEUDO, alignment=1.0, threshold=0.3)


@pytest.fixture(scope="module")
def data(blobs):
    return TrainingData(jnp.asarray(blobs.train_images), jnp.asarray(blobs.train_labels))


@jax.jit
def split_of(key, data):
    return split.make(jax.random.fold_in(key, 0), data.labels, classes=4, labels=8, validation=20, choose="random")


@functools.cache
def compiled(phase, config=CONFIG, options=()):
    trainer, jit = finetune.trainer(config, phase, 4), functools.partial(jax.jit, compiler_options=dict(options))
    return trainer._replace(init=jit(trainer.init), advance=jit(trainer.advance), evaluate=jit(trainer.evaluate))


def train(data, *, phase=PHASE, config=CONFIG, seed=0, epochs=4, parts=None, handed_on=None, options=()):
    """One seed, alone: its state and the metrics of every epoch."""
    trainer, key = compiled(phase, config, options), jax.random.key(seed)
    parts = split_of(key, data) if parts is None else parts
    state, metrics = trainer.init(key, handed_on or {}, parts, data), []
    for t in range(epochs):
        state, of_epoch, _ = trainer.advance(key, jnp.int32(t), state, parts, data)
        metrics.append(of_epoch)
    return state, metrics


# ---- the step


def plain_step(params, velocity, p, rate, alpha, batch, masks):
    """Eq. 9-11, 14 and 15 for one hidden layer, written with sums and no library; float64."""
    w1, b1, w2, b2 = params
    keep_visible, keep_hidden = 0.8, 0.5
    x, y, unlabelled = batch

    def clean(x):
        return keep_hidden * np.maximum((keep_visible * x) @ w1 + b1, 0) @ w2 + b2

    def one_hot(labels):
        return np.eye(w2.shape[1])[labels]

    targets = np.concatenate([one_hot(y), one_hot(clean(unlabelled).argmax(axis=1))])
    weights = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(unlabelled), alpha / len(unlabelled))])
    visible = np.concatenate([x, unlabelled]) * masks[0]
    active = visible @ w1 + b1
    hidden = np.maximum(active, 0) * masks[1]
    output = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    error = weights[:, None] * (output - targets)
    back = (error @ w2.T) * masks[1] * (active > 0)
    gradients = (visible.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0))
    velocity = [p * dw - (1 - p) * rate * g for dw, g in zip(velocity, gradients, strict=True)]
    return [w + dw for w, dw in zip(params, velocity, strict=True)], velocity


def leaves_of(params):
    return [params[layer][kind] for layer in ("hidden", "output") for kind in ("kernel", "bias")]


def masks_of(model, key, rows, features):
    """The masks that the model draws from ``key``: what its dropout layers make of ones."""
    ones = {
        "hidden": {"kernel": jnp.zeros((features, 12)), "bias": jnp.ones(12)},
        "output": {"kernel": jnp.zeros((12, 4)), "bias": jnp.zeros(4)},
    }
    _, seen = model.apply(
        {"params": ones},
        jnp.ones((rows, features)),
        train=True,
        rngs={"dropout": key},
        capture_intermediates=lambda module, _: type(module).__name__ == "Dropout",
    )
    return [np.asarray(seen["intermediates"][layer]["__call__"][0]) for layer in ("visible", "drop")]


def test_the_step_is_the_papers_equations_over_several_updates(blobs):
    model = Classifier((12,), 4, 0.2, 0.5, False, "glorot")
    p, rate, alpha, key = 0.7, 0.3, 1.7, jax.random.key(5)
    optimizer = paper_momentum(lambda t: rate, lambda t: p)
    images = blobs.train_images.astype(np.float64) / 255
    params = model.init(key, jnp.zeros((1, 12)))["params"]
    state = TrainState(params, optimizer.init(params))
    plain = [
        np.asarray(params[layer][kind], np.float64) for layer in ("hidden", "output") for kind in ("kernel", "bias")
    ]
    velocity = [np.zeros_like(leaf) for leaf in plain]
    train_step = jax.jit(functools.partial(finetune.train_step, finetune.Step(model, optimizer, "sigmoid")))
    for update in range(6):
        labelled, unlabelled = np.arange(5) + 5 * update, np.arange(9) + 100 + 9 * update
        dropout_key = jax.random.fold_in(key, update)
        batch = finetune.Batch(
            jnp.asarray(images[labelled], jnp.float32),
            jnp.asarray(blobs.train_labels[labelled]),
            jnp.ones(5),
            jnp.asarray(images[unlabelled], jnp.float32),
        )
        state, _, _ = train_step(state, batch, jnp.float32(alpha), dropout_key)
        plain, velocity = plain_step(
            plain,
            velocity,
            p,
            rate,
            alpha,
            (images[labelled], blobs.train_labels[labelled], images[unlabelled]),
            masks_of(model, dropout_key, 14, 12),
        )
    for fast, slow in zip(leaves_of(state.params), plain, strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-5)


@pytest.mark.parametrize("widths", [(12,), (12, 7), (12, 7, 5)])
@pytest.mark.parametrize("given_once", [False, True])
def test_the_steps_own_product_has_the_gradient_of_the_whole_network(blobs, widths, given_once):
    model, alpha, key = Classifier(widths, 4, 0.2, 0.5, False, "glorot"), jnp.float32(1.5), jax.random.key(1)
    params = model.init(jax.random.key(0), jnp.zeros((1, 12)))["params"]
    images, labels = jnp.asarray(blobs.train_images[:20], jnp.float32) / 255, jnp.asarray(blobs.train_labels[:5])
    pseudo_labels = jnp.argmax(forward(model, params, images[5:]), axis=-1).astype(jnp.int32)

    def whole(params):
        logits = forward(model, params, images, key)
        supervised = losses.supervised_loss(logits[:5], labels, jnp.ones(5), "sigmoid")
        return supervised + alpha * losses.pseudo_label_loss(logits[5:], pseudo_labels, "sigmoid")

    batch = finetune.Batch(images[:5], labels, jnp.ones(5), images[5:], pseudo_labels if given_once else None)
    step = finetune.Step(model, optax.sgd(1.0), "sigmoid")
    state, _, _ = finetune.train_step(step, TrainState(params, step.optimizer.init(params)), batch, alpha, key)
    by_hand = jax.tree.map(jnp.subtract, params, state.params)
    chex.assert_trees_all_close(by_hand, jax.grad(whole)(params), atol=1e-6)


@pytest.fixture(scope="module")
def sparse(blobs):
    """Images of which a pixel in ten is lit, and a pixel in four columns."""
    lit = np.random.default_rng(1).random(blobs.train_images.shape) < 0.1
    return TrainingData(jnp.asarray(blobs.train_images * lit), jnp.asarray(blobs.train_labels))


@pytest.mark.parametrize("pseudo", [PSEUDO, ONCE])
@pytest.mark.parametrize("room", [12, 11, 3])  # for all columns; for those of most mini-batches; for those of none
def test_columns_that_are_0_are_left_out_and_change_nothing(sparse, pseudo, room):
    phase = dataclasses.replace(PHASE, pseudo_labels=pseudo)
    plain, expected = train(sparse, phase=phase)
    fast, metrics = train(sparse.replace(columns=room), phase=phase)
    chex.assert_trees_all_close(fast, plain, atol=1e-5)
    chex.assert_trees_all_close(metrics, expected, atol=1e-5)


@pytest.mark.parametrize("visible_dropout", [0.0, 0.2])
def test_the_gradient_takes_pseudo_labels_for_constants(blobs, visible_dropout):
    """Labelling inside the step or beforehand is the same: no gradient flows through the choice."""
    model = Classifier((12,), 4, visible_dropout, 0.0, False, "glorot")
    step = finetune.Step(model, paper_momentum(lambda t: 0.3, lambda t: 0.5), "sigmoid")
    params = model.init(jax.random.key(0), jnp.zeros((1, 12)))["params"]
    state = TrainState(params, step.optimizer.init(params))
    images = jnp.asarray(blobs.train_images[:20], jnp.float32) / 255
    inside = finetune.Batch(images[:5], jnp.asarray(blobs.train_labels[:5]), jnp.ones(5), images[5:])
    labels = jnp.argmax(predict(model, params, jnp.asarray(blobs.train_images[5:20])), axis=-1).astype(jnp.int32)
    one, _, _ = finetune.train_step(step, state, inside, jnp.float32(1), jax.random.key(1))
    two, _, _ = finetune.train_step(
        step, state, inside._replace(pseudo_labels=labels), jnp.float32(1), jax.random.key(1)
    )
    chex.assert_trees_all_close(one.params, two.params, atol=1e-6)  # two products of other sizes


def confident_split(logits, output):
    """A threshold that half of the rows reach, and which of them do."""
    largest = (jax.nn.sigmoid if output == "sigmoid" else jax.nn.softmax)(logits).max(axis=-1)
    threshold = float(jnp.median(largest))
    return threshold, np.asarray(largest >= threshold)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_a_row_below_the_threshold_has_no_gradient(blobs, output):
    """The same update comes of a batch in which such a row holds other pixels, and of confident rows alone."""
    model, alpha, key = Classifier((12,), 4, 0.0, 0.0, False, "glorot"), jnp.float32(1.5), jax.random.key(1)
    params = model.init(jax.random.key(0), jnp.zeros((1, 12)))["params"]
    images, labels = jnp.asarray(blobs.train_images[:21], jnp.float32) / 255, jnp.asarray(blobs.train_labels[:6])
    logits = forward(model, params, images[6:])
    threshold, sure = confident_split(logits, output)
    assert 0 < sure.sum() < 15
    step = finetune.Step(model, optax.sgd(1.0), output, threshold)
    state = TrainState(params, step.optimizer.init(params))

    def whole(params):
        logits = forward(model, params, images)
        supervised = losses.supervised_loss(logits[:6], labels, jnp.ones(6), output)
        own = losses.classification_loss(logits[6:][sure], jnp.argmax(logits[6:][sure], axis=-1), output)
        return supervised + alpha * own.sum() / 15

    batch = finetune.Batch(images[:6], labels, jnp.ones(6), images[6:])
    after, _, given = finetune.train_step(step, state, batch, alpha, key)
    chex.assert_trees_all_close(jax.tree.map(jnp.subtract, params, after.params), jax.grad(whole)(params), atol=1e-6)
    np.testing.assert_array_equal(given, np.where(sure, jnp.argmax(logits, axis=-1), -1))
    known = batch._replace(unlabelled=images[6:].at[~sure].set(0.5), pseudo_labels=given)
    other, *_ = finetune.train_step(step, state, known, alpha, key)
    chex.assert_trees_all_equal(after.params, other.params)


# ---- the laws of a phase


def test_alpha_zero_is_supervised_training(data):
    never = dataclasses.replace(PHASE, pseudo_labels=dataclasses.replace(PSEUDO, alpha_f=0.0))
    supervised = dataclasses.replace(PHASE, pseudo_labels=None)
    one, two = (train(data, phase=phase)[0].params for phase in (never, supervised))
    chex.assert_trees_all_close(one, two, atol=1e-7)  # two programs, which may differ in the last bit


def test_unlabelled_rows_of_weight_zero_change_nothing(blobs):
    """What the shortcut at alpha = 0 leaves out has no effect: labelled rows meet the same dropout masks."""
    model = Classifier((12,), 4, 0.2, 0.5, False, "glorot")
    step = finetune.Step(model, paper_momentum(lambda t: 0.3, lambda t: 0.5), "sigmoid")
    params = model.init(jax.random.key(0), jnp.zeros((1, 12)))["params"]
    state = TrainState(params, step.optimizer.init(params))
    images = jnp.asarray(blobs.train_images[:20], jnp.float32) / 255
    short = finetune.Batch(images[:5], jnp.asarray(blobs.train_labels[:5]), jnp.ones(5))
    long = short._replace(unlabelled=images[5:])
    one, _, _ = finetune.train_step(step, state, short, jnp.float32(0), jax.random.key(1))
    two, _, _ = finetune.train_step(step, state, long, jnp.float32(0), jax.random.key(1))
    chex.assert_trees_all_close(one.params, two.params, atol=1e-7)


# As programs are compiled outside of tests: two that tests compile with less care may differ in the last bit.
AS_USUAL = (
    ("xla_backend_optimization_level", 3),
    ("xla_llvm_disable_expensive_passes", False),
    *((("xla_cpu_use_fusion_emitters", True),) if "xla_cpu_use_fusion_emitters" in os.environ["XLA_FLAGS"] else ()),
)


def test_scenarios_share_their_course_until_alpha_rises(data):
    late = dataclasses.replace(PHASE, pseudo_labels=dataclasses.replace(PSEUDO, t1=2, t2=3))
    supervised = dataclasses.replace(PHASE, pseudo_labels=None)
    same = [train(data, phase=phase, epochs=3, options=AS_USUAL)[0].params for phase in (late, supervised)]
    chex.assert_trees_all_equal(*same)
    parted = [train(data, phase=phase, epochs=4)[0].params for phase in (late, supervised)]
    with pytest.raises(AssertionError):
        chex.assert_trees_all_close(*parted, atol=1e-6)


@pytest.mark.parametrize("pseudo", [PSEUDO, ONCE, ALIGNED])
def test_hidden_labels_of_unlabelled_and_validation_images_change_no_weight(data, pseudo):
    phase = dataclasses.replace(PHASE, pseudo_labels=pseudo)
    parts = split_of(jax.random.key(0), data)
    hidden = jnp.concatenate([parts.unlabelled, parts.validation])
    shuffled = data.replace(labels=data.labels.at[hidden].set(data.labels[jnp.roll(hidden, 1)]))
    assert (shuffled.labels != data.labels).any()
    one, two = (train(d, phase=phase, parts=parts) for d in (data, shuffled))
    chex.assert_trees_all_equal(one[0], two[0])
    chex.assert_trees_all_equal(one[1], two[1])


@pytest.mark.parametrize("pseudo", [PSEUDO, ONCE, ALIGNED])
def test_labels_that_are_not_known_train_the_same_weights_as_hidden_ones(data, pseudo):
    phase = dataclasses.replace(PHASE, pseudo_labels=pseudo)
    parts = split_of(jax.random.key(0), data)
    unknown = data.replace(labels=data.labels.at[parts.unlabelled].set(-1))
    chex.assert_trees_all_equal(*(train(d, phase=phase, parts=parts) for d in (data, unknown)))


@pytest.mark.parametrize("pseudo", [PSEUDO, ONCE])
def test_a_threshold_that_every_output_reaches_trains_as_none_does(data, pseudo):
    phases = (
        dataclasses.replace(PHASE, pseudo_labels=dataclasses.replace(pseudo, threshold=threshold))
        for threshold in (0.0, 1e-30)
    )
    assert pseudo.threshold == 0.0
    without, with_threshold = (train(data, phase=phase) for phase in phases)
    chex.assert_trees_all_close(without, with_threshold, atol=1e-6)  # two programs


@pytest.mark.parametrize("pseudo", [PSEUDO, ONCE])
def test_a_threshold_that_no_output_reaches_is_supervised_training(data, pseudo):
    # Outputs of new weights are about a half each, and stay below this one within four epochs.
    never = dataclasses.replace(PHASE, pseudo_labels=dataclasses.replace(pseudo, threshold=0.9999))
    supervised = dataclasses.replace(PHASE, pseudo_labels=None)
    one, two = (train(data, phase=phase)[0].params for phase in (never, supervised))
    chex.assert_trees_all_close(one, two, atol=1e-6)


@pytest.mark.parametrize("pseudo", [PSEUDO, ONCE])
@pytest.mark.parametrize("seeds", [[3, 0, 2], [3, 0, 2, 1]])  # one after another; mapped over two devices
def test_stacked_seeds_are_the_seeds_alone_in_any_order(data, pseudo, seeds):
    phase = dataclasses.replace(PHASE, pseudo_labels=pseudo)
    trainer = compiled(phase)
    split_all, init = over_seeds(split_of, (0, None)), over_seeds(trainer.init, (0, None, 0, None))
    advance = over_seeds(trainer.advance, (0, None, 0, 0, None))

    def stacked(seeds):
        keys = seed_keys(seeds)
        parts = split_all(keys, data)
        state = init(keys, {}, parts, data)
        for t in range(4):
            state, _, _ = advance(keys, jnp.int32(t), state, parts, data)
        return state.params

    some, order = stacked(seeds), np.roll(np.arange(len(seeds)), 1)
    reordered = jax.tree.map(lambda leaf: leaf[order], some)
    chex.assert_trees_all_close(reordered, stacked([seeds[place] for place in order]), atol=1e-5)
    for place, seed in enumerate(seeds):
        alone = train(data, phase=phase, seed=seed)[0].params
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[place], some), alone, atol=1e-5)  # noqa: B023


def test_a_phase_is_compiled_once(data):
    trainer, key = compiled(PHASE), jax.random.key(0)
    parts = split_of(key, data)
    state = trainer.init(key, {}, parts, data)

    @jax.jit
    @chex.assert_max_traces(n=1)
    def advance(*arguments):
        return finetune.trainer(CONFIG, PHASE, 4).advance(*arguments)

    for t in range(4):
        state, _, _ = advance(key, jnp.int32(t), state, parts, data)


def test_at_alpha_zero_the_unlabelled_images_are_not_even_read(data):
    """The condition stays a branch under the axis of seeds, or it would save nothing."""
    trainer = compiled(PHASE)
    keys = seed_keys([0, 1])
    parts = over_seeds(split_of, (0, None))(keys, data)
    state = over_seeds(trainer.init, (0, None, 0, None))(keys, {}, parts, data)
    advance = jax.vmap(trainer.advance, in_axes=(0, None, 0, 0, None))
    assert " cond[" in str(jax.make_jaxpr(advance)(keys, jnp.int32(0), state, parts, data))


def test_metrics_of_an_epoch(data):
    _, metrics = train(data)
    assert [float(of_epoch["alpha"]) for of_epoch in metrics] == [0, 0, 1, 2]
    assert np.isnan([float(of_epoch["unlabelled_loss"]) for of_epoch in metrics]).tolist() == [True, True, False, False]
    np.testing.assert_allclose(
        [of_epoch["learning_rate"] for of_epoch in metrics], 0.5 * 0.99 ** np.arange(4), rtol=1e-6
    )
    np.testing.assert_allclose([of_epoch["momentum"] for of_epoch in metrics], 0.5 + 0.08 * np.arange(4), rtol=1e-6)
    assert all(of_epoch["finite"] for of_epoch in metrics)


def test_an_epoch_tells_which_images_were_labelled_how(data):
    trainer, key = compiled(PHASE), jax.random.key(0)
    parts = split_of(key, data)
    state = trainer.init(key, {}, parts, data)
    _, _, unread = trainer.advance(key, jnp.int32(0), state, parts, data)
    _, _, read = trainer.advance(key, jnp.int32(3), state, parts, data)
    for labelling in (unread, read):
        chex.assert_shape([labelling.rows, labelling.labels], (2 * 16,))
        assert set(labelling.rows.tolist()) <= set(parts.unlabelled.tolist())
    assert set(unread.labels.tolist()) == {-1}  # alpha is 0
    first = read.rows[:16]  # the second update meets other weights
    predicted = predict(finetune.classifier(CONFIG, PHASE, 4), state.params, data.images[first])
    np.testing.assert_array_equal(read.labels[:16], jnp.argmax(predicted, axis=-1))


def test_an_epoch_with_labels_given_once_tells_those(data):
    phase = dataclasses.replace(PHASE, pseudo_labels=ONCE)
    trainer, key = compiled(phase), jax.random.key(0)
    parts = split_of(key, data)
    state = trainer.init(key, {}, parts, data)
    _, _, labelling = trainer.advance(key, jnp.int32(3), state, parts, data)
    np.testing.assert_array_equal(labelling.labels, state.pseudo_labels[labelling.rows])


def test_a_phase_without_pseudo_labels_labels_nothing(data):
    trainer, key = compiled(dataclasses.replace(PHASE, pseudo_labels=None)), jax.random.key(0)
    parts = split_of(key, data)
    _, _, labelling = trainer.advance(key, jnp.int32(3), trainer.init(key, {}, parts, data), parts, data)
    assert labelling is None


def test_a_seed_that_diverges_is_seen(data):
    trainer, key = compiled(PHASE), jax.random.key(0)
    parts = split_of(key, data)
    state = trainer.init(key, {}, parts, data)
    assert trainer.advance(key, jnp.int32(0), state, parts, data)[1]["finite"]
    huge = state.replace(params=jax.tree.map(lambda leaf: 1e30 * leaf, state.params))
    assert not trainer.advance(key, jnp.int32(0), huge, parts, data)[1]["finite"]


def test_training_learns(data, blobs):
    phase = Finetune(60, 5, Adam(0.03), None, dataclasses.replace(PSEUDO, t1=20, t2=40))
    config = dataclasses.replace(CONFIG, initial_weights="glorot")
    state, _ = train(data, phase=phase, config=config, epochs=60)
    logits = predict(finetune.classifier(CONFIG, phase, 4), state.params, jnp.asarray(blobs.test_images))
    assert (jnp.argmax(logits, axis=-1) == blobs.test_labels).mean() > 0.9


def test_evaluation_measures_what_it_says(data):
    trainer, key = compiled(PHASE), jax.random.key(0)
    parts = split_of(key, data)
    state = trainer.init(key, {}, parts, data)
    predicted = jnp.argmax(predict(finetune.classifier(CONFIG, PHASE, 4), state.params, data.images), axis=-1)
    metrics, labels = dataclasses.astuple(trainer.evaluate(state, parts, data))
    for name, rows in (("validation_accuracy", parts.validation), ("unlabelled_accuracy", parts.unlabelled)):
        np.testing.assert_allclose(metrics[name], (predicted[rows] == data.labels[rows]).mean(), rtol=1e-6)
    assert float(metrics["pseudo_label_accuracy"]) == float(metrics["unlabelled_accuracy"])
    np.testing.assert_array_equal(labels, predicted[parts.unlabelled])


def test_accuracy_is_of_those_whose_class_is_known():
    predicted, truth = jnp.array([0, 1, 2, 3, 0]), jnp.array([0, -1, 1, 3, -1])
    np.testing.assert_allclose(finetune.accuracy(predicted, truth), 2 / 3, rtol=1e-6)
    assert float(finetune.accuracy(jnp.array([-1, 0]), jnp.array([-1, 0]))) == 1  # no label is not the right one
    for unknown in (jnp.full(5, -1), jnp.zeros(0, jnp.int32)):
        assert jnp.isnan(finetune.accuracy(predicted[: len(unknown)], unknown))


@pytest.mark.parametrize("pseudo", [PSEUDO, ONCE])
def test_evaluation_leaves_out_what_is_not_known(data, pseudo):
    trainer, key = compiled(dataclasses.replace(PHASE, pseudo_labels=pseudo)), jax.random.key(0)
    parts = split_of(key, data)
    state = trainer.init(key, {}, parts, data)
    few = data.replace(labels=data.labels.at[parts.unlabelled[10:]].set(-1))
    none = data.replace(labels=data.labels.at[parts.unlabelled].set(-1))
    whole, of_few, of_none = (trainer.evaluate(state, parts, d).metrics for d in (data, few, none))
    predicted = jnp.argmax(predict(finetune.classifier(CONFIG, PHASE, 4), state.params, data.images), axis=-1)
    rows = parts.unlabelled[:10]
    np.testing.assert_allclose(of_few["unlabelled_accuracy"], (predicted[rows] == data.labels[rows]).mean(), rtol=1e-6)
    assert jnp.isnan(of_none["unlabelled_accuracy"])
    assert len({float(metrics["validation_accuracy"]) for metrics in (whole, of_few, of_none)}) == 1


def test_labels_given_once_are_those_of_the_network_that_the_phase_starts_from(data):
    phase = dataclasses.replace(PHASE, pseudo_labels=ONCE)
    before, _ = train(data, phase=dataclasses.replace(PHASE, pseudo_labels=None))
    trainer, key = compiled(phase), jax.random.key(0)
    parts = split_of(key, data)
    state = trainer.init(key, before.params, parts, data)
    chex.assert_trees_all_equal(state.params, before.params)
    reach = ONCE.buffer_size + 2 * ONCE.batch_size
    predicted = predict(finetune.classifier(CONFIG, phase, 4), before.params, data.images[:reach])
    np.testing.assert_array_equal(state.pseudo_labels, jnp.argmax(predicted, axis=-1))
    after = functools.reduce(
        lambda state, t: trainer.advance(key, jnp.int32(t), state, parts, data)[0], range(4), state
    )
    np.testing.assert_array_equal(after.pseudo_labels, state.pseudo_labels)


# ---- the batches of an epoch


@pytest.mark.parametrize(("labelled", "size"), [(100, 32), (8, 5), (6, 6), (3, 10)])
def test_an_epoch_of_short_batches_sees_every_labelled_image_once(labelled, size):
    positions, weights = finetune.labelled_batches(jax.random.key(0), labelled, size, filled=False)
    updates = -(-labelled // size)
    chex.assert_shape([positions, weights], (updates, min(size, labelled)))
    assert sorted(positions[weights == 1].tolist()) == list(range(labelled))
    assert int(weights[-1].sum()) == labelled - (updates - 1) * size
    assert (weights[:-1] == 1).all()


@pytest.mark.parametrize(("labelled", "size"), [(100, 32), (8, 5), (6, 6), (3, 10)])
def test_filled_batches_are_full_of_different_images_and_see_all(labelled, size):
    positions, weights = finetune.labelled_batches(jax.random.key(0), labelled, size, filled=True)
    assert (weights == 1).all()
    assert all(len(set(row)) == min(size, labelled) for row in positions.tolist())
    counts = np.bincount(positions.ravel(), minlength=labelled)
    assert counts.min() == 1
    assert counts.max() <= 2


def test_a_shuffle_buffer_lets_through_what_tf_data_would():
    """The same draws in plain Python: a list whose drawn place is filled by the next of the stream."""
    key, draws, size = jax.random.key(4), 200, 16
    places = jax.random.randint(key, (draws,), 0, size).tolist()
    buffer, stream, expected = list(range(size)), iter(range(size, size + draws)), []
    for place in places:
        expected.append(buffer[place])
        buffer[place] = next(stream)
    assert finetune.shuffle_buffer(key, draws, size).tolist() == expected
    assert len(set(expected)) == draws


def test_uniform_draws_cover_the_pool_evenly():
    positions = finetune.draw(jax.random.key(0), dataclasses.replace(PSEUDO, batch_size=1000), 20, 40)
    chex.assert_shape(positions, (20, 1000))
    counts = np.bincount(positions.ravel(), minlength=40)
    assert abs(counts - 500).max() < 5 * 500**0.5


def test_aligned_labels_are_those_of_aligned_outputs(blobs):
    model = Classifier((12,), 4, 0.0, 0.0, True, "glorot")
    step = finetune.Step(model, paper_momentum(lambda t: 0.3, lambda t: 0.5), "softmax", alignment=1.0)
    params = model.init(jax.random.key(0), jnp.zeros((1, 12)))["params"]
    # A network that sees the first class everywhere.
    params["output"]["bias"] = params["output"]["bias"].at[0].set(5.0)
    state = TrainState(params, step.optimizer.init(params))
    images = jnp.asarray(blobs.train_images[:60], jnp.float32) / 255
    shares = jnp.full(4, 0.25)
    batch = finetune.Batch(images[:5], jnp.asarray(blobs.train_labels[:5]), jnp.ones(5), images[5:])
    given = {
        name: finetune.train_step(step, state, of, jnp.float32(1), jax.random.key(1))[2]
        for name, of in {"as seen": batch, "aligned": batch._replace(shares=shares)}.items()
    }
    np.testing.assert_array_equal(given["as seen"], 0)
    expected = losses.align(forward(model, params, images[5:]), shares, 1.0).argmax(axis=1)
    np.testing.assert_array_equal(given["aligned"], expected)
    assert len(set(expected.tolist())) > 1


def test_shares_are_those_of_the_labelled_images(data):
    parts = split_of(jax.random.key(0), data)
    plan = finetune.trainer(dataclasses.replace(CONFIG, labels=8), dataclasses.replace(PHASE, pseudo_labels=ALIGNED), 4)
    shares = finetune.labelled_shares(plan.init.args[0], parts, data)
    np.testing.assert_allclose(shares, np.bincount(data.labels[parts.labelled], minlength=4) / 8)
