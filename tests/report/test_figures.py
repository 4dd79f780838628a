"""Figures: drawn from complete runs, left out with a reason from others, and true to the runs' numbers."""

import dataclasses
import io
import itertools
import json
import shutil

import matplotlib
import numpy as np
import pytest
from matplotlib.lines import Line2D
from PIL import Image

from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam, PaperMomentum
from pljax.protocols import MNIST_DIGEST, SCENARIOS
from pljax.protocols.config import Config, Phase
from pljax.report import figures
from pljax.report.figures import images, learning_curves, outputs, style
from pljax.report.figures.figure_data import FigureData, Run
from pljax.results import trained
from pljax.results.folder import RunFolder
from pljax.settings import to_json
from pljax.training.progress import Reporter
from pljax.training.run import run
from pljax.types import Dataset, InputError

NAMES = [
    "scores", "paired", "learning_curves", "loss_terms", "pseudo_labels", "confusion", "filters", "autoencoder",
    "embedding", "reliability", "mistakes",
]  # fmt: skip
OF_METRICS = {"learning_curves", "loss_terms", "pseudo_labels"}
OF_PARAMETERS = {"filters", "autoencoder", "embedding", "reliability", "mistakes"}
OF_DATA = {"autoencoder", "embedding", "reliability", "mistakes"}

NETWORK = Network(hidden=(16,), initial_weights="glorot", inverted_dropout=False, output="sigmoid")
MOMENTUM = PaperMomentum(learning_rate=1.0, decay=0.99, initial_momentum=0.5, final_momentum=0.9, momentum_epochs=5)
DROPOUT = {"visible_dropout": 0.2, "hidden_dropout": 0.5}


def finetune(epochs, method):
    batches = MixedBatches if isinstance(method, PseudoLabel) else LabelledBatches
    unlabelled = {"unlabelled_batch_size": 16} if batches is MixedBatches else {}
    return Phase(method=method, batches=batches(batch_size=5, **unlabelled), optimizer=MOMENTUM, epochs=epochs)


DAE = Phase(
    method=DenoisingAutoencoder(network=NETWORK, noise="masking", noise_level=0.5, encoder_dropout=0.5),
    batches=DrawnBatches(batch_size=16, updates_per_epoch=4),
    optimizer=Adam(learning_rate=0.01),
    epochs=1,
)
PLAIN = finetune(6, Supervised(network=NETWORK, **DROPOUT))
ANEW = finetune(6, PseudoLabel(network=NETWORK, **DROPOUT, alpha_f=0.5, t1=2, t2=4))
ONCE = finetune(4, PseudoLabel(network=NETWORK, alpha_f=1.0, t1=1, t2=2, assign="once"))


def config(scenario, *phases, validation=20):
    return Config(protocol="test", scenario=scenario, phases=phases, labels=8, validation=validation)


CONFIGS = {
    "nn": config("nn", PLAIN),
    "pl": config("pl", PLAIN, ONCE),
    "pl_dae": config("pl_dae", DAE, ANEW),
}


def make_squares(side):
    """Noisy patterns of four classes, a tenth of the images with the label of another class."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 120, (4, side * side))

    def draw(count):
        truth = np.arange(count) % 4
        pictures = patterns[truth] + generator.integers(0, 120, (count, side * side))
        labels = np.where(generator.random(count) < 0.1, (truth + 1) % 4, truth)
        return pictures.astype(np.uint8), labels.astype(np.int32)

    return Dataset("squares", 4, *draw(240), *draw(60))


def run_in(path, dataset, config, seeds=(0, 1, 2), label=None):
    folder = RunFolder(path)
    return Run(label or config.scenario, run(config, list(seeds), dataset, folder, Reporter(io.StringIO())), folder)


@pytest.fixture(scope="module", autouse=True)
def low_resolution():
    """A fifth of the pixels, in much less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 80)
        yield


@pytest.fixture(scope="module")
def squares():
    return make_squares(4)


@pytest.fixture(scope="module")
def runs(squares, tmp_path_factory):
    return [run_in(tmp_path_factory.mktemp(name), squares, config) for name, config in CONFIGS.items()]


@pytest.fixture(scope="module")
def drawn(runs, squares):
    return figures.draw(runs, squares)


@pytest.fixture
def unrendered(monkeypatch):
    """Figures are made but not rendered, and no embedding is computed: that is what takes time."""
    monkeypatch.setattr(style, "to_png", lambda figure: b"pixels")
    monkeypatch.setattr(outputs, "tsne", lambda answers: {label: of[:, :2] for label, of in answers.items()})


def missing(drawn):
    return {figure.name for figure in drawn if figure.png is None}


def copied(runs, path):
    """The runs with folders of their own, which a test may change."""
    return [
        dataclasses.replace(run, folder=RunFolder(shutil.copytree(run.folder.path, path / str(place))))
        for place, run in enumerate(runs)
    ]


