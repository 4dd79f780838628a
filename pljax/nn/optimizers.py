"""The optimizers, the paper's momentum rule among them, as settings that become optax transformations.

A rate may be traced: the transformation is made inside the compiled function.
"""

import abc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pljax.nn import schedules
from pljax.settings import Settings, register, setting


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


class Optimizer(Settings, abc.ABC):
    """What every optimizer has: a learning rate, and three functions of how many updates an epoch has."""

    learning_rate: float = setting(help="the (initial) learning rate.", above=True)

    def rate(self, updates_per_epoch: int) -> optax.Schedule:
        """The learning rate, by the number of updates made."""
        return optax.constant_schedule(self.learning_rate)

    def momentum(self, updates_per_epoch: int) -> optax.Schedule:
        """The momentum, by the number of updates made; NaN where the rule has none."""
        return optax.constant_schedule(jnp.nan)

    @abc.abstractmethod
    def transform(self, updates_per_epoch: int) -> optax.GradientTransformation:
        """The optax transformation."""


@register
class PaperMomentum(Optimizer):
    """Gradient descent with the momentum rule of Lee (2013), eq. 10-13; time is counted in epochs."""

    decay: float = setting(help="of the learning rate: eps(t + 1) = decay * eps(t).", above=True, flag=False)
    initial_momentum: float = setting(help="p_i.", high=1, flag=False)
    final_momentum: float = setting(help="p_f.", high=1, flag=False)
    momentum_epochs: int = setting(help="T, the epochs from p_i to p_f.", low=1, traced=True, flag=False)

    def rate(self, updates_per_epoch: int) -> optax.Schedule:
        return schedules.per_epoch(schedules.decaying_rate(self.learning_rate, self.decay), updates_per_epoch)

    def momentum(self, updates_per_epoch: int) -> optax.Schedule:
        momentum = schedules.momentum(self.initial_momentum, self.final_momentum, self.momentum_epochs)
        return schedules.per_epoch(momentum, updates_per_epoch)

    def transform(self, updates_per_epoch: int) -> optax.GradientTransformation:
        return paper_momentum(self.rate(updates_per_epoch), self.momentum(updates_per_epoch))


@register
class GradientDescent(Optimizer):
    """Plain gradient descent at ``learning_rate * decay ** (update / decay_updates)``."""

    decay: float = setting(default=1.0, help="of the learning rate, over decay_updates.", above=True, flag=False)
    decay_updates: int = setting(default=1, help="updates.", low=1, traced=True, flag=False)

    def rate(self, updates_per_epoch: int) -> optax.Schedule:
        return schedules.decaying_rate(self.learning_rate, self.decay, self.decay_updates)

    def transform(self, updates_per_epoch: int) -> optax.GradientTransformation:
        return optax.sgd(self.rate(updates_per_epoch))


@register
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015) at a constant rate."""

    b1: float = setting(default=0.9, help="decay of the mean of the gradients.", high=1, flag=False)
    b2: float = setting(default=0.999, help="decay of the mean of their squares.", high=1, flag=False)
    eps: float = setting(default=1e-7, help="added to the root of that mean.", above=True, flag=False)

    def transform(self, updates_per_epoch: int) -> optax.GradientTransformation:
        return _with_promotion(optax.adam(self.learning_rate, self.b1, self.b2, self.eps))


def _with_promotion(transform: optax.GradientTransformation) -> optax.GradientTransformation:
    """``transform``, usable too where JAX is told to be strict about dtypes: optax's Adam takes float ** int."""

    def update(*arguments: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return transform.update(*arguments)

    return optax.GradientTransformation(transform.init, update)
