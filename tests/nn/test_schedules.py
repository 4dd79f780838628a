"""The schedules against the equations of the paper, with numbers that may be traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax.nn import schedules


def values_at(schedule, times):
    return jax.vmap(schedule)(jnp.asarray(times, jnp.int32))


def test_alpha_follows_eq_16_with_the_papers_constants():
    times = [0, 99, 100, 101, 200, 350, 599, 600, 601, 5000]
    expected = [0, 0, 0, 0.006, 0.6, 1.5, 2.994, 3, 3, 3]
    np.testing.assert_allclose(values_at(schedules.alpha(alpha_f=3.0, t1=100, t2=600), times), expected, rtol=1e-5)


def test_alpha_is_exactly_zero_before_its_rise_and_exactly_alpha_f_after_it():
    alpha = values_at(schedules.alpha(0.7, 13, 29), range(60))
    assert (alpha[:14] == 0).all()
    assert (alpha[14:29] > 0).all()
    assert (alpha[29:] == jnp.float32(0.7)).all()


def test_the_learning_rate_follows_eq_12():
    expected = 1.5 * 0.998 ** np.arange(50)
    np.testing.assert_allclose(values_at(schedules.decaying_rate(1.5, 0.998), range(50)), expected, rtol=1e-5)


def test_the_learning_rate_can_decay_within_some_updates():
    rates = values_at(schedules.decaying_rate(1.5, 0.88, every=10), [0, 5, 10, 25])
    np.testing.assert_allclose(rates, 1.5 * 0.88 ** np.array([0, 0.5, 1, 2.5]), rtol=1e-6)


def test_the_momentum_follows_eq_13():
    expected = [0.5, 0.6225, 0.98902, 0.99, 0.99]
    momentum = values_at(schedules.momentum(0.5, 0.99, 500), [0, 125, 499, 500, 1000])
    np.testing.assert_allclose(momentum, expected, rtol=1e-6)


def test_per_epoch_holds_a_schedule_for_the_updates_of_an_epoch():
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
    traced = jax.jit(lambda numbers: values_at(schedule(*numbers), range(100)))(numbers)
    np.testing.assert_allclose(traced, values_at(schedule(*numbers), range(100)), rtol=1e-6)
