"""The interface of a method: pure functions for one seed, in a frozen dataclass of hyper-parameters."""

import abc
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from pljax import settings
from pljax.nn import losses, schedules
from pljax.nn.networks import Classifier, Network, forward, transfer
from pljax.nn.normalised_network import (
    Moments,
    Normalise,
    Running,
    by_moments,
    by_row,
    encode,
    initial_parameters,
    initial_statistics,
    moments,
)
from pljax.settings import Settings, setting
from pljax.types import InputError, Params, Split, TrainingData

__all__ = [
    "ALPHA_F_HELP",
    "METHODS",
    "T1_HELP",
    "T2_HELP",
    "WEIGHTS",
    "Aux",
    "Batch",
    "Method",
    "NetworkMethod",
    "NormalisedMethod",
    "Ramp",
    "register",
    "setting",
]

T1_HELP = "the epoch from which alpha(t) rises."
T2_HELP = "the epoch from which alpha(t) is alpha_f."
ALPHA_F_HELP = "the final weight of the unlabelled loss; in a ladder, of pseudo-labels."

# The key of the initial weights is ``fold_in(key of the phase, WEIGHTS)``. pljax.data.batches takes 1 to 3.
WEIGHTS = 0


class Batch(NamedTuple):
    """The images of one update."""

    images: jax.Array  # float32 [B, D]
    labels: jax.Array  # int32 [B]; -1: unknown
    weights: jax.Array  # float32 [B], how many images each counts as; 0 for the rows that pad a short last mini-batch
    rows: jax.Array  # int32 [B], the indices of the training images
    unlabelled: jax.Array | None = None  # float32 [B', D]; None if the phase has none or their weight is 0
    unlabelled_rows: jax.Array | None = None  # int32 [B'], the indices of the training images

    @property
    def all_images(self) -> jax.Array:
        """The labelled images, then the unlabelled ones if there are any: float32 ``[B + B', D]``."""
        return self.images if self.unlabelled is None else jnp.concatenate([self.images, self.unlabelled])


class Aux(NamedTuple):
    """The auxiliary output of a loss."""

    extra: Any  # for the next update
    metrics: dict[str, jax.Array]  # float32 [] each, by their name in metrics.jsonl
    pseudo_labels: jax.Array | None = None  # int32 [B'], -1: none; None if the method assigns no pseudo-labels


