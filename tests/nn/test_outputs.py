"""The entropies of outputs: by hand, and where a class has no probability at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax.nn.outputs import conditional_entropy, marginal_entropy

LOGITS = np.array([[2.0, -1.0, 0.5], [-3.0, 0.0, 4.0]])


def probabilities(output):
    shares = np.exp(LOGITS) if output == "softmax" else 1 / (1 + np.exp(-LOGITS))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_marginal_entropy_is_that_of_the_mean_output(output):
    mean = probabilities(output).mean(axis=0)
    found = marginal_entropy(jnp.asarray(LOGITS, jnp.float32), output)
    np.testing.assert_allclose(found, -(mean * np.log(mean)).sum(), rtol=1e-6)


def test_the_marginal_entropy_less_the_mean_conditional_one_is_what_the_outputs_say_of_the_images():
    """It is 0 if they are the same for all images, and log C if they are sure, each class as often as the others."""

    def information(logits):
        return float(marginal_entropy(logits, "softmax") - conditional_entropy(logits, "softmax").mean())

    assert information(jnp.tile(jnp.array([2.0, -1.0, 0.5]), (4, 1))) == pytest.approx(0, abs=1e-6)
    assert information(50 * jnp.tile(jnp.eye(3), (2, 1))) == pytest.approx(np.log(3), rel=1e-6)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_a_class_without_any_probability_gives_a_finite_gradient(output):
    logits = jnp.array([[200.0, -200.0], [200.0, -200.0]])
    assert np.isfinite(jax.jit(jax.grad(lambda x: marginal_entropy(x, output)))(logits)).all()
