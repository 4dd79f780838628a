"""What holds for every method: of one update, of the rounds of a phase, and of their keys."""

import collections
import functools
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_seed import (
    ALIGNED_PHASE,
    GAUSSIAN,
    GAUSSIAN_PHASE,
    KERAS,
    LADDER,
    LADDER_PHASE,
    MASKING,
    MEAN_TEACHER,
    MEAN_TEACHER_PHASE,
    ONCE_PHASE,
    PSEUDO_LABEL,
    PSEUDO_LABEL_PHASE,
    SGD,
    SUPERVISED,
    SUPERVISED_PHASE,
    VAT,
    VAT_PHASE,
    batch,
    draw,
    init,
    logits_of,
    split_of,
    step,
    train,
    train_round,
    training_data,
)

import pljax
from pljax.data.batches import LabelledBatches
from pljax.methods import METHODS, NormalisedMethod
from pljax.methods.pseudo_label import PseudoLabel
from pljax.nn import sparse
from pljax.nn.optimizers import Adam, paper_momentum
from pljax.settings import everywhere
from pljax.training import phases
from pljax.training.seeds import seed_keys
from pljax.training.step import train_step
from pljax.types import TrainState

CASES = {  # every setting of a method that changes its program, in a few combinations
    "supervised, noise, inverted": SUPERVISED.replace(network=KERAS, input_noise=0.3),
    "pseudo_label": PSEUDO_LABEL,
    "pseudo_label, noise, inverted, aligned": PSEUDO_LABEL.replace(network=KERAS, input_noise=0.3, alignment=0.7),
    "pseudo_label, once": PSEUDO_LABEL.replace(assign="once", threshold=0.505),
    "autoencoder, masking, squared, inverted": MASKING.replace(network=KERAS, error="squared"),
    "autoencoder, gaussian, bottleneck": GAUSSIAN,
    "ladder": LADDER,
    "ladder, by row, without pseudo-labels": LADDER.replace(normalisation="layer", alpha_f=0.0),
    "vat": VAT,
    "vat, by row, entropy, two iterations": VAT.replace(normalisation="layer", entropy_weight=0.5, power_iterations=2),
    "mean_teacher": MEAN_TEACHER,
    "pi model, by row": MEAN_TEACHER.replace(normalisation="layer", teacher_decay=0.0),
}
NORMALISED = tuple(name for name, method in CASES.items() if isinstance(method, NormalisedMethod))
PHASES = {
    "supervised": SUPERVISED_PHASE,
    "pseudo_label, aligned": ALIGNED_PHASE,
    "pseudo_label, once": ONCE_PHASE,
    "autoencoder": GAUSSIAN_PHASE,
    "ladder": LADDER_PHASE,
    "vat": VAT_PHASE,
    "mean_teacher": MEAN_TEACHER_PHASE,
}
SLOW = ("ladder, by row, without pseudo-labels", "pi model, by row")  # like the cases beside them, and long to compile
every_method = pytest.mark.parametrize(
    "method", [pytest.param(case, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, case in CASES.items()]
)
# Their loss has targets that depend on the weights and are constants for the gradient, or a first layer of its own.
every_other_method = pytest.mark.parametrize(
    "method", [CASES[name] for name in CASES if name not in NORMALISED], ids=[n for n in CASES if n not in NORMALISED]
)
every_phase = pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
ALPHA = jnp.float32(1.5)


@pytest.fixture(autouse=True)
def _products_of_few_rows_are_sparse_too(monkeypatch):
    monkeypatch.setattr(sparse, "FEWEST_ROWS", 1)


def test_every_method_of_the_package_is_among_the_cases():
    own = {name for name, method in METHODS.items() if method.__module__.startswith("pljax.")}
    assert {type(method).__name__ for method in CASES.values()} == own


@pytest.fixture(scope="module")
def data(blobs):
    return training_data(blobs)


@pytest.fixture(scope="module")
def mixed(blobs):
    """A mini-batch in which three columns are 0."""
    made, dark = batch(blobs, 5, 9), jnp.array([2, 6, 7])
    return made._replace(images=made.images.at[:, dark].set(0), unlabelled=made.unlabelled.at[:, dark].set(0))


@jax.jit
def begin(method, data, seed):
    """The state before the first update, with weights large enough for the outputs to differ."""
    key = jax.random.key(seed)
    params, extra = method.init(key, data, split_of(key, data), {})
    params = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(key, leaf.shape), params)
    return TrainState(params, SGD.init(params), extra)


# ---- the step