class Method(Settings, abc.ABC):
    """The base class of methods: their initial parameters, loss and predictions.

    A subclass declares its hyper-parameters as fields (:func:`pljax.settings.setting`), defines :meth:`init`,
    :meth:`loss` and :meth:`logits`, and is registered (:func:`pljax.methods.register`). ``extra`` is the state of the
    method beside its parameters, a pytree of arrays of numbers or ``None``: running statistics, a teacher's weights,
    pseudo-labels that are assigned once. Where a hyper-parameter ``class_prior`` is ``estimated``, ``split.shares`` are
    the shares of the classes, estimated from all images.
    """

    # The name of the file for the parameters of a pre-training method, whose layers a classifier starts from. ``None``:
    # the method trains a classifier.
    pretrains: ClassVar[str | None] = None
    gives_labels: ClassVar[Any] = False  # bool, whether the method assigns pseudo-labels to unlabelled images
    # Whether :meth:`weight` multiplies every loss term of the unlabelled images. If so, updates with weight 0 leave
    # these images out.
    weight_covers_all: ClassVar[bool] = True
    # Whether the first layer may leave out columns of zeros (pljax.nn.sparse), where that is faster. A loss with
    # derivatives in forward mode, such as ``jax.jvp``, sets it to ``False``: that product has none.
    sparse: ClassVar[bool] = True
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

        Where it is 0 for an epoch, the updates of that epoch have no unlabelled images, if ``weight_covers_all``.
        """
        return None

    def transfers(self, params: Params) -> Params:
        """Return the layers that the next phase starts from."""
        return params

    def pseudo_labels(
        self, params: Params, extra: Any, images: jax.Array, rows: jax.Array, logits: jax.Array | None = None
    ) -> jax.Array:
        """Return the pseudo-labels that an update gives to its unlabelled images, int32 ``[B']``, -1: none.

        By default they are the predicted classes. A method with ``gives_labels`` and another rule overrides it: the
        metrics of pseudo-labels are measured on what it returns.

        Args:
          params: the parameters; no gradient flows through the labels.
          extra: the state of the method.
          images: the unlabelled images of an update, float32 ``[B', D]``. A label can depend on all of them.
          rows: their indices among the training images, int32 ``[B']``.
          logits: what :meth:`logits` returns for them, if the caller has it, to save a pass.
        """
        return losses.pseudo_label(self.logits(params, extra, images) if logits is None else logits)

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
    visible_dropout: float = setting(default=0.0, help="the share of inputs dropped.", high=1, static=(0.0, 0.5))
    hidden_dropout: float = setting(default=0.0, help="the share of hidden units dropped.", high=1, static=(0.0, 0.5))
    input_noise: float = setting(
        default=0.0, help="the standard deviation of Gaussian noise on the inputs.", static=(0.0,)
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


class NormalisedMethod(Method):
    """The base class of methods that train the network of :mod:`pljax.nn.normalised_network`: everything but the loss.

    ``extra`` of :meth:`init` are the running statistics, which predictions use. Layer normalisation leaves out the
    output layer: with two classes, every row would become (1, -1) or (-1, 1).
    """

    network: Network
    normalisation: Literal["batch", "layer"] = setting(
        default="batch",
        help="of activations: over the rows of a mini-batch, labelled and unlabelled ones apart, or over units.",
        flag=False,
    )

    @property
    def output(self) -> Any:
        """The output units."""
        return self.network.output

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Any]:
        """Return initial weights, replaced by the layers of ``start``, and initial running statistics."""
        weights_key, features = jax.random.fold_in(key, WEIGHTS), data.images.shape[1]
        params = transfer(start, initial_parameters(weights_key, self.network, features, data.classes))
        return params, initial_statistics(params)

    def logits(self, params: Params, extra: Any, images: jax.Array) -> jax.Array:
        return encode(params, images, self.with_statistics(extra)).logits

    def with_statistics(self, running: Running) -> Normalise:
        """Return the function that normalises by running statistics."""

        def normalise(layer: int, x: jax.Array) -> tuple[jax.Array, Moments]:
            known = running.layers[layer - 1]
            return self._normalise(layer, x, known), known

        return normalise

    def normalise_separately(self, labelled: int = 0, weights: jax.Array | None = None) -> Normalise:
        """Return the function that normalises the first ``labelled`` rows and the others apart.

        Its statistics are those of the others, or of the labelled rows if there are no others. ``weights``, float32
        ``[labelled]``, are 0 for labelled rows that do not count.
        """

        def normalise(layer: int, x: jax.Array) -> tuple[jax.Array, Moments]:
            parts = [(x[:labelled], weights), (x[labelled:], None)]
            parts = [(rows, counted) for rows, counted in parts if len(rows)]
            known = [moments(rows, counted) for rows, counted in parts]
            results = [self._normalise(layer, rows, of) for (rows, _), of in zip(parts, known, strict=True)]
            return jnp.concatenate(results), known[-1]

        return normalise

    def _normalise(self, layer: int, x: jax.Array, known: Moments) -> jax.Array:
        if self.normalisation == "batch":
            return by_moments(x, known)
        return by_row(x) if layer <= len(self.network.hidden) else x


class Ramp(Method):
    """The base class of methods whose weight of the unlabelled images is alpha(t), eq. 16 of Lee (2013)."""

    alpha_f: float = setting(help=ALPHA_F_HELP)
    t1: int = setting(help=T1_HELP, traced=True)
    t2: int = setting(help=T2_HELP, low=1, traced=True)

    def check(self) -> None:
        if self.t1 >= self.t2:
            raise InputError(
                f"t1 is {self.t1} and t2 is {self.t2}: alpha(t) rises from epoch t1 to epoch t2, so give t1 < t2."
            )

    def weight(self, epoch: Any) -> Any:
        """Return alpha(t)."""
        return schedules.alpha(self.alpha_f, self.t1, self.t2)(epoch)

    def warnings(self, epochs: int) -> list[str]:
        highest = float(np.max(self.weight(np.arange(epochs))))
        if highest == 0:
            unused = "pseudo-labels" if self.gives_labels else "unlabelled images"
            return [
                f"alpha(t) never rises above 0: {unused} are not used (epochs {epochs}, t1 {self.t1}, "
                f"alpha_f {self.alpha_f:g})."
            ]
        if self.t2 > epochs - 1:
            return [
                f"alpha(t) ends at {highest:.3g} and never reaches alpha_f {self.alpha_f:g} (epochs {epochs}, "
                f"t2 {self.t2})."
            ]
        return []
