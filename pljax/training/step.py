"""One update: the same for every method, pre-training too."""

import jax
import optax

from pljax.methods.base import Aux, Batch, Method
from pljax.types import TrainState


def train_step(
    method: Method,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: Batch,
    weight: jax.Array,
    key: jax.Array,
) -> tuple[TrainState, jax.Array, Aux]:
    """Descend the method's loss once, in all its parameters.

    Args:
      method: what is minimised.
      optimizer: how.
      state: the parameters, the optimizer's state and what the method carries beside them.
      batch: the images of the update.
      weight: float32 [], of the unlabelled images: alpha(t).
      key: draws this update's dropout masks and noise.

    Returns:
      The next state, the loss before the update, and what it gives beside its value.
    """
    gradient = jax.value_and_grad(method.loss, has_aux=True)
    (loss, aux), gradients = gradient(state.params, state.extra, batch, weight, key)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), opt_state, aux.extra), loss, aux
