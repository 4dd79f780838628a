"""The losses against their equations, in double precision and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax.nn import losses

LOGITS = jnp.array([[2.0, -1.0, 0.5], [-3.0, 0.0, 4.0]])
LABELS = jnp.array([0, 1])


def softmax(logits):
    exponentials = np.exp(np.asarray(logits, np.float64))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_sigmoid_loss_is_eq_5_summed_over_the_outputs():
    f = 1 / (1 + np.exp(-np.asarray(LOGITS, np.float64)))
    y = np.array([[1, 0, 0], [0, 1, 0]])
    expected = -(y * np.log(f) + (1 - y) * np.log(1 - f)).sum(axis=1)
    np.testing.assert_allclose(losses.classification_loss(LOGITS, LABELS, "sigmoid"), expected, rtol=1e-6)


def test_softmax_loss_is_the_cross_entropy_of_the_softmax():
    p = softmax(LOGITS)
    expected = -np.log([p[0, 0], p[1, 1]])
    np.testing.assert_allclose(losses.classification_loss(LOGITS, LABELS, "softmax"), expected, rtol=1e-6)


def test_losses_stay_finite_for_outputs_that_saturate():
    for output in ("sigmoid", "softmax"):
        assert jnp.isfinite(losses.classification_loss(1e4 * LOGITS, LABELS, output)).all(), output


def test_rows_of_weight_0_do_not_change_the_supervised_loss():
    alone = losses.supervised_loss(LOGITS[:1], LABELS[:1], jnp.ones(1), "sigmoid")
    padded = losses.supervised_loss(LOGITS, LABELS, jnp.array([1.0, 0.0]), "sigmoid")
    assert float(alone) == float(padded)


def test_pseudo_labels_are_the_largest_outputs_and_constants_for_the_gradient():
    assert losses.pseudo_label(LOGITS).tolist() == [0, 2]

    def through_labels(scale):
        labels = losses.pseudo_label(scale * LOGITS)
        return losses.pseudo_label_loss(LOGITS, labels, "sigmoid") + labels.astype(jnp.float32).sum()

    assert float(jax.grad(through_labels)(1.0)) == 0


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_a_threshold_that_every_output_reaches_changes_no_label(output):
    logits = jax.random.normal(jax.random.key(0), (50, 3))
    without = losses.pseudo_label(logits)
    for threshold in (0.0, 1e-30, jnp.float32(0.0)):  # a traced one is an array
        labels = losses.pseudo_label(logits, output, threshold)
        np.testing.assert_array_equal(labels, without)
        assert labels.dtype == jnp.int32


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_there_is_a_label_exactly_where_the_largest_output_reaches_the_threshold(output):
    logits = np.asarray(jax.random.normal(jax.random.key(0), (200, 3)), np.float64)
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if output == "sigmoid":
        outputs = 1 / (1 + np.exp(-logits))
    expected = np.where(outputs.max(axis=1) >= 0.7, logits.argmax(axis=1), -1)
    assert 0 < (expected == -1).sum() < 200
    np.testing.assert_array_equal(losses.pseudo_label(jnp.asarray(logits, jnp.float32), output, 0.7), expected)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_a_row_without_a_label_has_no_loss_and_no_gradient_but_counts_in_the_mean(output):
    with_gradient = jax.jit(jax.value_and_grad(losses.pseudo_label_loss), static_argnums=2)
    for scale in (0.0, 1.0, 1e4):
        loss, gradient = with_gradient(scale * LOGITS, jnp.array([-1, -1]), output)
        assert float(loss) == 0, scale
        np.testing.assert_array_equal(gradient, 0)
    both = losses.pseudo_label_loss(LOGITS, jnp.array([2, -1]), output)
    alone = losses.pseudo_label_loss(LOGITS[:1], jnp.array([2]), output)
    np.testing.assert_allclose(both, alone / 2, rtol=1e-6)


def test_reconstruction_loss_is_eq_8_summed_or_averaged_over_pixels():
    images = jnp.array([[0.0, 1.0, 0.25], [1.0, 0.0, 0.5]])
    f = 1 / (1 + np.exp(-np.asarray(LOGITS, np.float64)))
    entropy = -(images * np.log(f) + (1 - images) * np.log(1 - f))
    np.testing.assert_allclose(losses.reconstruction_loss(LOGITS, images, "sum"), entropy.sum() / 2, rtol=1e-6)
    np.testing.assert_allclose(losses.reconstruction_loss(LOGITS, images, "mean"), entropy.mean(), rtol=1e-6)


def test_a_squared_error_is_half_the_square_of_the_difference_of_any_numbers():
    inputs = jnp.array([[-7.0, 1.0, 0.25], [1.0, 0.0, 30.0]])
    squares = (np.asarray(LOGITS, np.float64) - np.asarray(inputs)) ** 2 / 2
    for reduction, expected in (("sum", squares.sum() / 2), ("mean", squares.mean())):
        loss = losses.reconstruction_loss(LOGITS, inputs, reduction, "squared")
        np.testing.assert_allclose(loss, expected, rtol=1e-6)


def known(shares):
    """Shares, ``[C]``, that are the least and the greatest ones, ``[2, C]``."""
    return jnp.tile(jnp.asarray(shares, jnp.float32), (2, 1))


def test_alignment_scales_outputs_by_a_power_of_share_over_mean():
    logits = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32) + np.float32([3, 0, 0, -1])
    shares = np.float32([0.4, 0.3, 0.2, 0.1])
    align, mean = jax.jit(losses.align), softmax(logits).mean(axis=0)
    for strength in (0.25, 0.5, 1.0):
        aligned = softmax(align(logits, known(shares), strength))
        expected = softmax(logits) * (shares / mean) ** strength
        np.testing.assert_allclose(aligned, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4)
        assert abs(aligned.mean(axis=0) - shares).sum() < abs(mean - shares).sum() * (1 - strength / 2), strength


def test_a_sigmoid_unit_is_aligned_as_a_classifier_of_two_classes():
    """Its output and one minus it are multiplied by powers of share over mean, and divided by their sum."""
    logits = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32) + np.float32([1, 0, -1, -3])
    shares, align = np.float32([0.4, 0.3, 0.2, 0.1]), jax.jit(losses.align, static_argnums=3)
    f = 1 / (1 + np.exp(-logits.astype(np.float64)))
    mean = f.mean(axis=0)
    for strength in (0.25, 0.5, 1.0):
        aligned = 1 / (1 + np.exp(-np.asarray(align(logits, known(shares), strength, "sigmoid"), np.float64)))
        yes, no = f * (shares / mean) ** strength, (1 - f) * ((1 - shares) / (1 - mean)) ** strength
        np.testing.assert_allclose(aligned, yes / (yes + no), rtol=1e-4)
        assert (abs(aligned.mean(axis=0) - shares) < abs(mean - shares) * (1 - strength / 2)).all(), strength


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_alignment_of_no_strength_or_of_outputs_that_have_the_shares_changes_nothing(output):
    logits = jax.random.normal(jax.random.key(0), (50, 4))
    shares = (jax.nn.softmax(logits) if output == "softmax" else jax.nn.sigmoid(logits)).mean(axis=0)
    np.testing.assert_array_equal(losses.align(logits, jnp.full((2, 4), 0.25), 0.0, output), logits)
    np.testing.assert_allclose(losses.align(logits, known(shares), 1.0, output), logits, atol=1e-6)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_alignment_with_an_interval_is_alignment_with_the_share_in_it_that_is_next_to_the_mean(output):
    logits = jax.random.normal(jax.random.key(0), (50, 3)) + jnp.array([[2.0, 0.0, -2.0]])
    mean = (jax.nn.softmax(logits) if output == "softmax" else jax.nn.sigmoid(logits)).mean(axis=0)
    for low, high, nearest in ((0.02, 0.1, 0.02), (-0.03, -0.01, -0.01), (-0.02, 0.1, 0.0)):
        expected = losses.align(logits, known(mean + nearest), 0.5, output)
        aligned = losses.align(logits, jnp.stack([mean + low, mean + high]), 0.5, output)
        np.testing.assert_allclose(aligned, expected, atol=1e-6)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_alignment_with_a_class_without_labels_stays_finite(output):
    aligned = losses.align(jnp.array([[50.0, 0.0], [50.0, 0.0]]), known(jnp.array([0.0, 1.0])), 1.0, output)
    assert jnp.isfinite(aligned).all()
