"""What a method is: three pure functions of one seed, in a frozen dataclass of hyper-parameters."""

import abc
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from pljax import settings
from pljax.nn.networks import Classifier, Network, forward, transfer
from pljax.settings import Settings, setting
from pljax.types import Params, Split, TrainingData

__all__ = ["METHODS", "WEIGHTS", "Aux", "Batch", "Method", "NetworkMethod", "register", "setting"]

# What :meth:`Method.init` folds its key with, for initial weights. 1 to 3 are taken: see pljax.data.batches.
WEIGHTS = 0


class Batch(NamedTuple):
    """The images of one update."""

    images: jax.Array  # float32 [B, D]
    labels: jax.Array  # int32 [B]; -1 where the class is not known
    weights: jax.Array  # float32 [B], 0 or 1: 0 for the rows that a short last mini-batch lacks
    rows: jax.Array  # int32 [B], which training images these are
    unlabelled: jax.Array | None = None  # float32 [B', D]; None where there are none, or their weight is 0
    unlabelled_rows: jax.Array | None = None  # int32 [B']


class Aux(NamedTuple):
    """What a loss gives beside its value."""

    extra: Any  # the next update's
    metrics: dict[str, jax.Array]  # float32 [] each, by the name they have in metrics.jsonl
    pseudo_labels: jax.Array | None = None  # int32 [B'], -1 for none, where the method gives any


class Method(Settings, abc.ABC):
    """A method: what it starts from, what it minimises, what it predicts.

    A subclass declares its hyper-parameters as fields (:func:`pljax.settings.setting`), defines :meth:`init`,
    :meth:`loss` and :meth:`logits`, and is registered (:func:`pljax.methods.register`). ``extra`` is what it carries
    beside the weights, a pytree of arrays: running statistics, a teacher, labels given once; or ``None``.
    """

    # Pre-training gives no classifier, but layers for one. Its own network is kept in a file of this name.
    pretrains: ClassVar[str | None] = None
    gives_labels: ClassVar[bool] = False  # whether unlabelled images get a class that they are trained with
    output: ClassVar[Any] = "softmax"  # what makes probabilities of the logits: or ``sigmoid``

    @abc.abstractmethod
    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Any]:
        """The parameters and the ``extra`` of the first update.

        Args:
          key: the phase's.
          data: the training images.
          split: which of them are labelled; ``split.unlabelled`` are those that mini-batches are drawn from.
          start: layers that an earlier phase handed on.
        """

    @abc.abstractmethod
    def loss(
        self, params: Params, extra: Any, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """What an update descends, float32 []; ``weight`` is that of the unlabelled images, ``key`` the update's."""

    def logits(self, params: Params, extra: Any, images: jax.Array) -> jax.Array:
        """The outputs for float32 images as for a prediction, ``[B, D] -> [B, C]``; pre-training has none."""
        raise TypeError(f"{type(self).__name__} predicts no classes: it has no logits.")

    def weight(self, epoch: Any) -> Any:
        """The weight of the unlabelled images at an epoch, an optax schedule; ``None`` if there is no such term."""
        return None

    def transfers(self, params: Params) -> Params:
        """The layers that the next phase starts from."""
        return params

    def labels_given_once(self, extra: Any) -> jax.Array | None:
        """Pseudo-labels that do not change, int32 ``[N]``, -1 for none; ``None`` if they are given anew."""
        return None

    def warnings(self, epochs: int) -> list[str]:
        """What will go otherwise than one may think, in a phase of so many epochs."""
        return []


METHODS: dict[str, type[Method]] = {}
OfMethod = TypeVar("OfMethod", bound=type[Method])


def register(method: OfMethod) -> OfMethod:
    """Let configs use a method: a class decorator. Raises ``ValueError`` for a name that is taken."""
    METHODS[method.__name__] = settings.register(method)
    return method


class NetworkMethod(Method):
    """A method that trains one feed-forward network with dropout: all but its loss."""

    network: Network
    visible_dropout: float = setting(default=0.0, help="the share of inputs dropped.", high=1, special=(0.0, 0.5))
    hidden_dropout: float = setting(default=0.0, help="the share of hidden units dropped.", high=1, special=(0.0, 0.5))
    input_noise: float = setting(
        default=0.0, help="the standard deviation of Gaussian noise on the inputs.", special=(0.0,)
    )

    @property
    def output(self) -> Any:
        return self.network.output

    def model(self, classes: int) -> Classifier:
        """The network."""
        return Classifier(self.network, classes, self.visible_dropout, self.hidden_dropout, self.input_noise)

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Any]:
        """Fresh weights with the handed-on layers in their place, and nothing beside them."""
        blank = jnp.zeros((1, data.images.shape[1]))
        fresh = self.model(data.classes).init(jax.random.fold_in(key, WEIGHTS), blank)["params"]
        return transfer(start, fresh), None

    def forward(self, params: Params, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """The logits, ``[B, D] -> [B, C]``; with dropout if a key is given."""
        return forward(self.model(params["output"]["bias"].shape[-1]), params, images, key)

    def logits(self, params: Params, extra: Any, images: jax.Array) -> jax.Array:
        return self.forward(params, images)
