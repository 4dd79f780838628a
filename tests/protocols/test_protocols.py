"""The protocols against their sources, number by number, and which published figures a run is compared with."""

import itertools

import chex
import jax
import numpy as np
import pytest

from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam, GradientDescent, PaperMomentum
from pljax.protocols import MNIST_DIGEST, SCENARIOS, adaptive, arab2022, lee2013, published, references
from pljax.protocols.config import Phase
from pljax.protocols.select import ALL_SCENARIOS
from pljax.settings import override
from pljax.training.seed_group import make_group
from pljax.training.seeds import layout_for

FOUR = ["nn", "drop_nn", "pl", "pl_dae"]
PAGES = {**SCENARIOS, "adaptive": adaptive.scenarios(adaptive.DEFAULT_SIZES)}


def test_every_config_has_the_names_of_its_protocol_and_scenario():
    for protocol, scenarios in PAGES.items():
        assert [(config.protocol, config.scenario) for config in scenarios.values()] == [
            (protocol, name) for name in scenarios
        ]
        assert set(scenarios) <= set(ALL_SCENARIOS)


@pytest.mark.parametrize("protocol", ["quick", "lee2013", "arab2022", "adaptive"])
def test_the_four_scenarios_of_the_report_each_add_one_thing(protocol):
    scenarios = {name: PAGES[protocol][name] for name in FOUR}
    methods = [config.method for config in scenarios.values()]
    assert [method.hidden_dropout > 0 for method in methods] == [False, True, True, True]
    assert [type(method) for method in methods] == [Supervised, Supervised, PseudoLabel, PseudoLabel]
    pretrainings = [sum(bool(phase.method.pretrains) for phase in config.phases) for config in scenarios.values()]
    assert pretrainings == [0, 0, 0, 1]


# --------------------------------------------------------------------------------------------- lee2013

PAPER = Network(hidden=(5000,), initial_weights="normal", inverted_dropout=False, output="sigmoid")
PAPER_MOMENTUM = PaperMomentum(
    learning_rate=1.5, decay=0.998, initial_momentum=0.5, final_momentum=0.99, momentum_epochs=500
)
DROPOUT = {"visible_dropout": 0.2, "hidden_dropout": 0.5}
FILLED = LabelledBatches(batch_size=32, last_batch="filled")
MIXED = MixedBatches(batch_size=32, last_batch="filled", unlabelled_batch_size=256, draw_from="unlabelled")
PAPER_AUTOENCODER = Phase(
    method=DenoisingAutoencoder(
        network=PAPER, noise="masking", noise_level=0.5, encoder_dropout=0.5, bottleneck=(), reduction="sum"
    ),
    batches=DrawnBatches(batch_size=256, updates_per_epoch=234),
    optimizer=Adam(learning_rate=3e-4, b1=0.9, b2=0.999, eps=1e-8),
    epochs=5,
)


def paper_pseudo_label(t1, t2):
    return PseudoLabel(network=PAPER, **DROPOUT, alpha_f=3.0, t1=t1, t2=t2, assign="every_update")


def of_paper(method, batches):
    return Phase(method=method, batches=batches, optimizer=PAPER_MOMENTUM, epochs=1000)


def test_the_phases_and_the_split_of_lee2013():
    expected = {
        "nn": (of_paper(Supervised(network=PAPER), FILLED),),
        "drop_nn": (of_paper(Supervised(network=PAPER, **DROPOUT), FILLED),),
        "pl": (of_paper(paper_pseudo_label(100, 600), MIXED),),
        "pl_dae": (PAPER_AUTOENCODER, of_paper(paper_pseudo_label(200, 800), MIXED)),
    }
    assert {name: config.phases for name, config in SCENARIOS["lee2013"].items()} == expected
    for config in SCENARIOS["lee2013"].values():
        assert (config.labels, config.validation, config.choose_labels) == (100, 1000, "random")


def updates(phase, labels=100):
    """Updates an epoch with so many labels."""
    return phase.batches.rounds(labels) * phase.batches.updates(labels)


def test_lee2013_has_4_updates_an_epoch_and_1170_in_pre_training():
    pretrain, finetune = SCENARIOS["lee2013"]["pl_dae"].phases
    assert updates(finetune) == 4
    assert pretrain.epochs * updates(pretrain) == 1170


# ------------------------------------------------------------------------------------------------ quick


