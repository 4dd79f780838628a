"""The interface of a method: pure functions for one seed, in a frozen dataclass of hyper-parameters."""

import abc
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from pljax import settings
from pljax.nn.networks import Classifier, Network, forward, transfer
from pljax.settings import Settings, setting
from pljax.types import Params, Split, TrainingData

__all__ = ["METHODS", "WEIGHTS", "Aux", "Batch", "Method", "NetworkMethod", "register", "setting"]

# The key of the initial weights is ``fold_in(key of the phase, WEIGHTS)``. pljax.data.batches takes 1 to 3.
WEIGHTS = 0


class Batch(NamedTuple):
    """The images of one update."""

    images: jax.Array  # float32 [B, D]
    labels: jax.Array  # int32 [B]; -1: unknown
    weights: jax.Array  # float32 [B], 0 or 1: 0 for the rows that pad a short last mini-batch
    rows: jax.Array  # int32 [B], the indices of the training images
    unlabelled: jax.Array | None = None  # float32 [B', D]; None if the phase has none or their weight is 0
    unlabelled_rows: jax.Array | None = None  # int32 [B'], the indices of the training images


class Aux(NamedTuple):
    """The auxiliary output of a loss."""

    extra: Any  # for the next update
    metrics: dict[str, jax.Array]  # float32 [] each, by their name in metrics.jsonl
    pseudo_labels: jax.Array | None = None  # int32 [B'], -1: none; None if the method assigns no pseudo-labels


class Method(Settings, abc.ABC):
    """The base class of methods: their initial parameters, loss and predictions.

    A subclass declares its hyper-parameters as fields (:func:`pljax.settings.setting`), defines :meth:`init`,
    :meth:`loss` and :meth:`logits`, and is registered (:func:`pljax.methods.register`). ``extra`` is the state of the
    method beside its parameters, a pytree of arrays or ``None``: running statistics, the weights of a teacher,
    pseudo-labels that are assigned once.
    """

    # The name of the file for the parameters of a pre-training method, whose layers a classifier starts from. ``None``:
    # the method trains a classifier.
    pretrains: ClassVar[str | None] = None
    gives_labels: ClassVar[bool] = False  # whether the method assigns pseudo-labels to unlabelled images
    output: ClassVar[Any] = "softmax"  # the output units, "softmax" or "sigmoid"

    @abc.abstractmethod
    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Any]:
        """Return the initial parameters and the initial ``extra``.

        Args:
          key: the key of the phase.
          data: the training images.
          split: the split of the seed; ``split.unlabelled`` are the images that mini-batches draw unlabelled ones from.
          start: layers of an earlier phase, which replace the initial ones of the same names; empty in the first phase.
        """

    @abc.abstractmethod
    def loss(
        self, params: Params, extra: Any, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """Compute the loss of a mini-batch, float32 ``[]``, and its auxiliary output.

        Args:
          params: the parameters, with respect to which the loss is differentiated.
          extra: the state of the method.
          batch: the images of the update.
          weight: the value of :meth:`weight` at this epoch, float32 ``[]``.
          key: the key of the update.
        """

    def logits(self, params: Params, extra: Any, images: jax.Array) -> jax.Array:
        """Compute the logits of float32 images for prediction, ``[B, D] -> [B, C]``. Pre-training has none."""
        raise TypeError(f"{type(self).__name__} predicts no classes: it has no logits.")

    def weight(self, epoch: Any) -> Any:
        """Return the weight of the unlabelled loss term at an epoch, as an optax schedule does; ``None``: no such term.

        Where it is 0 for an epoch, the updates of that epoch have no unlabelled images.
        """
        return None

    def transfers(self, params: Params) -> Params:
        """Return the layers that the next phase starts from."""
        return params

    def labels_given_once(self, extra: Any) -> jax.Array | None:
        """Return pseudo-labels that never change, int32 ``[N]``, -1: none; ``None`` if updates assign new ones."""
        return None

    def warnings(self, epochs: int) -> list[str]:
        """Return warnings about settings that have no effect, or an unexpected one, in a phase of ``epochs`` epochs."""
        return []


METHODS: dict[str, type[Method]] = {}
OfMethod = TypeVar("OfMethod", bound=type[Method])


def register(method: OfMethod) -> OfMethod:
    """Register a method, as a class decorator, so that configs can be saved. Raises ``ValueError`` for a taken name."""
    METHODS[method.__name__] = settings.register(method)
    return method


class NetworkMethod(Method):
    """The base class of methods that train one :class:`~pljax.nn.networks.Classifier`: everything but the loss."""

    network: Network
    visible_dropout: float = setting(default=0.0, help="the share of inputs dropped.", high=1, special=(0.0, 0.5))
    hidden_dropout: float = setting(default=0.0, help="the share of hidden units dropped.", high=1, special=(0.0, 0.5))
    input_noise: float = setting(
        default=0.0, help="the standard deviation of Gaussian noise on the inputs.", special=(0.0,)
    )

    @property
    def output(self) -> Any:
        """The output units."""
        return self.network.output

    def model(self, classes: int) -> Classifier:
        """Return the network for a number of classes."""
        return Classifier(self.network, classes, self.visible_dropout, self.hidden_dropout, self.input_noise)

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Any]:
        """Return initial weights, replaced by the layers of ``start``, and no ``extra``."""
        example = jnp.zeros((1, data.images.shape[1]))
        initial = self.model(data.classes).init(jax.random.fold_in(key, WEIGHTS), example)["params"]
        return transfer(start, initial), None

    def forward(self, params: Params, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Compute logits, ``[B, D] -> [B, C]``, with dropout and input noise if a key is given."""
        return forward(self.model(params["output"]["bias"].shape[-1]), params, images, key)

    def logits(self, params: Params, extra: Any, images: jax.Array) -> jax.Array:
        return self.forward(params, images)
