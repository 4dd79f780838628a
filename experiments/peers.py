"""The updates of `lee2013`, as one would write them in PyTorch and in Keras. speed.py measures pljax against them.

``classifier`` is an update of scenario ``pl`` (32 labelled and 256 unlabelled images, pseudo-labels anew, the paper's
dropout and momentum), ``autoencoder`` one of the pre-training of ``pl_dae``: :func:`pljax.training.step.train_step` of
either method, with the draws and the gather of the images around it. As there, the data set stays in memory as uint8.
Of two formulations that a practised user might choose, the one faster on two cores is here.

There are two liberties, both to the advantage of the peers. Learning rate, momentum and alpha are constants, with
values from late in training. And labelled images are drawn anew at every update, not by passes. Keras's Adam has its
epsilon where Adam's authors allow it too: inside the correction for the start.

A library is imported when its peer is built. To be measured, each peer needs a process of its own: the thread pools of
several libraries get in each other's way, and TensorFlow takes its number of threads and its device once for all.
"""

import functools
import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

LABELS, LABELLED, UNLABELLED, CLASSES = 100, 32, 256, 10
KEEP_VISIBLE, KEEP_HIDDEN, KEEP_CLEAN = 0.8, 0.5, 0.5  # the last: pixels, under masking noise
RATE, MOMENTUM, ALPHA = 1.5 * 0.998**500, 0.99, 3.0
ADAM_RATE, ADAM_EPSILON = 3e-4, 1e-8
INITIAL_DEVIATION = 0.01

Draw = Callable[[], tuple[Any, Any, Any]]  # rows, mask of the pixels, mask of the hidden units
Update = Callable[[Any, Any, Any], None]  # what an update makes of them


class Peer(NamedTuple):
    """A network of another library. Called without arguments, it makes one update, and returns when that is done."""

    step: Callable[[], None]
    update: Update  # the same from given rows and masks
    parameters: list[Any]  # W, b, then V, c of the output layer or the bias of the reconstruction

    def __call__(self) -> None:
        self.step()