def test_complete_runs_have_every_figure_with_title_caption_and_alternative_text(drawn):
    assert [figure.name for figure in drawn] == NAMES
    for figure in drawn:
        assert figure.missing is None
        picture = Image.open(io.BytesIO(figure.png))
        assert picture.format == "PNG"
        assert picture.width == round(style.WIDTH * style.DPI)
        for text in (figure.title, figure.caption, figure.alt):
            assert text
            assert "nan" not in text.lower().split()
        assert figure.caption.endswith(".")
        assert figure.alt.endswith(".")


def test_the_same_runs_give_the_same_bytes_and_change_no_global_style(drawn, runs, squares):
    before = dict(matplotlib.rcParams)
    assert figures.draw(runs, squares) == drawn
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("file", "left_out"),
    [("metrics.jsonl", OF_METRICS), ("parameters.npz", OF_PARAMETERS), ("autoencoder.npz", {"autoencoder"})],
)
@pytest.mark.usefixtures("unrendered")
def test_a_missing_file_leaves_out_its_figures_and_no_other(runs, squares, drawn, tmp_path, file, left_out):
    changed = copied(runs, tmp_path)
    (changed[-1].folder.path / file).unlink()
    again = figures.draw(changed, squares)
    assert missing(again) == left_out
    for figure, before in zip(again, drawn, strict=True):
        assert figure.missing.endswith(".") if figure.name in left_out else figure.alt == before.alt


@pytest.mark.usefixtures("unrendered")
def test_metrics_that_cannot_be_read_are_the_reason_for_a_missing_figure(runs, tmp_path):
    (corrupt,) = copied(runs[:1], tmp_path)
    path = corrupt.folder.path / "metrics.jsonl"
    for content, reason in (
        ("{", "not JSON"),
        ("3\n", "not a JSON object"),
        ("", "do not have"),
        (None, "No such file"),
    ):
        path.unlink() if content is None else path.write_text(content)
        curves = figures.draw([corrupt], None)[NAMES.index("learning_curves")]
        assert curves.png is None, content
        assert reason in curves.missing, content


@pytest.mark.usefixtures("unrendered")
def test_a_figure_without_its_data_set_says_why(runs, squares):
    without = figures.draw(runs, None, "There is no network here.")
    assert missing(without) == OF_DATA
    assert {figure.missing for figure in without} == {None, "There is no network here."}
    other = dataclasses.replace(squares, test_labels=np.roll(squares.test_labels, 1))
    assert missing(figures.draw(runs, other)) == OF_DATA