@every_method
def test_a_step_goes_against_the_gradient_of_the_loss(method, data, mixed):
    """Whether the hyper-parameters are arguments of the program, as in training, or constants in it, as by hand."""
    state, key = begin(method, data, 0), jax.random.key(1)
    after, loss, aux = step(method, SGD, state, mixed, ALPHA, key)

    @jax.jit
    def by_hand(state):
        gradient = jax.value_and_grad(method.loss, has_aux=True)
        return gradient(state.params, state.extra, mixed, ALPHA, key)

    (expected_loss, expected_aux), gradients = by_hand(state)
    expected = jax.tree.map(jnp.subtract, state.params, gradients)
    chex.assert_trees_all_close((loss, aux), (expected_loss, expected_aux), rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close((after.params, after.extra), (expected, expected_aux.extra), rtol=1e-4, atol=5e-5)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(gradients))  # all parameters are trained
    chex.assert_shape([loss, *aux.metrics.values()], ())
    chex.assert_type([loss, *aux.metrics.values()], jnp.float32)


def test_a_step_keeps_the_state_of_the_optimizer(data, mixed):
    """Momentum: the second of two steps along one gradient goes further than the first."""
    rule, method, key = paper_momentum(lambda t: 0.3, lambda t: 0.9), CASES["pseudo_label"], jax.random.key(1)
    before = begin(method, data, 0).replace(opt_state=rule.init(begin(method, data, 0).params))
    once, *_ = step(method, rule, before, mixed, ALPHA, key)
    twice, *_ = step(method, rule, once.replace(params=before.params), mixed, ALPHA, key)
    first, second = (jax.tree.map(jnp.subtract, state.params, before.params) for state in (once, twice))
    chex.assert_trees_all_close(second, jax.tree.map(lambda leaf: 1.9 * leaf, first), rtol=1e-4, atol=1e-6)


@every_other_method
def test_the_gradient_is_the_slope_of_the_loss(method, data, mixed):
    """Of pseudo-labels, too: they jump, but nowhere near the weights of this test."""
    state, key = begin(method, data, 0), jax.random.key(1)
    after = step(method, SGD, state, mixed, ALPHA, key)[0].params
    gradient = jax.tree.map(np.subtract, *jax.device_get((state.params, after)))
    length = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient)))

    @jax.jit
    def loss(distance):
        params = jax.tree.map(lambda leaf, slope: leaf + distance / length * slope, state.params, gradient)
        return method.loss(params, state.extra, mixed, ALPHA, key)[0]

    np.testing.assert_allclose((loss(2e-3) - loss(-2e-3)) / 4e-3, length, rtol=0.01)


@every_other_method
def test_a_step_that_leaves_out_columns_of_zeros_is_the_same_step(method, data, mixed):
    """To rounding, whether the columns that are not 0 are as many as may be or more."""
    state, key = begin(method, data, 0), jax.random.key(1)
    plain = step(method, SGD, state, mixed, ALPHA, key)
    for most in (9, 3) if method is PSEUDO_LABEL else (9,):
        sparser = step(everywhere(method, "max_nonzero_columns", most), SGD, state, mixed, ALPHA, key)
        chex.assert_trees_all_close(sparser, plain, rtol=1e-5, atol=1e-6)


@every_other_method
def test_columns_of_zeros_are_left_out_but_under_gaussian_noise(method, data, mixed, monkeypatch):
    """Otherwise the law above would hold of nothing."""
    seen, state = [], begin(method, data, 0)
    monkeypatch.setattr(sparse, "product", lambda x, kernel, room: seen.append(room) or x @ kernel)
    sparser = everywhere(method, "max_nonzero_columns", 9)
    jax.eval_shape(lambda: sparser.loss(state.params, state.extra, mixed, ALPHA, jax.random.key(1)))
    assert set(seen) == (set() if getattr(method, "noise", None) == "gaussian" else {9})


@every_method
def test_the_key_draws_the_random_numbers_of_an_update(method, data, mixed):
    state = begin(method, data, 0)
    one, same, other = (step(method, SGD, state, mixed, ALPHA, jax.random.key(seed))[0].params for seed in (1, 1, 2))
    chex.assert_trees_all_equal(one, same)
    assert any((here != there).any() for here, there in zip(*map(jax.tree.leaves, (one, other)), strict=True))


# ---- the rounds of a phase


