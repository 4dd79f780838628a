"""One training step: a gradient step on the loss of a method, the same for every method and for pre-training."""

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
    """Take one gradient step on the method's loss over all its parameters.

    Args:
      method: defines the loss.
      optimizer: the optax transformation of the gradients.
      state: the parameters, the optimizer's state and the extra state of the method.
      batch: the images of the update.
      weight: float32 [], alpha(t), the weight of the unlabelled images.
      key: the random key of this update's dropout masks and noise.

    Returns:
      The next state, the loss before the update (float32 []), and the auxiliary outputs of the loss.
    """
    gradient = jax.value_and_grad(method.loss, has_aux=True)
    (loss, aux), gradients = gradient(state.params, state.extra, batch, weight, key)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), opt_state, aux.extra), loss, aux