@pytest.mark.usefixtures("unrendered")
def test_an_error_of_the_program_is_not_taken_for_missing_data(runs, squares, monkeypatch):
    monkeypatch.setattr(trained, "probabilities", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        figures.draw(runs, squares)


@pytest.mark.usefixtures("unrendered")
def test_one_run_without_pseudo_labels(runs, squares):
    assert missing(figures.draw(runs[:1], squares)) == {"paired", "pseudo_labels", "autoencoder", "mistakes"}


@pytest.mark.usefixtures("unrendered")
def test_one_seed_without_validation_images_on_data_that_is_not_square(blobs, tmp_path):
    found = figures.draw([run_in(tmp_path, blobs, config("pl", ANEW, validation=0), seeds=[5])], blobs)
    assert missing(found) == {"paired", "filters", "autoencoder", "mistakes"}
    assert "12 pixels" in found[NAMES.index("filters")].missing
    assert "unlabelled images" in found[NAMES.index("learning_curves")].caption


@pytest.mark.parametrize(("validation", "kind"), [(20, "validation"), (0, "unlabelled")])
def test_the_auto_encoder_is_drawn_with_an_image_of_each_class(runs, squares, validation, kind):
    networks = FigureData(runs, squares).networks(runs[2], 0)
    networks = networks._replace(config=networks.config.replace(validation=validation))
    rows, found = images.one_per_class(networks, squares)
    assert found == kind
    assert squares.train_labels[rows].tolist() == [0, 1, 2, 3]
    assert np.isin(rows, getattr(trained.split(networks.config, networks.seed, squares), kind)).all()


def diverged(run, seeds):
    """The run as it would be had these seeds diverged."""

    def without(column):
        return [None if seed in seeds else value for seed, value in zip(run.result.seeds, column, strict=True)]

    result = dataclasses.replace(
        run.result,
        test_accuracy=without(run.result.test_accuracy),
        confusion=without(run.result.confusion),
        diverged={str(seed): "finetune, epoch 1" for seed in seeds},
    )
    return dataclasses.replace(run, result=result)


@pytest.mark.usefixtures("unrendered")
def test_a_diverged_seed_is_in_no_figure(runs, squares):
    with_diverged = [runs[0], diverged(runs[1], {0}), runs[2]]
    found = figures.draw(with_diverged, squares)
    assert missing(found) == set()
    assert "pl that diverged" in found[0].caption
    assert FigureData(with_diverged, squares).seeds == [1, 2]
    assert "seed 1" in found[NAMES.index("embedding")].caption


@pytest.mark.usefixtures("unrendered")
def test_a_run_that_diverged_altogether_leaves_the_others_their_figures(runs, squares):
    assert missing(figures.draw([diverged(runs[0], {0, 1, 2}), *runs[1:]], squares)) == set()
    found = figures.draw([diverged(run, {0, 1, 2}) for run in runs], squares)
    assert missing(found) == set(NAMES)
    assert {figure.missing for figure in found} == {"Every seed of every run diverged."}


@pytest.mark.usefixtures("unrendered")
def test_runs_without_a_common_seed_have_the_figures_that_need_none(runs, squares, tmp_path):
    other = run_in(tmp_path, squares, CONFIGS["nn"], seeds=(7, 8, 9))
    assert missing(figures.draw([*runs, other], squares)) == OF_PARAMETERS | {"paired"}


def test_a_learning_curve_is_the_mean_over_seeds_through_all_phases_of_the_classifier(runs, squares):
    of_pl = learning_curves.read_curve(FigureData(runs, squares), runs[1], "validation_accuracy")
    lines = [json.loads(line) for line in (runs[1].folder.path / "metrics.jsonl").read_text().splitlines()]
    epochs = [6 * line["phase"] + line["epoch"] + 1 for line in lines]
    assert of_pl.epochs.tolist() == sorted(set(epochs)) == list(range(1, 11))
    last = [line["validation_accuracy"] for line, epoch in zip(lines, epochs, strict=True) if epoch == 10]
    assert of_pl.mean[-1] == pytest.approx(np.mean(last))
    assert of_pl.low[-1] <= of_pl.mean[-1] <= of_pl.high[-1]
    drawn = learning_curves.loss_terms(FigureData(runs, squares))
    assert [axes.get_ylabel() for axes in drawn.figure.axes] == ["labelled", "unlabelled"]
    alpha = learning_curves.read_curve(FigureData(runs, squares), runs[1], "alpha")
    np.testing.assert_allclose(alpha.mean, [0] * 6 + [0, 0, 1, 1])


def measured_in(run, metric):
    lines = (json.loads(line) for line in (run.folder.path / "metrics.jsonl").read_text().splitlines())
    values = [(line["epoch"], line["seed"], line[metric]) for line in lines if line[metric] is not None]
    return np.mean([value for epoch, _, value in values if epoch == values[-1][0]])


def test_the_figure_of_pseudo_labels_has_their_coverage_beside_their_accuracy(squares, tmp_path):
    sure = config("pl", ANEW.replace(method=ANEW.method.replace(threshold=0.3)))
    thresholded = run_in(tmp_path, squares, sure)
    drawn = learning_curves.pseudo_labels(FigureData([thresholded], squares))
    panels = dict(zip(("accuracy", "coverage", "changed"), drawn.figure.axes, strict=True))
    for name in ("accuracy", "coverage"):
        expected = 100 * measured_in(thresholded, f"pseudo_label_{name}")
        assert panels[name].lines[0].get_ydata()[-1] == pytest.approx(expected)
    assert 0 < expected < 100


def without_metrics(run, path, *names):
    """The run with a folder of its own, whose metrics lack some."""
    (copy,) = copied([run], path)
    lines = [{name: of for name, of in line.items() if name not in names} for line in run.folder.load_metrics()]
    (copy.folder.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return copy


def test_what_no_run_measured_of_pseudo_labels_has_no_panel(runs, squares, tmp_path):
    """Accuracy where no hidden label is known, coverage in a run of an earlier version."""
    old = without_metrics(runs[2], tmp_path / "old", "pseudo_label_coverage")
    assert len(learning_curves.pseudo_labels(FigureData([old], squares)).figure.axes) == 2
    both = learning_curves.pseudo_labels(FigureData([runs[1], old], squares)).figure.axes
    assert [len(axes.lines) // len(both[1].lines) for axes in both] == [2, 1, 2]
    unknown = without_metrics(runs[2], tmp_path / "unknown", "pseudo_label_accuracy")
    assert len(learning_curves.pseudo_labels(FigureData([unknown], squares)).figure.axes) == 2
    nothing = without_metrics(
        runs[2], tmp_path / "none", "pseudo_label_accuracy", "pseudo_label_coverage", "pseudo_labels_changed"
    )
    with pytest.raises(InputError, match="nothing about pseudo-labels"):
        learning_curves.pseudo_labels(FigureData([nothing], squares))


def test_the_outputs_give_the_accuracies_of_the_result(runs, squares):
    data = FigureData(runs, squares)
    for run_of, (place, seed) in itertools.product(runs, enumerate([0, 1, 2])):
        given = data.test_outputs(run_of, seed).argmax(axis=1)
        assert (given == squares.test_labels).mean() == pytest.approx(run_of.result.test_accuracy[place])


def test_mistakes_are_the_wrong_pseudo_labels_by_confidence(runs, squares):
    networks = FigureData(runs, squares).networks(runs[2], 1)
    found = images.find_mistakes(networks, squares)
    assert (found.predicted != squares.train_labels[found.rows]).all()
    assert (np.diff(found.confidence) <= 0).all()
    assert found.unlabelled == 240 - 8 - 20
    assert 1 - len(found.rows) / found.unlabelled == pytest.approx(runs[2].result.pseudo_label_accuracy[1])


def test_equal_outputs_for_all_images_have_no_embedding():
    with pytest.raises(InputError, match="network of pl are the same for all test images"):
        outputs.tsne({"pl": np.full((40, 3), 0.2, np.float32)})


def test_a_confusion_matrix_of_any_number_of_classes(runs):
    for classes in (2, 25):
        counts = np.random.default_rng(0).integers(0, 9, (classes, classes))
        counts[0] = 0  # a class without a test image
        counts[1, :2] = [75, 25]
        counts[1, 2:] = 0
        result = dataclasses.replace(runs[0].result, confusion=[counts.tolist(), None, None])
        found = figures.draw([dataclasses.replace(runs[0], result=result)], None)[NAMES.index("confusion")]
        assert found.png is not None
        assert "1 as 0 (75.0 %)" in found.alt
        assert "0 as" not in found.alt


def confusion_of(run, names, counts):
    """The figure of the confusion matrix of a run on data of two classes, five test images each."""
    dataset, counted = {**run.result.dataset, "classes": names}, {part: [5, 5] for part in run.result.class_counts}
    result = dataclasses.replace(run.result, confusion=[counts, None, None], dataset=dataset, class_counts=counted)
    return figures.draw([dataclasses.replace(run, result=result)], None)[NAMES.index("confusion")]


def test_names_of_classes_are_no_formulas(runs):
    found = confusion_of(runs[0], ["$_$", "$10-$20"], [[4, 1], [0, 5]])
    assert found.missing is None
    assert "$_$ as $10-$20" in found.alt


@pytest.mark.usefixtures("unrendered")
def test_a_confusion_matrix_names_errors_alone_and_classes_by_their_names(runs):
    perfect, one_wrong = [[5, 0], [0, 5]], [[4, 1], [0, 5]]
    for counts, said in ((perfect, "There are no errors."), (one_wrong, "errors: ant as bee (20.0 %).")):
        assert confusion_of(runs[0], ["ant", "bee"], counts).alt.endswith(said)


@pytest.mark.usefixtures("unrendered")
def test_published_figures_are_drawn_beside_their_runs(runs):
    result = dataclasses.replace(runs[0].result, dataset={**runs[0].result.dataset, "digest": MNIST_DIGEST})

    def scores(config):
        other = dataclasses.replace(result, config=to_json(config))
        return figures.draw([dataclasses.replace(runs[0], result=other)], None)[0]

    assert "83.85 (Lee 2013) and 72.28 (Arab et al. 2022)" in scores(SCENARIOS["quick"]["pl"]).alt
    assert "All were published for the source's own protocol" in scores(SCENARIOS["quick"]["pl"]).caption
    assert "Some were published for the source's own protocol" in scores(SCENARIOS["lee2013"]["pl"]).caption
    assert "published" not in scores(CONFIGS["pl"]).caption


@pytest.mark.usefixtures("unrendered")
def test_more_runs_than_colours_and_markers_have_every_figure(runs):
    many = [
        dataclasses.replace(run, label=f"lee2013 {run.label}, alpha_f={alpha}, unlabelled_batch_size=64")
        for alpha in range(4)
        for run in runs
    ]
    assert missing(figures.draw(many, None)) == OF_DATA


def test_a_legend_stays_inside_the_figure():
    for length in (3, 20, 45):
        figure = style.new_figure(3)
        style.legend(figure, [Line2D([], [], label="m" * length) for _ in range(12)])
        assert figure.legends[0].get_window_extent().width < figure.bbox.width, length


def test_spread_labels_keep_their_order_and_a_distance():
    places = np.random.default_rng(0).normal(size=20)
    moved = np.array(style.spread(places.tolist(), 0.2))
    assert (np.argsort(moved) == np.argsort(places)).all()
    assert np.diff(np.sort(moved)).min() > 0.2 - 1e-9
    assert style.spread([0.0, 5.0, 1.0], 0.2) == [0.0, 5.0, 1.0]