LEARNING = {
    "pseudo_label": PSEUDO_LABEL_PHASE.replace(  # half of twelve units are too few to learn with
        method=PseudoLabel(network=KERAS.replace(output="sigmoid"), alpha_f=2.0, t1=20, t2=40),
        optimizer=Adam(learning_rate=0.03),
    ),
    **{name: PHASES[name] for name in ("ladder", "vat", "mean_teacher")},
}


@pytest.mark.parametrize("phase", LEARNING.values(), ids=LEARNING)
def test_training_learns_most_test_images(phase, data, blobs):
    """With the labels of seed 1: with others, the ladder of a few units can take two classes for one."""
    state, _ = train(phase.replace(epochs=200), data, seed=1, rounds=200)
    predicted = logits_of(phase.method, state.params, state.extra, blobs.test_images).argmax(axis=1)
    assert (predicted == blobs.test_labels).mean() > 0.9


@every_phase
def test_hidden_labels_of_unlabelled_and_validation_images_change_no_weight(phase, data):
    """Neither permuted nor unknown."""
    parts = split_of(jax.random.key(0), data)
    hidden = jnp.concatenate([parts.unlabelled, parts.validation])
    permuted = data.replace(labels=data.labels.at[hidden].set(data.labels[jnp.roll(hidden, 1)]))
    unknown = data.replace(labels=data.labels.at[hidden].set(-1))
    assert (permuted.labels != data.labels).any()
    expected, *others = (train(phase, changed, parts=parts) for changed in (data, permuted, unknown))
    for other in others:
        chex.assert_trees_all_equal(other, expected)


@pytest.mark.parametrize(
    "phase",
    [
        pytest.param(phase, id=name, marks=[pytest.mark.slow] * (name not in ("pseudo_label, aligned", "ladder")))
        for name, phase in PHASES.items()
    ],
)
def test_rounds_of_stacked_seeds_are_those_of_the_seeds_alone(phase, data):
    seeds = [3, 0, 2]
    keys = seed_keys(seeds)
    parts = jax.vmap(split_of, (0, None))(keys, data)
    state = jax.jit(jax.vmap(phases.init_state, (None, 0, None, 0, None)))(phase, keys, {}, parts, data)
    one_round = jax.jit(jax.vmap(phases.train_round, (None, 0, None, 0, 0, None)))
    for t in range(4):
        state, _, _ = one_round(phase, keys, jnp.int32(t), state, parts, data)
    for place, seed in enumerate(seeds):
        alone, _ = train(phase, data, seed=seed)
        of_stack = jax.tree.map(lambda leaf: leaf[place], state.params)  # noqa: B023
        chex.assert_trees_all_close(of_stack, alone.params, atol=1e-5)


@every_phase
def test_a_round_is_the_steps_of_its_mini_batches(phase, data):
    """Of the rows that are drawn, with a key each, one after another."""
    key, t = jax.random.key(0), jnp.int32(2)
    parts = split_of(key, data)
    state = init(phase, key, parts, data)
    rows, keys = draw(phase, key, t, parts, data)
    assert len({bytes(key_data) for key_data in np.asarray(jax.random.key_data(keys))}) == len(rows.images)

    @jax.jit
    def one_step(phase, state, rows, key):
        weight = phase.method.weight(2)
        alpha = jnp.asarray(0.0 if weight is None else weight, jnp.float32)
        optimizer = phase.optimizer.transform(phase.updates_per_epoch(parts), phase.epochs)
        return train_step(phase.method, optimizer, state, phases.make_batch(rows, data), alpha, key)

    expected, losses, rows = state, [], jax.device_get(rows)
    for update, update_key in enumerate(keys):
        of_update = jax.tree.map(lambda leaf: leaf[update], rows)  # noqa: B023
        expected, _, aux = one_step(phase, expected, of_update, update_key)
        losses.append(aux.metrics)
    after, metrics, _ = train_round(phase, key, t, state, parts, data)
    chex.assert_trees_all_close(after, expected, rtol=1e-4, atol=1e-5)
    for name in losses[0]:
        np.testing.assert_allclose(metrics[name], np.mean([each[name] for each in losses]), rtol=1e-4)


def test_weights_that_are_not_finite_after_a_finite_loss_are_reported(data):
    phase, key = SUPERVISED_PHASE.replace(batches=SUPERVISED_PHASE.batches.replace(batch_size=8)), jax.random.key(0)
    parts = split_of(key, data)
    state = init(phase, key, parts, data)
    assert phase.batches.updates(len(parts.labelled)) == 1
    momenta = jax.tree.map(
        lambda leaf: jnp.full_like(leaf, jnp.inf) if leaf.dtype == jnp.float32 else leaf, state.opt_state
    )
    _, metrics, _ = train_round(phase, key, 0, state.replace(opt_state=momenta), parts, data)
    assert np.isfinite(metrics["labelled_loss"])
    assert not metrics["finite"]