def cores() -> int:
    """How many threads a library may keep busy."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# PyTorch. Weights are [outputs, inputs], as in torch.nn.Linear.


def import_torch(device: str) -> ModuleType:
    """PyTorch, set up for a device."""
    import torch

    torch.set_num_threads(cores())
    if device != "cpu":
        torch.set_float32_matmul_precision("high")  # TF32, which is JAX's default there
    return torch


def torch_peer(
    torch: ModuleType, parameters: list[Any], draw: Draw, update: Update, device: str, compiled: bool
) -> Peer:
    """A peer from what it draws and what it makes of that.

    Compiled is the whole update, but for a fused optimizer, at which ``torch.compile`` stops. On a CPU the draws are
    left out: there the compiler's random numbers cost more than PyTorch's own.
    """

    def whole() -> None:
        update(*draw())

    if compiled:
        update = torch.compile(update, dynamic=False)
        if device != "cpu":
            whole = torch.compile(whole, dynamic=False)

    def step() -> None:
        whole()
        if device != "cpu":
            torch.cuda.synchronize()

    return Peer(step, update, parameters)


def torch_gradient(torch: ModuleType, objective: Callable[..., Any], compiled: bool) -> Callable[..., Sequence[Any]]:
    """The gradient by the first argument. ``torch.compile`` follows ``torch.func.grad``, but no ``backward()``."""
    if compiled:
        return torch.func.grad(objective)
    return lambda parameters, *given: torch.autograd.grad(objective(parameters, *given), parameters)


def torch_mask(torch: ModuleType, keep: float, shape: Sequence[int], device: str) -> Any:
    """A 0/1 mask, as floats: to multiply by these is faster than by booleans. ``bernoulli_`` runs on one core."""
    return torch.rand(shape, device=device).lt_(keep)


def torch_classifier(
    images: np.ndarray, labels: np.ndarray, *, hidden: int = 5000, device: str = "cpu", compiled: bool = False
) -> Peer:
    """The classifier on uint8 ``images`` ``[N, D]`` and ``labels`` ``[N]``, the first hundred of which it may see."""
    torch = import_torch(device)
    functional = torch.nn.functional
    pixels = torch.from_numpy(images).to(device)
    classes = torch.from_numpy(labels).to(device, torch.int64)
    mask = functools.partial(torch_mask, torch, device=device)
    parameters = [
        torch.randn(hidden, images.shape[1], device=device) * INITIAL_DEVIATION,
        torch.zeros(hidden, device=device),
        torch.randn(CLASSES, hidden, device=device) * INITIAL_DEVIATION,
        torch.zeros(CLASSES, device=device),
    ]
    velocity = [torch.zeros_like(parameter) for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(not compiled)

    def draw() -> tuple[Any, Any, Any]:
        labelled = torch.randint(LABELS, (LABELLED,), device=device)
        rows = torch.cat([labelled, torch.randint(LABELS, len(pixels), (UNLABELLED,), device=device)])
        shape = len(rows), images.shape[1]
        return rows, mask(KEEP_VISIBLE, shape), mask(KEEP_HIDDEN, (len(rows), hidden))

    def objective(parameters: Sequence[Any], x: Any, hidden_mask: Any, targets: Any) -> Any:
        w, b, v, c = parameters
        logits = functional.linear(functional.linear(x, w, b).relu_() * hidden_mask, v, c)
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)
        return losses[:LABELLED].mean() + ALPHA * losses[LABELLED:].mean()

    gradient = torch_gradient(torch, objective, compiled)

    def update(rows: Any, visible_mask: Any, hidden_mask: Any) -> None:
        x = pixels[rows].float().div_(255)
        with torch.no_grad():
            w, b, v, c = parameters
            h = functional.linear(KEEP_VISIBLE * x[LABELLED:], w, b).relu_()
            pseudo_labels = functional.linear(h, KEEP_HIDDEN * v, c).argmax(1)  # the weights halved: fewer than units
        targets = functional.one_hot(torch.cat([classes[rows[:LABELLED]], pseudo_labels]), CLASSES).float()
        gradients = gradient(parameters, x * visible_mask, hidden_mask, targets)
        with torch.no_grad():
            torch._foreach_mul_(velocity, MOMENTUM)
            torch._foreach_add_(velocity, gradients, alpha=-(1 - MOMENTUM) * RATE)
            torch._foreach_add_(parameters, velocity)

    return torch_peer(torch, parameters, draw, update, device, compiled)


def torch_autoencoder(
    images: np.ndarray, *, hidden: int = 5000, batch: int = 256, device: str = "cpu", compiled: bool = False
) -> Peer:
    """The auto-encoder on uint8 ``images`` ``[N, D]``."""
    torch = import_torch(device)
    functional = torch.nn.functional
    pixels = torch.from_numpy(images).to(device)
    mask = functools.partial(torch_mask, torch, device=device)
    parameters = [
        torch.randn(hidden, images.shape[1], device=device) * INITIAL_DEVIATION,
        torch.zeros(hidden, device=device),
        torch.zeros(images.shape[1], device=device),
    ]
    for parameter in parameters:
        parameter.requires_grad_(not compiled)
    adam = torch.optim.Adam(parameters, ADAM_RATE, eps=ADAM_EPSILON, fused=True)

    def draw() -> tuple[Any, Any, Any]:
        rows = torch.randint(len(pixels), (batch,), device=device)
        return rows, mask(KEEP_CLEAN, (batch, images.shape[1])), mask(KEEP_HIDDEN, (batch, hidden))

    def objective(parameters: Sequence[Any], x: Any, corrupted: Any, hidden_mask: Any) -> Any:
        w, b, a = parameters
        logits = torch.addmm(a, functional.linear(corrupted, w, b).relu_() * hidden_mask, w)
        return functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / batch

    gradient = torch_gradient(torch, objective, compiled)

    def update(rows: Any, visible_mask: Any, hidden_mask: Any) -> None:
        x = pixels[rows].float().div_(255)
        for parameter, slope in zip(parameters, gradient(parameters, x, x * visible_mask, hidden_mask), strict=True):
            parameter.grad = slope
        adam.step()

    return torch_peer(torch, parameters, draw, update, device, compiled)


# Keras on TensorFlow. Weights are [inputs, outputs]. On a CPU jit_compile=True makes it slower, with or without draws.


def import_keras(device: str) -> tuple[ModuleType, ModuleType]:
    """TensorFlow and Keras, set up for a device."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(cores())
    tf.config.threading.set_inter_op_parallelism_threads(cores())
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    import keras

    return tf, keras


def keras_peer(tf: ModuleType, parameters: list[Any], draw: Draw, update: Update, device: str) -> Peer:
    """A peer from what it draws and what it makes of that."""
    whole = tf.function(lambda: update(*draw()))

    def step() -> None:
        whole()
        if device != "cpu":
            tf.test.experimental.sync_devices()

    return Peer(step, tf.function(update), parameters)


