import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax import models
from pljax.finetune import classifier
from pljax.pretrain import autoencoder
from pljax.protocols import arab2022, lee2013, quick

KEY = jax.random.key(0)


def make_classifier(visible=0.2, hidden=0.5, inverted=False, widths=(8,)):
    return models.Classifier(widths, 3, visible, hidden, inverted, "normal")


def shapes_of(model, features=784):
    image = jax.ShapeDtypeStruct((1, features), jnp.float32)
    return jax.eval_shape(model.init, jax.eval_shape(lambda: KEY), image)["params"]


@pytest.mark.parametrize("keep", [0.5, 0.8, 0.3, 0.999])
def test_keep_mask_is_true_with_its_probability_everywhere(keep):
    mask = models.keep_mask(KEY, keep, (2000, 45))
    error = 4 * (keep * (1 - keep)) ** 0.5
    assert abs(mask.mean() - keep) < error / mask.size**0.5
    assert (abs(mask.mean(axis=0) - keep) < 1.5 * error / 2000**0.5).all()


def test_keep_mask_of_independent_units():
    mask = models.keep_mask(KEY, 0.5, (4000, 64)).astype(jnp.float32)
    correlation = jnp.corrcoef(mask, rowvar=False) - jnp.eye(64)
    assert abs(correlation).max() < 5 / 4000**0.5


@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_rows_of_a_mask_do_not_depend_on_how_many_there_are(keep):
    few, many = models.keep_mask(KEY, keep, (3, 50)), models.keep_mask(KEY, keep, (9, 50))
    np.testing.assert_array_equal(few, many[:3])


def test_the_papers_dropout_masks_in_training_and_scales_afterwards():
    x = jnp.ones((64, 500))
    dropout = models.Dropout(rate=0.2, inverted=False)
    trained = dropout.apply({}, x, train=True, rngs={"dropout": KEY})
    assert set(np.unique(trained)) == {0.0, 1.0}
    np.testing.assert_allclose(dropout.apply({}, x, train=False), 0.8)


def test_inverted_dropout_scales_in_training_and_leaves_evaluation_alone():
    x = jnp.ones((64, 500))
    dropout = models.Dropout(rate=0.2, inverted=True)
    trained = dropout.apply({}, x, train=True, rngs={"dropout": KEY})
    np.testing.assert_allclose(np.unique(trained), [0.0, 1.25])
    np.testing.assert_array_equal(dropout.apply({}, x, train=False), x)


def test_both_kinds_of_dropout_expect_what_evaluation_gives():
    x = jnp.linspace(0, 1, 400).reshape(1, 400).repeat(3000, axis=0)
    for inverted in (False, True):
        dropout = models.Dropout(rate=0.5, inverted=inverted)
        trained = dropout.apply({}, x, train=True, rngs={"dropout": KEY}).mean(axis=0)
        np.testing.assert_allclose(trained, dropout.apply({}, x[0], train=False), atol=0.06)


@chex.variants(with_jit=True, without_jit=True)
class ClassifierTest(chex.TestCase):
    def test_shapes(self):
        model = make_classifier(widths=(8, 5))
        params = model.init(KEY, jnp.zeros((1, 12)))["params"]
        assert sorted(params) == ["hidden", "hidden_1", "output"]
        logits = self.variant(lambda images: models.forward(model, params, images))(jnp.zeros((7, 12)))
        chex.assert_shape(logits, (7, 3))
        chex.assert_type(logits, jnp.float32)

    def test_by_hand(self):
        model = make_classifier()
        params = jax.tree.map(lambda leaf: leaf + 0.1, model.init(KEY, jnp.zeros((1, 12)))["params"])
        x = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 12)
        hidden = np.maximum((0.8 * x) @ params["hidden"]["kernel"] + params["hidden"]["bias"][None], 0)
        expected = (0.5 * hidden) @ params["output"]["kernel"] + params["output"]["bias"][None]
        forward = self.variant(lambda images: models.forward(model, params, images))
        np.testing.assert_allclose(forward(jnp.asarray(x)), expected, rtol=1e-5)