@pytest.mark.parametrize("phase", [SUPERVISED_PHASE, GAUSSIAN_PHASE], ids=["supervised", "autoencoder"])
def test_a_loss_that_is_not_finite_is_reported(phase, data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(phase, key, parts, data)
    assert train_round(phase, key, 0, state, parts, data)[1]["finite"]
    huge = state.replace(params=jax.tree.map(lambda leaf: 1e38 * leaf, state.params))
    assert not train_round(phase, key, 0, huge, parts, data)[1]["finite"]


def test_a_phase_is_compiled_once_whatever_its_numbers(data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(PSEUDO_LABEL_PHASE, key, parts, data)
    one_round = jax.jit(chex.assert_max_traces(phases.train_round, n=1))
    arguments = key, jnp.int32(3), state, parts, data
    one_round(PSEUDO_LABEL_PHASE, *arguments)
    other = PSEUDO_LABEL_PHASE.replace(
        optimizer=PSEUDO_LABEL_PHASE.optimizer.replace(learning_rate=0.7),
        method=PSEUDO_LABEL.replace(t1=2, t2=9, alpha_f=1.0, visible_dropout=0.3),
    )
    constant = jax.jit(functools.partial(phases.train_round, other))
    chex.assert_trees_all_close(one_round(other, *arguments), constant(*arguments), rtol=1e-4, atol=1e-5)


class TwoRounds(LabelledBatches):
    """An epoch of two rounds, each a pass over the labelled images."""

    def rounds(self, labelled):
        return 2


def test_alpha_follows_the_epochs_and_not_the_rounds(data):
    batches = TwoRounds(batch_size=2)
    phase = PSEUDO_LABEL_PHASE.replace(batches=batches, method=PSEUDO_LABEL.replace(t1=0, t2=2))
    _, metrics = train(phase, data, rounds=6)
    assert [float(of_round["alpha"]) for of_round in metrics] == [0, 0, 1, 1, 2, 2]


# ---- keys

DRAWS = ("bits", "normal", "uniform", "bernoulli", "randint", "permutation", "choice", "categorical", "shuffle")


def place_in_the_package():
    """The file and line of the package that a call comes from."""
    frame = sys._getframe(2)
    while not frame.f_code.co_filename.startswith(str(Path(pljax.__file__).parent)):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


@pytest.fixture
def keys_seen(monkeypatch):
    """Where each key is drawn from, and where it is folded with what, as the compiled functions run."""
    drawn, folded = collections.defaultdict(set), collections.defaultdict(set)

    def name(key_data):
        return np.asarray(key_data).tobytes()

    def spy_on(draw):
        def drawing(key, *arguments, **named):
            place = place_in_the_package()
            jax.debug.callback(lambda data: drawn[name(data)].add(place), jax.random.key_data(key))
            return draw(key, *arguments, **named)

        return drawing

    fold_in = jax.random.fold_in

    def folding(key, number):
        place = place_in_the_package()
        jax.debug.callback(
            lambda data, number: folded[name(data), int(number)].add(place), jax.random.key_data(key), number
        )
        return fold_in(key, number)

    for each in DRAWS:
        if hasattr(jax.random, each):
            monkeypatch.setattr(jax.random, each, spy_on(getattr(jax.random, each)))
    monkeypatch.setattr(jax.random, "fold_in", folding)
    return drawn, folded


@every_phase
def test_no_key_serves_two_purposes(phase, blobs, keys_seen):
    """A key is drawn from in one place, and then never folded; one is folded with a number in one place."""
    if hasattr(phase.method, "input_noise"):
        phase = phase.replace(method=phase.method.replace(input_noise=0.1))
    drawn, folded = keys_seen
    data, key = training_data(blobs), jax.random.key(7)
    parts = split_of(jax.random.key(0), data)
    drawn.clear(), folded.clear()
    state = jax.jit(lambda: phases.init_state(phase, key, {}, parts, data))()
    one_round = jax.jit(lambda t, state: phases.train_round(phase, key, t, state, parts, data))
    for t in range(4):
        state, _, _ = one_round(jnp.int32(t), state)
    jax.block_until_ready(state)
    jax.effects_barrier()
    assert len(drawn) > 8
    assert not set(drawn) & {parent for parent, _ in folded}
    assert [places for places in [*drawn.values(), *folded.values()] if len(places) > 1] == []
