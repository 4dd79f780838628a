import jax
import jax.numpy as jnp
import numpy as np
import optax

from pljax import optimizers
from pljax.config import Adam, GradientDescent, PaperMomentum


def test_paper_momentum_follows_eq_10_and_11_by_hand():
    optimizer = optimizers.paper_momentum(
        lambda t: 1.5 * 0.9 ** t.astype(float), lambda t: jnp.minimum(0.5 + 0.1 * t.astype(float), 0.8)
    )
    gradients = [2.0, -1.0, 0.5, 3.0]
    params, state = {"w": jnp.array(1.0)}, optimizer.init({"w": jnp.array(1.0)})
    w, dw = 1.0, 0.0
    for t, gradient in enumerate(gradients):
        updates, state = optimizer.update({"w": jnp.array(gradient)}, state)
        params = optax.apply_updates(params, updates)
        p, rate = min(0.5 + 0.1 * t, 0.8), 1.5 * 0.9**t
        dw = p * dw - (1 - p) * rate * gradient
        w += dw
        np.testing.assert_allclose(params["w"], w, rtol=1e-6)


def test_paper_momentum_is_not_optax_sgd():
    """With a constant gradient the velocity tends to the learning rate, not to 1 / (1 - p) times it."""
    rate, p = optax.constant_schedule(0.1), optax.constant_schedule(0.9)
    ours, theirs = optimizers.paper_momentum(rate, p), optax.sgd(0.1, momentum=0.9)
    gradient = jnp.array(1.0)
    our_state, their_state = ours.init(gradient), theirs.init(gradient)
    for _ in range(200):
        our_step, our_state = ours.update(gradient, our_state)
        their_step, their_state = theirs.update(gradient, their_state)
    np.testing.assert_allclose(our_step, -0.1, rtol=1e-4)
    np.testing.assert_allclose(their_step, -1.0, rtol=1e-4)


def test_schedules_of_the_paper_count_epochs_and_those_of_the_report_updates():
    paper = optimizers.make(PaperMomentum(1.5, 0.998, 0.5, 0.99, 500), updates_per_epoch=4)
    assert float(paper.learning_rate(3)) == 1.5
    np.testing.assert_allclose(paper.learning_rate(4), 1.5 * 0.998, rtol=1e-6)
    np.testing.assert_allclose(paper.momentum(4 * 250), 0.745, rtol=1e-6)
    report = optimizers.make(GradientDescent(1.5, 0.88, 10), updates_per_epoch=4)
    np.testing.assert_allclose(report.learning_rate(1), 1.5 * 0.88**0.1, rtol=1e-6)


def test_gradient_descent_steps_against_the_gradient_at_the_scheduled_rate():
    optimizer = optimizers.make(GradientDescent(2.0, 0.5, 1), updates_per_epoch=1).transform
    state = optimizer.init(jnp.array(0.0))
    steps = []
    for _ in range(3):
        step, state = optimizer.update(jnp.array(1.0), state)
        steps.append(float(step))
    assert steps == [-2.0, -1.0, -0.5]


def test_adam_has_the_constants_of_the_config():
    optimizer = optimizers.make(Adam(0.01, eps=1.0), updates_per_epoch=1)
    params = {"w": jnp.zeros(3)}
    step, _ = optimizer.transform.update({"w": jnp.ones(3)}, optimizer.transform.init(params))
    np.testing.assert_allclose(step["w"], -0.01 / 2, rtol=1e-5)
    assert float(optimizer.learning_rate(7)) == np.float32(0.01)
    assert jnp.isnan(optimizer.momentum(0))


def test_an_optimizer_keeps_dtype_and_shape_of_every_leaf():
    params = {"a": jnp.zeros((2, 3)), "b": {"c": jnp.zeros(4)}}
    for config in (PaperMomentum(1.5, 0.998, 0.5, 0.99, 500), GradientDescent(1.5), Adam()):
        optimizer = optimizers.make(config, 4).transform
        updates, _ = jax.jit(optimizer.update)(params, optimizer.init(params), params)
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), updates) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), params
        )
