"""Schedules of optax: alpha(t), the learning rate and the momentum.

The symbols and equation numbers are those of Lee (2013), "Pseudo-Label: The Simple and Efficient Semi-Supervised
Learning Method for Deep Neural Networks". The paper's t counts epochs, but an optimizer counts updates:
:func:`per_epoch` converts a schedule. Every argument can be traced.
"""

import jax.numpy as jnp
import optax


def alpha(alpha_f: float, t1: int, t2: int) -> optax.Schedule:
    r"""Return the weight of the unlabelled loss term as a schedule of the epoch t, eq. 16.

    .. math::
        \alpha(t) = 0 \text{ for } t < T_1, \quad
        \frac{t - T_1}{T_2 - T_1} \alpha_f \text{ for } T_1 \le t < T_2, \quad
        \alpha_f \text{ for } T_2 \le t

    Args:
      alpha_f: the final weight.
      t1: the epoch from which the weight rises.
      t2: the epoch from which the weight is ``alpha_f``; above ``t1``.

    >>> weight = alpha(alpha_f=3.0, t1=100, t2=600)
    >>> [float(weight(t)) for t in (0, 100, 350, 600, 999)]
    [0.0, 0.0, 1.5, 3.0, 3.0]
    """
    ramp = optax.linear_schedule(0.0, alpha_f, transition_steps=1)
    return lambda t: ramp((jnp.asarray(t) - t1) / (t2 - t1))


def decaying_rate(initial: float, decay: float, every: int = 1) -> optax.Schedule:
    r"""Return the learning rate :math:`\epsilon_0 \, k^{\,count / every}`; eq. 12 with k = 0.998.

    ``optax.exponential_decay`` cannot replace it, because its decay cannot be traced.

    Args:
      initial: the learning rate at 0.
      decay: k.
      every: the number of counts over which ``decay`` is applied once.

    >>> rate = decaying_rate(1.5, 0.998)
    >>> [round(float(rate(t)), 4) for t in (0, 1, 1000)]
    [1.5, 1.497, 0.2026]
    """
    return lambda count: initial * jnp.power(decay, jnp.asarray(count) / every)


def linear_end(initial: float, constant_share: float, length: int) -> optax.Schedule:
    """Return a learning rate that is constant at first and then falls linearly to 0.

    Args:
      initial: the learning rate at 0.
      constant_share: the share of ``length`` at which it begins to fall, below 1.
      length: the count at which it would be 0.

    >>> rate = linear_end(1.0, constant_share=0.5, length=100)
    >>> [round(float(rate(count)), 2) for count in (0, 50, 75, 99)]
    [1.0, 1.0, 0.5, 0.02]
    """
    return lambda count: initial * jnp.clip((1 - jnp.asarray(count) / length) / (1 - constant_share), 0, 1)


def momentum(initial: float, final: float, epochs: int) -> optax.Schedule:
    r"""Return the momentum p(t), eq. 13: linear from ``initial`` to ``final`` over T = ``epochs``, then constant.

    >>> p = momentum(0.5, 0.99, 500)
    >>> [round(float(p(t)), 3) for t in (0, 250, 500, 900)]
    [0.5, 0.745, 0.99, 0.99]
    """
    ramp = optax.linear_schedule(initial, final, transition_steps=1)
    return lambda t: ramp(jnp.asarray(t) / epochs)


def per_epoch(schedule: optax.Schedule, updates_per_epoch: int) -> optax.Schedule:
    """Convert a schedule that counts epochs to one that counts updates.

    >>> [float(per_epoch(momentum(0.0, 1.0, 2), updates_per_epoch=4)(update)) for update in (0, 3, 4, 8)]
    [0.0, 0.0, 0.5, 1.0]
    """
    return lambda count: schedule(jnp.asarray(count) // updates_per_epoch)