def test_training_mode_draws_masks_from_its_key():
    model = make_classifier(widths=(64,))
    params = model.init(KEY, jnp.zeros((1, 12)))["params"]
    images = jnp.ones((2, 12))
    one, same, other = (
        models.forward(model, params, images, dropout_key=jax.random.fold_in(KEY, n)) for n in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("protocol", [lee2013, arab2022])
def test_the_classifier_has_the_reports_number_of_parameters(protocol):
    config = protocol.SCENARIOS["pl"]
    assert models.parameter_count(shapes_of(classifier(config, config.phases[-1], 10))) == 3_975_010


def test_the_reports_autoencoder_has_its_number_of_parameters():
    config = arab2022.SCENARIOS["pl_dae"]
    assert models.parameter_count(shapes_of(autoencoder(config, config.phases[0]))) == 9_151_680


def test_the_papers_autoencoder_ties_its_weights():
    config = quick.SCENARIOS["pl_dae"]
    shapes = shapes_of(autoencoder(config, config.phases[0]))
    assert models.parameter_count(shapes) == 784 * 1000 + 1000 + 784


def test_a_tied_autoencoder_by_hand():
    model = models.DenoisingAutoencoder(5, (), 0.5, False, "normal")
    params = jax.tree.map(lambda leaf: leaf + 0.1, model.init(KEY, jnp.zeros((1, 7)))["params"])
    x = np.linspace(0, 1, 14, dtype=np.float32).reshape(2, 7)
    kernel = params["hidden"]["kernel"]
    hidden = 0.5 * np.maximum(x @ kernel + params["hidden"]["bias"][None], 0)
    expected = hidden @ kernel.T + params["reconstruction_bias"][None]
    np.testing.assert_allclose(models.forward(model, params, jnp.asarray(x)), expected, rtol=1e-5)


@pytest.mark.parametrize(("kind", "spread"), [("normal", 0.01), ("glorot", (2 / (300 + 200)) ** 0.5)])
def test_initial_weights_have_their_spread_and_biases_are_zero(kind, spread):
    params = models.Classifier((200,), 3, 0.0, 0.0, True, kind).init(KEY, jnp.zeros((1, 300)))["params"]
    np.testing.assert_allclose(params["hidden"]["kernel"].std(), spread, rtol=0.02)
    assert not params["hidden"]["bias"].any()
    assert not params["output"]["bias"].any()


def test_predict_is_forward_in_blocks(monkeypatch):
    monkeypatch.setattr(models, "PREDICT_ROWS", 4)
    model = make_classifier()
    params = model.init(KEY, jnp.zeros((1, 12)))["params"]
    images = jax.random.randint(KEY, (11, 12), 0, 256).astype(jnp.uint8)
    whole = models.forward(model, params, models.to_inputs(images))
    np.testing.assert_allclose(models.predict(model, params, images), whole, rtol=1e-5, atol=1e-7)


def test_pixels_are_scaled_to_the_unit_interval():
    pixels = models.to_inputs(jnp.array([0, 51, 255], jnp.uint8))
    np.testing.assert_allclose(pixels, [0, 0.2, 1], rtol=1e-6)
    chex.assert_type(pixels, jnp.float32)


def test_features_that_are_floats_pass_unchanged():
    features = jnp.array([-3.5, 0.0, 1e30], jnp.float32)
    np.testing.assert_array_equal(models.to_inputs(features), features)
    chex.assert_type(models.to_inputs(features), jnp.float32)


def test_a_transplant_touches_one_layer():
    params = make_classifier().init(KEY, jnp.zeros((1, 12)))["params"]
    donor = {"hidden": jax.tree.map(lambda leaf: leaf + 1, params["hidden"])}
    grafted = models.transplant(donor, params)
    chex.assert_trees_all_equal(grafted["hidden"], donor["hidden"])
    chex.assert_trees_all_equal(grafted["output"], params["output"])
    assert sorted(grafted) == sorted(params)


def test_a_transplant_that_does_not_fit_is_loud():
    params = make_classifier().init(KEY, jnp.zeros((1, 12)))["params"]
    with pytest.raises(ValueError, match="no layer 'encoder'"):
        models.transplant({"encoder": params["hidden"]}, params)
    with pytest.raises(ValueError, match="has shapes"):
        models.transplant({"hidden": params["output"]}, params)


def test_all_finite_sees_a_single_bad_number():
    params = {"a": jnp.ones((3, 3)), "b": jnp.ones(2)}
    assert models.all_finite(params)
    for bad in (jnp.nan, jnp.inf):
        assert not models.all_finite({**params, "a": params["a"].at[1, 2].set(bad)})


def test_input_noise_is_there_in_training_alone_and_has_its_deviation():
    model = models.Classifier((3,), 2, 0.0, 0.0, True, "glorot", input_noise=0.5)
    images = jnp.ones((100, 50))
    np.testing.assert_array_equal(models.forward(model, {}, images, part="inputs"), images)
    noise = models.forward(model, {}, images, jax.random.key(0), "inputs") - images
    np.testing.assert_allclose(noise.std(), 0.5, rtol=0.05)
    np.testing.assert_allclose(noise.mean(), 0.0, atol=0.02)
