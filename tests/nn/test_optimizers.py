"""The optimizers against recurrences by hand, and with settings that are traced."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pljax.nn.optimizers import Adam, GradientDescent, PaperMomentum, paper_momentum

MOMENTUM = PaperMomentum(learning_rate=1.5, decay=0.9, initial_momentum=0.5, final_momentum=0.8, momentum_epochs=3)
DESCENT = GradientDescent(learning_rate=1.5, decay=0.88, decay_updates=10)
ADAM = Adam(learning_rate=0.01)
UPDATES_PER_EPOCH = 4


def descend(optimizer, gradients, updates_per_epoch=UPDATES_PER_EPOCH):
    """The weight after each of some updates, float32 ``[updates]``, from 1 on."""
    transform = optimizer.transform(updates_per_epoch, 10)

    def update(carry, gradient):
        weight, state = carry
        step, state = transform.update(gradient, state, weight)
        weight = optax.apply_updates(weight, step)
        return (weight, state), weight

    start = jnp.ones([])
    return jax.lax.scan(update, (start, transform.init(start)), gradients)[1]


GRADIENTS = jax.random.normal(jax.random.key(0), (30,))


def test_paper_momentum_follows_eq_10_to_13_by_hand():
    w, dw, expected = 1.0, 0.0, []
    for update, gradient in enumerate(np.asarray(GRADIENTS, np.float64)):
        t = update // UPDATES_PER_EPOCH
        p = t / 3 * 0.8 + (1 - t / 3) * 0.5 if t < 3 else 0.8
        dw = p * dw - (1 - p) * 1.5 * 0.9**t * gradient
        w += dw
        expected.append(w)
    np.testing.assert_allclose(descend(MOMENTUM, GRADIENTS), expected, rtol=1e-5)


def test_paper_momentum_is_not_optax_sgd():
    """With a constant gradient the velocity tends to the learning rate, not to 1 / (1 - p) times it."""
    rate, p = optax.constant_schedule(0.1), optax.constant_schedule(0.9)
    ours, theirs = paper_momentum(rate, p), optax.sgd(0.1, momentum=0.9)
    gradient = jnp.array(1.0)
    our_state, their_state = ours.init(gradient), theirs.init(gradient)
    for _ in range(200):
        our_step, our_state = ours.update(gradient, our_state)
        their_step, their_state = theirs.update(gradient, their_state)
    np.testing.assert_allclose(our_step, -0.1, rtol=1e-4)
    np.testing.assert_allclose(their_step, -1.0, rtol=1e-4)


def test_gradient_descent_follows_its_recurrence_at_a_rate_that_decays_by_updates():
    steps = 1.5 * 0.88 ** (np.arange(30) / 10) * np.asarray(GRADIENTS)
    np.testing.assert_allclose(descend(DESCENT, GRADIENTS), 1 - np.cumsum(steps), rtol=1e-4)


def test_adam_follows_its_recurrence_by_hand():
    adam = Adam(learning_rate=0.01, b1=0.8, b2=0.9, eps=1e-3)
    w, mean, square, expected = 1.0, 0.0, 0.0, []
    for update, gradient in enumerate(np.asarray(GRADIENTS, np.float64), start=1):
        mean, square = 0.8 * mean + 0.2 * gradient, 0.9 * square + 0.1 * gradient**2
        w -= 0.01 * mean / (1 - 0.8**update) / (np.sqrt(square / (1 - 0.9**update)) + 1e-3)
        expected.append(w)
    np.testing.assert_allclose(descend(adam, GRADIENTS), expected, rtol=1e-5)


@pytest.mark.parametrize("optimizer", [MOMENTUM, DESCENT, ADAM], ids=lambda optimizer: type(optimizer).__name__)
def test_traced_and_stacked_settings_give_the_same_updates(optimizer):
    several = [optimizer.replace(learning_rate=rate) for rate in (0.01, 0.1, 0.5)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *several)
    together = jax.jit(jax.vmap(descend, (0, None)))(stacked, GRADIENTS)
    np.testing.assert_allclose(together, [descend(one, GRADIENTS) for one in several], rtol=1e-4, atol=1e-4)


def test_rate_and_momentum_are_those_of_the_number_of_updates():
    np.testing.assert_allclose(MOMENTUM.rate(4, 10)(11), 1.5 * 0.9**2, rtol=1e-6)
    np.testing.assert_allclose(MOMENTUM.momentum(4)(11), 0.7, rtol=1e-6)
    np.testing.assert_allclose(DESCENT.rate(4, 10)(11), 1.5 * 0.88**1.1, rtol=1e-6)
    assert ADAM.rate(4, 10)(11) == 0.01
    assert jnp.isnan(DESCENT.momentum(4)(11))


def test_a_rate_that_decays_and_falls_to_0_at_the_end():
    """0.5 of 10 epochs of 4 updates are constant but for the decay."""
    falling = Adam(learning_rate=0.01, constant_share=0.5, decay=0.9, decay_updates=8)
    counts = np.array([0, 8, 20, 30, 39, 40, 50])
    ends = np.array([1, 1, 1, 0.5, 0.05, 0, 0])
    np.testing.assert_allclose(falling.rate(4, 10)(counts), 0.01 * 0.9 ** (counts / 8) * ends, rtol=1e-5, atol=1e-9)
    only = falling.replace(constant_share=1.0)
    np.testing.assert_allclose(only.rate(4, 10)(counts), 0.01 * 0.9 ** (counts / 8), rtol=1e-5)


def test_an_optimizer_follows_its_rate():
    """Adam's steps for one constant gradient have the length of the rate."""
    falling = Adam(learning_rate=0.01, constant_share=0.5, eps=1e-12)
    weights = np.concatenate([[1.0], np.asarray(descend(falling, jnp.ones(40)), np.float64)])
    np.testing.assert_allclose(-np.diff(weights), falling.rate(4, 10)(np.arange(40)), rtol=1e-3, atol=2e-6)


def test_updates_have_dtype_and_shape_of_the_parameters():
    params = {"a": jnp.zeros((2, 3)), "b": {"c": jnp.zeros(4)}}
    for optimizer in (MOMENTUM, DESCENT, ADAM):
        transform = optimizer.transform(4, 10)
        updates, _ = jax.eval_shape(
            lambda params, transform=transform: transform.update(params, transform.init(params), params), params
        )
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), updates) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), params
        )
