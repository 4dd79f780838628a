"""The schedules against the equations of the paper, with numbers that may be traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax.nn import schedules


@pytest.mark.parametrize(
    ("t", "expected"),
    [(0, 0), (99, 0), (100, 0), (101, 0.006), (200, 0.6), (350, 1.5), (599, 2.994), (600, 3), (601, 3), (5000, 3)],
)
def test_alpha_follows_eq_16_with_the_papers_constants(t, expected):
    alpha = schedules.alpha(alpha_f=3.0, t1=100, t2=600)
    np.testing.assert_allclose(alpha(jnp.int32(t)), expected, rtol=1e-5)


def test_alpha_is_exactly_zero_before_its_rise_and_exactly_alpha_f_after_it():
    alpha = jax.vmap(schedules.alpha(0.7, 13, 29))(jnp.arange(60))
    assert (alpha[:14] == 0).all()
    assert (alpha[14:29] > 0).all()
    assert (alpha[29:] == jnp.float32(0.7)).all()


def test_learning_rate_follows_eq_12():
    rate = schedules.decaying_rate(1.5, 0.998)
    expected = 1.5
    for t in range(50):
        np.testing.assert_allclose(rate(jnp.int32(t)), expected, rtol=1e-5)
        expected *= 0.998


def test_learning_rate_of_the_report_decays_within_ten_updates():
    rate = schedules.decaying_rate(1.5, 0.88, every=10)
    np.testing.assert_allclose(rate(jnp.int32(10)), 1.5 * 0.88, rtol=1e-6)
    np.testing.assert_allclose(rate(jnp.int32(5)), 1.5 * 0.88**0.5, rtol=1e-6)


@pytest.mark.parametrize(("t", "expected"), [(0, 0.5), (125, 0.6225), (499, 0.98902), (500, 0.99), (1000, 0.99)])
def test_momentum_follows_eq_13(t, expected):
    np.testing.assert_allclose(schedules.momentum(0.5, 0.99, 500)(jnp.int32(t)), expected, rtol=1e-6)


def test_per_epoch_holds_a_schedule_for_an_epochs_updates():
    schedule = schedules.per_epoch(schedules.decaying_rate(8.0, 0.5), updates_per_epoch=3)
    assert [float(schedule(jnp.int32(update))) for update in range(7)] == [8, 8, 8, 4, 4, 4, 2]


@pytest.mark.parametrize(
    ("schedule", "numbers"),
    [
        (schedules.alpha, (3.0, 10, 60)),
        (schedules.decaying_rate, (1.5, 0.88, 10)),
        (schedules.momentum, (0.5, 0.99, 50)),
    ],
)
def test_traced_numbers_give_the_same_schedule(schedule, numbers):
    t = jnp.arange(100)
    traced = jax.jit(lambda numbers: jax.vmap(schedule(*numbers))(t))(numbers)
    np.testing.assert_allclose(traced, jax.vmap(schedule(*numbers))(t), rtol=1e-6)
