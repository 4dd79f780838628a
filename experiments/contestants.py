"""What speed.py measures: updates of pljax, the matrix products that they cannot do without, and those of its peers.

Each gives a function that does some updates, and how many.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import peers

LABELLED, PIXELS, CLASSES = 32, 784, 10


class Plan(NamedTuple):
    """How much is measured, and with which images."""

    tiny: bool
    data_dir: str | None
    hidden: int  # units of the networks in ``updates``
    batch: int  # unlabelled images an update, and images an update of the auto-encoder
    seeds: dict[str, tuple[int, ...]]  # that pljax trains there, by network
    peers: tuple[str, ...]  # the other libraries there
    seconds: float  # that a contestant is measured at a time
    repeats: int  # in ``updates``
    growth_repeats: int
    saves: int
    starts: tuple[str, ...]
    command: tuple[str, ...]  # the flags of what is started
    growth: dict[str, list[int]]  # one size at a time is another than usual
    usual: dict[str, int]

    @property
    def flags(self) -> list[str]:
        """The flags that give a worker the same plan."""
        return [*(["--tiny"] if self.tiny else []), *([f"--data_dir={self.data_dir}"] if self.data_dir else [])]


def floor(kind: str, hidden: int, batch: int) -> tuple[tuple[int, int, int], ...]:
    """The products ``[m, k] x [k, n]`` that an update cannot do without, as ``(m, k, n)``."""
    if kind == "ladder":
        return tuple(ladder_floor())
    if kind == "classifier":
        return (
            (batch, PIXELS, hidden),  # for the pseudo-labels
            (LABELLED + batch, PIXELS, hidden),
            (PIXELS, LABELLED + batch, hidden),  # the gradient
        )
    return (
        (batch, PIXELS, hidden),
        (batch, hidden, PIXELS),
        (PIXELS, batch, hidden),  # the gradient of the tied weights as an encoder,
        (hidden, batch, PIXELS),  # as a decoder,
        (batch, PIXELS, hidden),  # and of the hidden units
    )


def ladder_floor() -> Iterator[tuple[int, int, int]]:
    """The products of an update of the ladder under `quick`: noisy pass, clean pass and decoder, with gradients."""
    phase = ladder().phases[0]
    unlabelled, rows = phase.batches.unlabelled_batch_size, phase.batches.rows_at_once()
    for layer, (below, width) in enumerate(itertools.pairwise((PIXELS, *phase.method.network.hidden, CLASSES))):
        yield rows, below, width  # noisy
        yield below, rows, width  # the gradient of the weights
        if layer:
            yield rows, width, below  # and of the layer below
        yield unlabelled, below, width  # clean
        yield below, unlabelled, width
        if layer:
            yield unlabelled, width, below
        yield unlabelled, width, below  # decoder
        yield width, unlabelled, below
        yield unlabelled, below, width


def ladder() -> Any:
    """The ladder without pseudo-labels under `quick`."""
    from pljax import SCENARIOS

    return SCENARIOS["quick"]["ladder"]


def noise() -> tuple[Callable[[], None], int]:
    """The drawing of the noise of an update of the ladder."""
    import jax

    phase = ladder().phases[0]
    units = sum((PIXELS, *phase.method.network.hidden, CLASSES))
    draw = jax.jit(lambda key: jax.random.normal(key, (phase.batches.rows_at_once(), units)))
    return lambda: jax.block_until_ready(draw(jax.random.key(0))), 1


def optimizer(config: Any, dataset: Any) -> tuple[Callable[[], None], int]:
    """The optimizer's part of an update: a pass over the parameters, their gradients and the optimizer's state."""
    import jax
    import jax.numpy as jnp
    import optax

    from pljax.protocols.config import shapes

    phase = config.phases[0]
    adam = phase.optimizer.transform(phase.batches.updates(config.labels), phase.epochs)
    of_params, _ = shapes(config, dataset.train_images, dataset.classes)[0]
    params = jax.tree.map(lambda of: jnp.ones(of.shape), of_params)
    gradients = jax.tree.map(lambda of: jnp.full(of.shape, 0.1), of_params)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(params: Any, state: Any, gradients: Any) -> Any:
        updates, state = adam.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    now = params, adam.init(params)

    def work() -> None:
        nonlocal now
        now = update(*now, gradients)
        jax.block_until_ready(now)

    return work, 1


def products(shapes: tuple[tuple[int, int, int], ...]) -> tuple[Callable[[], None], int]:
    """The matrix products of an update by NumPy's sgemm."""
    generator = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, np.float32)

    made = [(array(m, k), array(k, n), np.empty((m, n), np.float32)) for m, k, n in shapes]

    def work() -> None:
        for one, other, out in made:
            np.matmul(one, other, out=out)

    return work, 1


