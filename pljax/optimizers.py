"""The paper's momentum rule as an optax transformation, and optimizers made from a config."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pljax import schedules
from pljax.config import Adam, GradientDescent, Optimizer, PaperMomentum


class MomentumState(NamedTuple):
    updates_made: jax.Array  # int32 []
    velocity: optax.Updates  # Delta W, shaped like the parameters


def paper_momentum(learning_rate: optax.Schedule, momentum: optax.Schedule) -> optax.GradientTransformation:
    r"""Lee (2013), eq. 10 and 11, with both factors taken at the number of updates made so far:

    .. math::
        \Delta W(t + 1) = p(t) \, \Delta W(t) - (1 - p(t)) \, \epsilon(t) \, \nabla_W L, \qquad
        W(t + 1) = W(t) + \Delta W(t + 1)

    ``optax.sgd(momentum=...)`` differs twice: its learning rate stands outside the velocity, and it has
    no factor ``1 - p``.
    """

    def init(params: optax.Params) -> MomentumState:
        return MomentumState(jnp.zeros([], jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(
        gradients: optax.Updates, state: MomentumState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, MomentumState]:
        del params
        p = momentum(state.updates_made)
        step = (1 - p) * learning_rate(state.updates_made)
        velocity = jax.tree.map(lambda dw, g: p * dw - step * g, state.velocity, gradients)
        return velocity, MomentumState(state.updates_made + 1, velocity)

    return optax.GradientTransformation(init, update)


class ScheduledOptimizer(NamedTuple):
    transform: optax.GradientTransformation
    learning_rate: optax.Schedule  # of the updates made
    momentum: optax.Schedule  # of the updates made; NaN where the rule has none


def make(optimizer: Optimizer, updates_per_epoch: int) -> ScheduledOptimizer:
    """The optimizer that a config describes, with the schedules it follows."""
    none = optax.constant_schedule(jnp.nan)
    match optimizer:
        case PaperMomentum():
            rate = schedules.per_epoch(schedules.decaying_rate(optimizer.rate, optimizer.decay), updates_per_epoch)
            p = schedules.per_epoch(
                schedules.momentum(optimizer.initial_momentum, optimizer.final_momentum, optimizer.momentum_epochs),
                updates_per_epoch,
            )
            return ScheduledOptimizer(paper_momentum(rate, p), rate, p)
        case GradientDescent():
            rate = schedules.decaying_rate(optimizer.rate, optimizer.decay, optimizer.decay_updates)
            return ScheduledOptimizer(optax.sgd(rate), rate, none)
        case Adam():
            adam = optax.adam(optimizer.rate, optimizer.b1, optimizer.b2, optimizer.eps)
            return ScheduledOptimizer(_with_promotion(adam), optax.constant_schedule(optimizer.rate), none)


def _with_promotion(transform: optax.GradientTransformation) -> optax.GradientTransformation:
    """``transform``, usable too where JAX is told to be strict about dtypes: optax's Adam takes float ** int."""

    def update(*arguments: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return transform.update(*arguments)

    return optax.GradientTransformation(transform.init, update)