@pytest.mark.parametrize("scenario", FOUR)
def test_quick_is_lee2013_at_a_fifth_of_the_width_and_three_tenths_of_the_length(scenario):
    scaled, _ = override(SCENARIOS["lee2013"][scenario], {"hidden": (1000,), "epochs": 300})
    *pretrain, last = scaled.phases
    decay = SCENARIOS["quick"][scenario].phases[-1].optimizer.decay
    assert 1.5 * decay**300 == pytest.approx(1.5 * 0.998**1000, rel=1e-9)
    last = last.replace(optimizer=last.optimizer.replace(decay=decay, momentum_epochs=150))
    if isinstance(last.method, PseudoLabel):
        t1, t2 = (last.method.t1 * 3 // 10, last.method.t2 * 3 // 10)
        last = last.replace(method=last.method.replace(t1=t1, t2=t2))
    pretrain = [phase.replace(epochs=4, optimizer=phase.optimizer.replace(learning_rate=1e-3)) for phase in pretrain]
    assert SCENARIOS["quick"][scenario] == scaled.replace(protocol="quick", phases=(*pretrain, last))


# --------------------------------------------------------------------------------------------- arab2022

KERAS = Network(hidden=(5000,), initial_weights="glorot", inverted_dropout=True, output="softmax")
KERAS_ADAM = Adam(learning_rate=1e-3, b1=0.9, b2=0.999, eps=1e-7)
SHORT = LabelledBatches(batch_size=32, last_batch="short")
NOTEBOOK_DROP_NN = Phase(
    method=Supervised(network=KERAS, **DROPOUT),
    batches=SHORT,
    optimizer=GradientDescent(learning_rate=1.5, decay=0.88, decay_updates=10),
    epochs=500,
)
NOTEBOOK_AUTOENCODER = Phase(
    method=DenoisingAutoencoder(
        network=KERAS,
        noise="gaussian",
        noise_level=0.5,
        encoder_dropout=0.5,
        bottleneck=(128, 64, 32, 64, 128),
        reduction="mean",
    ),
    batches=DrawnBatches(batch_size=32, updates_per_epoch=60_000 // 32),
    optimizer=KERAS_ADAM,
    epochs=10,
)


def of_notebook(epochs, **dropout):
    return Phase(method=Supervised(network=KERAS, **dropout), batches=SHORT, optimizer=KERAS_ADAM, epochs=epochs)


def notebook_pseudo_label(**dropout):
    return Phase(
        method=PseudoLabel(network=KERAS, **dropout, alpha_f=3.0, t1=100, t2=600, assign="once"),
        batches=MixedBatches(
            batch_size=32, last_batch="short", unlabelled_batch_size=256, draw_from="shuffle_buffer", buffer_size=1024
        ),
        optimizer=KERAS_ADAM,
        epochs=500,
    )


def test_the_phases_and_the_split_of_arab2022():
    expected = {
        "nn": (of_notebook(20),),
        "drop_nn": (NOTEBOOK_DROP_NN,),
        "pl": (NOTEBOOK_DROP_NN, notebook_pseudo_label(**DROPOUT)),
        "pl_dae": (
            NOTEBOOK_AUTOENCODER,
            of_notebook(100, hidden_dropout=0.5),
            notebook_pseudo_label(hidden_dropout=0.5),
        ),
    }
    assert {name: config.phases for name, config in SCENARIOS["arab2022"].items()} == expected
    for config in SCENARIOS["arab2022"].values():
        assert (config.labels, config.validation, config.choose_labels) == (100, 0, "first")


def test_alpha_of_arab2022_ends_below_its_final_weight():
    phase = SCENARIOS["arab2022"]["pl"].phases[-1]
    assert float(phase.method.weight(phase.epochs - 1)) == pytest.approx(2.394, abs=1e-6)


def test_arab2022_draws_only_the_first_2048_images():
    batches = SCENARIOS["arab2022"]["pl"].phases[-1].batches
    assert batches.buffer_size + batches.updates(100) * batches.unlabelled_batch_size == 2048


# ----------------------------------------------------------------------------- rasmus2015 and miyato2018


def test_the_ladder_of_rasmus2015():
    config = SCENARIOS["rasmus2015"]["ladder"]
    (phase,) = config.phases
    method = phase.method
    assert (method.network.hidden, method.network.output) == ((1000, 500, 250, 250, 250), "softmax")
    assert (method.layer_noise, method.denoise_inputs, method.denoise_first, method.denoise_others) == (
        *(0.3, 1000, 10),
        0.1,
    )
    assert (method.alpha_f, method.normalisation) == (0, "batch")
    assert (phase.batches.batch_size, phase.batches.unlabelled_batch_size) == (100, 100)
    assert phase.epochs * updates(phase) == 150 * 60_000 // 100
    rates = [phase.optimizer.rate(600, 150)(600 * epoch) for epoch in (0, 100, 125.25, 150)]
    np.testing.assert_allclose(rates, [2e-3, 2e-3, 1e-3, 0], rtol=1e-3, atol=1e-8)
    assert config.validation == 0
    assert published(config, MNIST_DIGEST).accuracy == pytest.approx(100 - 1.06)


def test_the_training_of_miyato2018():
    config = SCENARIOS["miyato2018"]["vat"]
    (phase,) = config.phases
    method = phase.method
    assert (method.network.hidden, method.normalisation) == ((1200, 1200), "batch")
    assert (method.epsilon, method.power_iterations, method.alpha_f, method.entropy_weight) == (0.3, 1, 1, 0)
    assert (phase.batches.batch_size, phase.batches.unlabelled_batch_size) == (100, 250)
    assert phase.epochs * updates(phase) == 100 * 500
    rates = [phase.optimizer.rate(500, 100)(500 * epoch) for epoch in (0, 1, 99)]
    np.testing.assert_allclose(rates, 2e-3 * 0.9 ** np.array([0, 1, 99]), rtol=1e-3)
    assert published(config, MNIST_DIGEST).accuracy == pytest.approx(100 - 1.36)


# --------------------------------------------------------------------------------- what scenarios share


def group_of(config, blobs, seed=0):
    config = config.replace(labels=8, validation=20)
    return make_group(config, [seed], blobs, layout_for(1))


def bits(keys):
    """The bits of the one seed's key."""
    (key,) = jax.tree.leaves(keys)
    return np.asarray(jax.random.key_data(key))


def test_every_phase_has_a_key_of_its_own(blobs):
    group = group_of(SCENARIOS["arab2022"]["pl_dae"], blobs)
    keys = [bits(key) for key in (group.keys, *map(group.key, range(3)))]
    for one, other in itertools.combinations(keys, 2):
        assert not np.array_equal(one, other)


def test_scenarios_share_the_keys_of_the_start_that_they_have_in_common(blobs):
    first = [("nn", 0), ("pl", 0), ("pl_dae", 1)]  # the first phase that trains the classifier
    groups = [(group_of(SCENARIOS["arab2022"][name], blobs, seed=3), number) for name, number in first]
    one, *others = [bits(group.key(number)) for group, number in groups]
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_the_split_depends_on_the_seed_and_not_on_the_scenario(blobs):
    nn, pl_dae = SCENARIOS["quick"]["nn"], SCENARIOS["quick"]["pl_dae"]
    one, same, other = (
        group_of(config, blobs, seed).splits_on_host() for config, seed in ((nn, 0), (pl_dae, 0), (nn, 1))
    )
    chex.assert_trees_all_equal(one, same)
    assert not np.array_equal(one.labelled, other.labelled)


# --------------------------------------------------------------------------------------------- published

# Table 2 of the paper: test error in per cent with 100, 600, 1000 and 3000 labels.
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


def test_a_run_of_the_sources_own_protocol_has_the_sources_figure():
    for protocol, scenario, labels, source, accuracy in (
        ("lee2013", "pl", 100, "Lee 2013", 83.85),
        ("lee2013", "pl", 600, "Lee 2013", 94.97),
        ("lee2013", "pl_dae", 3000, "Lee 2013", 97.31),
        ("arab2022", "pl_dae", 100, "Arab et al. 2022", 76.95),
    ):
        reference = published(SCENARIOS[protocol][scenario].replace(labels=labels), MNIST_DIGEST)
        assert (reference.source, reference.accuracy) == (source, accuracy)


def test_a_figure_that_the_paper_quotes_is_not_of_its_own_protocol():
    config = SCENARIOS["lee2013"]["nn"]
    assert published(config, MNIST_DIGEST) is None
    quoted, _ = references(config, MNIST_DIGEST)
    assert (quoted.source, quoted.accuracy, quoted.own_protocol) == ("Weston et al. 2008", 74.19, False)


def test_other_data_have_no_published_figure_whatever_their_name():
    for digest in ("0" * 64, MNIST_DIGEST.upper(), "mnist", ""):
        assert published(SCENARIOS["lee2013"]["pl"], digest) is None, digest


def test_no_other_protocol_or_scenario_has_a_published_figure():
    made_up = [SCENARIOS["lee2013"]["pl"].replace(**{field: "banana"}) for field in ("scenario", "protocol")]
    more_labels = SCENARIOS["arab2022"]["pl"].replace(labels=600)  # the report has no figure for them
    for config in (*SCENARIOS["quick"].values(), *made_up, more_labels):
        assert published(config, MNIST_DIGEST) is None, (config.protocol, config.scenario)


def test_a_run_with_any_setting_overridden_has_no_published_figure():
    for overrides in (
        {"labels": 200},  # a number of labels that the paper does not report
        {"epochs": 999},
        {"validation": 0},
        {"hidden": (1000,)},
        {"alpha_f": 1.0},
        {"labels": 600, "t1": 50},
        {"pretrain_epochs": 4},
        {"noise_level": 0.4},
    ):
        config, acted = override(SCENARIOS["lee2013"]["pl_dae"], overrides)
        assert acted == set(overrides)
        assert published(config, MNIST_DIGEST) is None, overrides