def lee(scenario: str, hidden: int, batch: int) -> Any:
    """A scenario of `lee2013` with other sizes."""
    from pljax import SCENARIOS
    from pljax.settings import override

    sizes = {"hidden": (hidden,), "unlabelled_batch_size": batch, "pretrain_batch_size": batch}
    return override(SCENARIOS["lee2013"][scenario], sizes)[0]


def pljax(config: Any, seeds: int, dataset: Any) -> tuple[Callable[[], None], int]:
    """Rounds of a config's first phase from the middle of its schedule, as the command line runs them."""
    import jax

    from pljax.training import devices, seed_group
    from pljax.training.seeds import layout_for

    devices.retain_freed_memory()
    layout = layout_for(seeds)
    group = seed_group.make_group(config, range(seeds), dataset, layout)
    phase, programs, key = group.phase(0), group.programs(0), group.key(0)
    state = layout.reshard(programs.init(phase, key, {}, group.splits, group.data))
    t = phase.epochs * phase.batches.rounds(group.labelled_size) // 2

    def work() -> None:
        nonlocal state, t
        state, metrics, _ = programs.train_round(phase, key, np.int32(t), state, group.splits, group.data)
        jax.block_until_ready(metrics)
        t += 1

    return work, seeds * phase.batches.updates(group.labelled_size)


def images(count: int, plan: Plan) -> Any:
    """MNIST; or as many images as asked for, drawn from it."""
    from pljax import Dataset, load

    mnist = load("mnist_5k") if plan.tiny else load("mnist" if plan.data_dir else "auto", plan.data_dir)
    if count == len(mnist.train_labels):
        return mnist
    rows = np.random.default_rng(0).integers(0, len(mnist.train_labels), count)
    train = mnist.train_images[rows], mnist.train_labels[rows]
    return Dataset(f"{count} images of MNIST", mnist.classes, *train, mnist.test_images, mnist.test_labels)


def contestant(name: str, plan: Plan) -> tuple[Callable[[], None], int]:
    """What a name stands for: ``classifier/pljax/5``, ``autoencoder/floor``, ``hidden/2000`` and so on."""
    kind, who, *rest = name.split("/")
    if kind in plan.usual:
        sizes = {**plan.usual, kind: int(who)}
        return pljax(lee("pl", sizes["hidden"], plan.batch), sizes["seeds"], images(sizes["images"], plan))
    if who == "floor":
        return products(floor(kind, plan.hidden, plan.batch))
    if who == "noise":
        return noise()
    mnist = images(plan.usual["images"], plan)
    if who == "optimizer":
        return optimizer(ladder(), mnist)
    if who == "pljax":
        scenario = "pl" if kind == "classifier" else "pl_dae"
        config = ladder() if kind == "ladder" else lee(scenario, plan.hidden, plan.batch)
        return pljax(config, int(rest[0]), mnist)
    if kind == "classifier":
        return peers.CLASSIFIERS[who](mnist.train_images, mnist.train_labels, hidden=plan.hidden), 1
    return peers.AUTOENCODERS[who](mnist.train_images, hidden=plan.hidden, batch=plan.batch), 1