def keras_mask(tf: ModuleType, keep: float, shape: Sequence[int]) -> Any:
    """A 0/1 mask, as floats."""
    return tf.cast(tf.random.uniform(shape) < keep, tf.float32)


def keras_classifier(images: np.ndarray, labels: np.ndarray, *, hidden: int = 5000, device: str = "cpu") -> Peer:
    """As :func:`torch_classifier`."""
    tf, keras = import_keras(device)
    pixels, classes = tf.constant(images), tf.constant(labels, tf.int64)
    mask = functools.partial(keras_mask, tf)
    initial = keras.initializers.RandomNormal(stddev=INITIAL_DEVIATION)
    first = keras.layers.Dense(hidden, "relu", kernel_initializer=initial)
    second = keras.layers.Dense(CLASSES, kernel_initializer=initial)
    second(first(keras.Input((images.shape[1],))))
    parameters = first.trainable_variables + second.trainable_variables
    velocity = [tf.Variable(tf.zeros(parameter.shape)) for parameter in parameters]

    def draw() -> tuple[Any, Any, Any]:
        labelled = tf.random.uniform((LABELLED,), 0, LABELS, tf.int32)
        rows = tf.concat([labelled, tf.random.uniform((UNLABELLED,), LABELS, len(images), tf.int32)], 0)
        shape = LABELLED + UNLABELLED, images.shape[1]
        return rows, mask(KEEP_VISIBLE, shape), mask(KEEP_HIDDEN, (shape[0], hidden))

    def update(rows: Any, visible_mask: Any, hidden_mask: Any) -> None:
        x = tf.cast(tf.gather(pixels, rows), tf.float32) / 255
        pseudo_labels = tf.argmax(second(KEEP_HIDDEN * first(KEEP_VISIBLE * x[LABELLED:])), 1)
        targets = tf.one_hot(tf.concat([tf.gather(classes, rows[:LABELLED]), pseudo_labels], 0), CLASSES)
        with tf.GradientTape() as tape:
            logits = second(first(x * visible_mask) * hidden_mask)
            losses = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), 1)
            loss = tf.reduce_mean(losses[:LABELLED]) + ALPHA * tf.reduce_mean(losses[LABELLED:])
        for p, v, gradient in zip(parameters, velocity, tape.gradient(loss, parameters), strict=True):
            p.assign_add(v.assign(MOMENTUM * v - (1 - MOMENTUM) * RATE * gradient))

    return keras_peer(tf, parameters, draw, update, device)


def keras_autoencoder(images: np.ndarray, *, hidden: int = 5000, batch: int = 256, device: str = "cpu") -> Peer:
    """As :func:`torch_autoencoder`."""
    tf, keras = import_keras(device)
    pixels = tf.constant(images)
    mask = functools.partial(keras_mask, tf)
    initial = keras.initializers.RandomNormal(stddev=INITIAL_DEVIATION)
    encoder = keras.layers.Dense(hidden, "relu", kernel_initializer=initial)
    encoder.build((None, images.shape[1]))
    parameters = [*encoder.trainable_variables, keras.Variable(tf.zeros(images.shape[1]))]
    adam = keras.optimizers.Adam(ADAM_RATE, epsilon=ADAM_EPSILON)
    adam.build(parameters)

    def draw() -> tuple[Any, Any, Any]:
        rows = tf.random.uniform((batch,), 0, len(images), tf.int32)
        return rows, mask(KEEP_CLEAN, (batch, images.shape[1])), mask(KEEP_HIDDEN, (batch, hidden))

    def update(rows: Any, visible_mask: Any, hidden_mask: Any) -> None:
        x = tf.cast(tf.gather(pixels, rows), tf.float32) / 255
        with tf.GradientTape() as tape:
            h = encoder(x * visible_mask) * hidden_mask
            logits = tf.matmul(h, encoder.kernel, transpose_b=True) + parameters[-1]
            loss = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, logits)) / batch
        adam.apply(tape.gradient(loss, parameters))

    return keras_peer(tf, parameters, draw, update, device)


CLASSIFIERS: dict[str, Callable[..., Peer]] = {
    "torch_eager": torch_classifier,
    "torch_compiled": functools.partial(torch_classifier, compiled=True),
    "keras_function": keras_classifier,
}
AUTOENCODERS: dict[str, Callable[..., Peer]] = {
    "torch_eager": torch_autoencoder,
    "torch_compiled": functools.partial(torch_autoencoder, compiled=True),
    "keras_function": keras_autoencoder,
}
