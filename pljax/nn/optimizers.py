"""Optimizers: settings that build optax transformations, among them the momentum rule of Lee (2013).

A learning rate can be traced, because the transformation is built inside the compiled function.
"""

import abc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pljax.nn import schedules
from pljax.settings import Settings, register, setting


class MomentumState(NamedTuple):
    """The state of :func:`paper_momentum`."""

    updates_made: jax.Array  # int32 []
    velocity: optax.Updates  # Delta W, shaped like the parameters


def paper_momentum(learning_rate: optax.Schedule, momentum: optax.Schedule) -> optax.GradientTransformation:
    r"""Build the momentum rule of Lee (2013), eq. 10 and 11.

    .. math::
        \Delta W(t + 1) = p(t) \, \Delta W(t) - (1 - p(t)) \, \epsilon(t) \, \nabla_W L, \qquad
        W(t + 1) = W(t) + \Delta W(t + 1)

    ``optax.sgd(momentum=...)`` differs: its velocity does not contain the learning rate, and it has no factor
    ``1 - p``.

    Args:
      learning_rate: epsilon by the number of updates made.
      momentum: p by the number of updates made.
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
    """The base class of optimizers. Schedules count updates; they depend on the updates of an epoch and the epochs."""

    learning_rate: float = setting(help="the (initial) learning rate.", closed="neither")

    def rate(self, updates_per_epoch: int, epochs: Any) -> optax.Schedule:
        """Return the learning rate as a schedule of the number of updates made."""
        return optax.constant_schedule(self.learning_rate)

    def momentum(self, updates_per_epoch: int) -> optax.Schedule:
        """Return the momentum as a schedule of the number of updates made; NaN for optimizers without one."""
        return optax.constant_schedule(jnp.nan)

    @abc.abstractmethod
    def transform(self, updates_per_epoch: int, epochs: Any) -> optax.GradientTransformation:
        """Build the optax transformation."""


@register
class PaperMomentum(Optimizer):
    """Gradient descent with the momentum rule of Lee (2013), eq. 10 to 13, with schedules that count epochs."""

    decay: float = setting(
        help="k, the decay of the learning rate: eps(t + 1) = k * eps(t).", closed="neither", flag=False
    )
    initial_momentum: float = setting(help="p_i, the momentum at the start.", high=1, flag=False)
    final_momentum: float = setting(help="p_f, the momentum from epoch T on.", high=1, flag=False)
    momentum_epochs: int = setting(help="T, the epochs from p_i to p_f.", low=1, traced=True, flag=False)

    def rate(self, updates_per_epoch: int, epochs: Any) -> optax.Schedule:
        return schedules.per_epoch(schedules.decaying_rate(self.learning_rate, self.decay), updates_per_epoch)

    def momentum(self, updates_per_epoch: int) -> optax.Schedule:
        momentum = schedules.momentum(self.initial_momentum, self.final_momentum, self.momentum_epochs)
        return schedules.per_epoch(momentum, updates_per_epoch)

    def transform(self, updates_per_epoch: int, epochs: Any) -> optax.GradientTransformation:
        return paper_momentum(self.rate(updates_per_epoch, epochs), self.momentum(updates_per_epoch))


@register
class GradientDescent(Optimizer):
    """Gradient descent without momentum at the rate ``learning_rate * decay ** (update / decay_updates)``."""

    decay: float = setting(
        default=1.0, help="the factor of the learning rate after decay_updates updates.", closed="neither", flag=False
    )
    decay_updates: int = setting(
        default=1, help="the updates over which decay is applied once.", low=1, traced=True, flag=False
    )

    def rate(self, updates_per_epoch: int, epochs: Any) -> optax.Schedule:
        return schedules.decaying_rate(self.learning_rate, self.decay, self.decay_updates)

    def transform(self, updates_per_epoch: int, epochs: Any) -> optax.GradientTransformation:
        return optax.sgd(self.rate(updates_per_epoch, epochs))


@register
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015) with a learning rate that is constant, decays, or falls to 0 at the end."""

    b1: float = setting(default=0.9, help="decay of the mean of the gradients.", high=1, flag=False)
    b2: float = setting(default=0.999, help="decay of the mean of the squared gradients.", high=1, flag=False)
    eps: float = setting(
        default=1e-7, help="added to the root of the mean of the squared gradients.", closed="neither", flag=False
    )
    constant_share: float = setting(
        default=1.0,
        help="the share of the epochs with a constant learning rate, which then falls linearly to 0.",
        high=1,
        closed="both",
        static=(1.0,),
        flag=False,
    )
    decay: float = setting(
        default=1.0,
        help="the factor of the learning rate after decay_updates updates.",
        closed="neither",
        static=(1.0,),
        flag=False,
    )
    decay_updates: int = setting(
        default=1, help="the updates over which decay is applied once.", low=1, traced=True, flag=False
    )

    def rate(self, updates_per_epoch: int, epochs: Any) -> optax.Schedule:
        if self._is_constant:
            return super().rate(updates_per_epoch, epochs)
        decaying = schedules.decaying_rate(self.learning_rate, self.decay, self.decay_updates)
        if _is_one(self.constant_share):
            return decaying
        end = schedules.linear_end(1.0, self.constant_share, updates_per_epoch * epochs)
        return lambda count: decaying(count) * end(count)

    @property
    def _is_constant(self) -> bool:
        return _is_one(self.constant_share) and _is_one(self.decay)

    def transform(self, updates_per_epoch: int, epochs: Any) -> optax.GradientTransformation:
        rate: Any = self.learning_rate if self._is_constant else self.rate(updates_per_epoch, epochs)
        return _with_promotion(optax.adam(rate, self.b1, self.b2, self.eps))


def _is_one(setting: float | jax.Array) -> bool:
    """Whether a setting that may be traced is the number 1."""
    return not isinstance(setting, jax.Array) and setting == 1


def _with_promotion(transform: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return ``transform`` with standard dtype promotion: optax's Adam takes float ** int, which strict JAX refuses."""

    def update(*arguments: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return transform.update(*arguments)

    return optax.GradientTransformation(transform.init, update)
