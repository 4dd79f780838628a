"""The protocols against their sources, number by number; and which published figures may stand beside a run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax import finetune, pretrain, schedules
from pljax.config import Adam, Dropout, Finetune, GradientDescent, PaperMomentum, Pretrain, PseudoLabels, override
from pljax.models import parameter_count
from pljax.protocols import MNIST_DIGEST, SCENARIOS, arab2022, lee2013, published, references
from pljax.run import count_parameters
from pljax.types import Dataset

FOUR = ["nn", "drop_nn", "pl", "pl_dae"]


def finetunes(protocol, scenario):
    return [phase for phase in SCENARIOS[protocol][scenario].phases if isinstance(phase, Finetune)]


def pretrains(protocol, scenario):
    return [phase for phase in SCENARIOS[protocol][scenario].phases if isinstance(phase, Pretrain)]


@pytest.mark.parametrize("protocol", SCENARIOS)
def test_every_protocol_has_the_four_scenarios_under_their_names(protocol):
    assert list(SCENARIOS[protocol]) == FOUR
    for name, config in SCENARIOS[protocol].items():
        assert (config.protocol, config.scenario) == (protocol, name)


@pytest.mark.parametrize("protocol", SCENARIOS)
def test_each_scenario_switches_one_thing_on(protocol):
    last = {name: finetunes(protocol, name)[-1] for name in FOUR}
    assert [last[name].dropout is not None for name in FOUR] == [False, True, True, True]
    assert [last[name].pseudo_labels is not None for name in FOUR] == [False, False, True, True]
    assert [len(pretrains(protocol, name)) for name in FOUR] == [0, 0, 0, 1]


# --------------------------------------------------------------------------------------------- lee2013


@pytest.mark.parametrize("scenario", FOUR)
def test_lee2013_network_and_split(scenario):
    config = SCENARIOS["lee2013"][scenario]
    assert config.hidden == (5000,)
    assert config.output == "sigmoid"
    assert config.initial_weights == "normal"
    assert config.inverted_dropout is False
    assert (config.labels, config.validation, config.choose_labels) == (100, 1000, "random")


@pytest.mark.parametrize("scenario", FOUR)
def test_lee2013_trains_for_1000_epochs_of_4_updates_with_the_papers_momentum(scenario):
    config = SCENARIOS["lee2013"][scenario]
    (phase,) = finetunes("lee2013", scenario)
    assert phase.epochs == 1000
    assert (phase.batch_size, phase.last_batch) == (32, "filled")
    assert phase.optimizer == PaperMomentum(
        rate=1.5, decay=0.998, initial_momentum=0.5, final_momentum=0.99, momentum_epochs=500
    )
    assert finetune.trainer(config, phase, classes=10).updates == 4


@pytest.mark.parametrize("scenario", ["drop_nn", "pl", "pl_dae"])
def test_lee2013_drops_a_fifth_of_the_pixels_and_half_of_the_hidden_units(scenario):
    assert finetunes("lee2013", scenario)[0].dropout == Dropout(visible=0.2, hidden=0.5)


@pytest.mark.parametrize(("scenario", "t1", "t2"), [("pl", 100, 600), ("pl_dae", 200, 800)])
def test_lee2013_pseudo_labels(scenario, t1, t2):
    assert finetunes("lee2013", scenario)[0].pseudo_labels == PseudoLabels(
        alpha_f=3.0, t1=t1, t2=t2, batch_size=256, assign="every_update", draw="uniform"
    )


def test_lee2013_autoencoder():
    (phase,) = pretrains("lee2013", "pl_dae")
    assert phase.epochs * phase.updates_per_epoch == 1170
    assert phase.batch_size == 256
    assert isinstance(phase.optimizer, Adam)
    assert phase.optimizer.rate == 3e-4
    assert (phase.noise, phase.noise_level, phase.hidden_dropout) == ("masking", 0.5, 0.5)
    assert (phase.bottleneck, phase.loss) == ((), "sum")  # one layer with tied weights, summed over pixels


# ------------------------------------------------------------------------------------------------ quick


@pytest.mark.parametrize("scenario", FOUR)
def test_quick_is_lee2013_at_a_fifth_of_the_width_and_three_tenths_of_the_length(scenario):
    quick, paper = SCENARIOS["quick"][scenario], SCENARIOS["lee2013"][scenario]
    phase, original = quick.phases[-1], paper.phases[-1]
    assert quick.hidden == (1000,)
    assert phase.epochs == 300
    assert phase.optimizer.momentum_epochs == 150
    assert phase.optimizer.decay == pytest.approx(0.998 ** (1 / 0.3), rel=1e-12)
    assert dataclasses.replace(quick, protocol="lee2013", hidden=(5000,), phases=paper.phases) == paper
    unscaled = dataclasses.replace(phase.optimizer, decay=0.998, momentum_epochs=500)
    scaled_back = dataclasses.replace(phase, epochs=1000, optimizer=unscaled, pseudo_labels=original.pseudo_labels)
    assert scaled_back == original


@pytest.mark.parametrize(("scenario", "t1", "t2"), [("pl", 30, 180), ("pl_dae", 60, 240)])
def test_quick_pseudo_labels(scenario, t1, t2):
    assert finetunes("quick", scenario)[0].pseudo_labels == PseudoLabels(alpha_f=3.0, t1=t1, t2=t2, batch_size=256)


def test_quick_autoencoder_makes_936_updates_at_a_higher_rate():
    (phase,), (original,) = pretrains("quick", "pl_dae"), pretrains("lee2013", "pl_dae")
    assert phase.epochs * phase.updates_per_epoch == 936
    assert (phase.batch_size, phase.optimizer.rate) == (256, 1e-3)
    slowed = dataclasses.replace(phase.optimizer, rate=3e-4)
    assert dataclasses.replace(phase, epochs=original.epochs, optimizer=slowed) == original


def test_quick_ends_at_the_learning_rate_that_lee2013_ends_at():
    decay = finetunes("quick", "nn")[0].optimizer.decay
    assert 1.5 * decay**300 == pytest.approx(1.5 * 0.998**1000, rel=1e-9)


# --------------------------------------------------------------------------------------------- arab2022

KERAS_ADAM = Adam(rate=1e-3, b1=0.9, b2=0.999, eps=1e-7)
NOTEBOOK_DESCENT = GradientDescent(rate=1.5, decay=0.88, decay_updates=10)
NOTEBOOK_PSEUDO = PseudoLabels(
    alpha_f=3.0, t1=100, t2=600, batch_size=256, assign="once", draw="shuffle_buffer", buffer_size=1024
)
BOTH, HIDDEN_ONLY = Dropout(visible=0.2, hidden=0.5), Dropout(visible=0.0, hidden=0.5)


def short(epochs, *rest):
    """Mini-batches of 32, the last one with what is left."""
    return Finetune(epochs, 32, *rest, last_batch="short")


@pytest.mark.parametrize("scenario", FOUR)
def test_arab2022_network_and_split(scenario):
    config = SCENARIOS["arab2022"][scenario]
    assert config.hidden == (5000,)
    assert config.output == "softmax"
    assert config.initial_weights == "glorot"
    assert config.inverted_dropout is True
    assert (config.labels, config.validation, config.choose_labels) == (100, 0, "first")


@pytest.mark.parametrize(
    ("scenario", "stages"),
    [
        ("nn", [short(20, KERAS_ADAM)]),
        ("drop_nn", [short(500, NOTEBOOK_DESCENT, BOTH)]),
        ("pl", [short(500, NOTEBOOK_DESCENT, BOTH), short(500, KERAS_ADAM, BOTH, NOTEBOOK_PSEUDO)]),
        (
            "pl_dae",
            [
                short(100, KERAS_ADAM, HIDDEN_ONLY),
                short(500, KERAS_ADAM, HIDDEN_ONLY, NOTEBOOK_PSEUDO),
            ],
        ),
    ],
)
def test_arab2022_stages_of_the_classifier(scenario, stages):
    assert finetunes("arab2022", scenario) == stages


def test_arab2022_autoencoder():
    phase = SCENARIOS["arab2022"]["pl_dae"].phases[0]
    assert phase == Pretrain(
        epochs=10,
        updates_per_epoch=60_000 // 32,
        batch_size=32,
        optimizer=KERAS_ADAM,
        noise="gaussian",
        noise_level=0.5,
        hidden_dropout=0.5,
        bottleneck=(128, 64, 32, 64, 128),
        loss="mean",
    )


def test_arab2022_alpha_ends_below_its_final_weight():
    (*_, phase) = finetunes("arab2022", "pl")
    pseudo = phase.pseudo_labels
    weight = schedules.alpha(pseudo.alpha_f, pseudo.t1, pseudo.t2)(phase.epochs - 1)
    assert float(weight) == pytest.approx(2.394, abs=1e-6)


def test_arab2022_can_meet_only_the_first_2048_images():
    config = SCENARIOS["arab2022"]["pl"]
    updates = finetune.trainer(config, config.phases[-1], classes=10).updates
    pseudo = config.phases[-1].pseudo_labels
    assert updates == 4
    assert pseudo.buffer_size + updates * pseudo.batch_size == 2048


def test_arab2022_has_the_reports_numbers_of_parameters():
    config = SCENARIOS["arab2022"]["pl_dae"]
    image, label = np.zeros((1, 784), np.uint8), np.zeros(1, np.int32)
    assert count_parameters(config, Dataset("blank", 10, image, label, image, label)) == 3_975_010
    autoencoder = pretrain.autoencoder(config, config.phases[0])
    shapes = jax.eval_shape(lambda: autoencoder.init(jax.random.key(0), jnp.zeros((1, 784))))
    assert parameter_count(shapes["params"]) == 9_151_680


# --------------------------------------------------------------------------------------------- published

# Table 1 of the paper: test error in per cent with 100, 600, 1000 and 3000 labels.
TEST_ERROR = {
    "nn": (25.81, 11.44, 10.7, 6.04),
    "drop_nn": (21.89, 8.57, 6.59, 3.72),
    "pl": (16.15, 5.03, 4.30, 2.80),
    "pl_dae": (10.49, 4.01, 3.46, 2.69),
}


def test_the_papers_accuracies_are_100_minus_its_errors():
    expected = {
        (scenario, labels): pytest.approx(100 - error, abs=1e-9)
        for scenario, errors in TEST_ERROR.items()
        for labels, error in zip((100, 600, 1000, 3000), errors, strict=True)
    }
    assert expected == lee2013.PUBLISHED


def test_the_reports_accuracies():
    expected = {("nn", 100): 70.03, ("drop_nn", 100): 71.20, ("pl", 100): 72.28, ("pl_dae", 100): 76.95}
    assert expected == arab2022.PUBLISHED


@pytest.mark.parametrize(
    ("protocol", "scenario", "labels", "figure"),
    [
        ("lee2013", "pl", 100, ("Lee 2013", 83.85)),
        ("lee2013", "pl", 600, ("Lee 2013", 94.97)),
        ("lee2013", "pl_dae", 3000, ("Lee 2013", 97.31)),
        ("arab2022", "pl_dae", 100, ("Arab et al. 2022", 76.95)),
    ],
)
def test_a_run_of_the_sources_own_protocol_stands_beside_the_sources_figure(protocol, scenario, labels, figure):
    config = dataclasses.replace(SCENARIOS[protocol][scenario], labels=labels)
    reference = published(config, MNIST_DIGEST)
    assert (reference.source, reference.accuracy) == figure


def test_a_figure_that_the_paper_quotes_is_not_of_its_protocol():
    config = SCENARIOS["lee2013"]["nn"]
    assert published(config, MNIST_DIGEST) is None
    quoted, _ = references(config, MNIST_DIGEST)
    assert (quoted.source, quoted.accuracy, quoted.own_protocol) == ("Weston et al. 2008", 74.19, False)


@pytest.mark.parametrize("scenario", FOUR)
def test_quick_stands_beside_no_figure(scenario):
    assert published(SCENARIOS["quick"][scenario], MNIST_DIGEST) is None


@pytest.mark.parametrize("digest", ["0" * 64, MNIST_DIGEST.upper(), "mnist", ""])
def test_other_data_stand_beside_no_figure_whatever_their_name(digest):
    assert published(SCENARIOS["lee2013"]["pl"], digest) is None


@pytest.mark.parametrize("made_up", [{"scenario": "banana"}, {"protocol": "banana"}])
def test_a_scenario_or_protocol_made_up_stands_beside_no_figure(made_up):
    assert published(dataclasses.replace(SCENARIOS["lee2013"]["pl"], **made_up), MNIST_DIGEST) is None


@pytest.mark.parametrize(
    "dials",
    [
        {"labels": 200},  # a number of labels that the paper does not report
        {"epochs": 999},
        {"validation": 0},
        {"hidden": (1000,)},
        {"alpha_f": 1.0},
        {"labels": 600, "t1": 50},
        {"pretrain_epochs": 4},
        {"noise_level": 0.4},
    ],
)
def test_a_run_with_another_dial_turned_stands_beside_no_figure(dials):
    config, acted = override(SCENARIOS["lee2013"]["pl_dae"], dials)
    assert acted == set(dials)
    assert published(config, MNIST_DIGEST) is None


def test_the_report_has_no_figure_for_more_labels():
    assert published(dataclasses.replace(SCENARIOS["arab2022"]["pl"], labels=600), MNIST_DIGEST) is None
