"""What the fuzz tests share: values of every kind, ways to spoil what is sound, and one law put to many examples."""

import contextlib
import copy
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam, GradientDescent, PaperMomentum
from pljax.protocols.config import MAX_EPOCHS, Config, Phase
from pljax.types import InputError

MOST = 2**31 - 1


class Law(NamedTuple):
    """A property, what it is about, and how many examples it gets in the usual run and in the slow one."""

    holds: Callable[[Any], None]
    examples: st.SearchStrategy[Any]
    few: int
    many: int


def put_to_test(law: Law, *, at_length: bool = False) -> None:
    """The same few examples every time, or many new ones."""
    given(law.examples)(
        settings(
            max_examples=law.many if at_length else law.few,
            derandomize=not at_length,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(lambda example: law.holds(example))
    )()


def assert_one_sentence(text: str) -> None:
    assert text.strip()
    assert len(text.splitlines()) == 1


@contextlib.contextmanager
def refused_or_sound() -> Iterator[None]:
    """Whatever is done with the example, nothing but ``InputError`` comes of it, in one line."""
    try:
        yield
    except InputError as refusal:
        assert_one_sentence(str(refusal))


@contextlib.contextmanager
def little_memory(most: int = 64 * 2**20) -> Iterator[None]:
    """No more than so many bytes are asked for at a time."""
    tracemalloc.start()
    try:
        yield
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < most


# ------------------------------------------------------------------------------------------------- values

TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=6)
NUMBERS = st.one_of(
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.floats(0, 1),
    st.sampled_from([2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 10**30, 10**400, 1e-320, 1e39, 1e308]),
)
DEEP = {f"<deep {depth}>": "[" * depth + "]" * depth for depth in (200, 480, 900, 100_000)}  # in the place of a text
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
KINDS = st.sampled_from(["Config", "Phase", "PseudoLabel", "Network", "MixedBatches", "Adam", "Pretrain", "Banana"])
JSON = st.recursive(
    PLAIN | st.sampled_from(list(DEEP)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TEXTS | st.just("kind"), inner | KINDS, max_size=4),
    ),
    max_leaves=6,
)


def deepened(text: str) -> str:
    """JSON with the deep lists in their places."""
    for name, deep in DEEP.items():
        text = text.replace(f'"{name}"', deep)
    return text


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value, with each of its keys or indices."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from places_in(item)


@st.composite
def spoilt(draw: Any, values: st.SearchStrategy[Any]) -> Any:
    """A JSON value with one to three things in it deleted, replaced, repeated, exchanged or added."""
    value = copy.deepcopy(draw(values))
    for _ in range(draw(st.integers(1, 3))):
        places = list(places_in(value))
        if not places:
            return draw(JSON)
        container, key = places[draw(st.integers(0, len(places) - 1))]
        other, other_key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["delete", "replace", "number", "repeat", "exchange", "add"])):
            case "delete":
                del container[key]
            case "replace":
                container[key] = draw(JSON)
            case "number":
                container[key] = draw(NUMBERS)
            case "repeat" if isinstance(container, list):
                container.append(copy.deepcopy(container[key]))
            case "exchange":
                container[key] = copy.deepcopy(other[other_key])
            case _ if isinstance(container, dict):
                container[draw(TEXTS)] = draw(JSON)
    return value


@st.composite
def damaged(draw: Any, whole: bytes) -> bytes:
    """Bytes cut off, flipped, overwritten, taken out, put in, or others altogether."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        end = min(at + draw(st.integers(1, 40)), len(content))
        match draw(st.sampled_from(["cut", "flip", "overwrite", "ones", "remove", "insert", "append", "others"])):
            case "cut":
                del content[at:]
            case "flip" if at < len(content):
                content[at] ^= 1 << draw(st.integers(0, 7))
            case "overwrite":
                content[at:end] = draw(st.binary(min_size=end - at, max_size=end - at))
            case "ones":
                content[at:end] = b"\xff" * (end - at)
            case "remove":
                del content[at:end]
            case "insert":
                content[at:at] = draw(st.binary(max_size=8))
            case "append":
                content += draw(st.binary(max_size=40))
            case "others":
                content = bytearray(draw(st.binary(max_size=60)))
    return bytes(content)


# ------------------------------------------------------------------------------------------------ configs


def configs(*, small: bool = False) -> st.SearchStrategy[Config]:
    """Every config that may be made, or, ``small``, those that four classes of 60 images train within a second."""

    def count(most: int, least: int = 1, limit: int = MOST) -> st.SearchStrategy[int]:
        return st.integers(least, most) if small else st.integers(least, most) | st.integers(least, limit)

    share = st.floats(0, 0.9) if small else st.floats(0, 1, exclude_max=True) | st.just(0)
    rate = st.floats(1e-4, 10) if small else st.floats(0, 1e30, exclude_min=True) | st.integers(1, 9)
    decay = st.floats(0.1, 1)
    optimizers = st.one_of(
        st.builds(
            PaperMomentum,
            learning_rate=rate,
            decay=decay,
            initial_momentum=share,
            final_momentum=share,
            momentum_epochs=count(5),
        ),
        st.builds(GradientDescent, learning_rate=rate, decay=decay, decay_updates=count(5)),
        st.builds(Adam, learning_rate=rate),
    )
    networks = st.builds(
        Network,
        hidden=st.lists(count(8), min_size=1, max_size=2).map(tuple),
        initial_weights=st.sampled_from(["normal", "glorot"]),
        inverted_dropout=st.booleans(),
        output=st.sampled_from(["sigmoid", "softmax"]),
    )
    noise = {"visible_dropout": share, "hidden_dropout": share, "input_noise": share}
    starts = st.integers(0, 1 if small else 2**30 - 1)
    rises = st.tuples(starts, st.integers(1, 2 if small else 2**30))
    labelled = {"batch_size": count(20), "last_batch": st.sampled_from(["filled", "short"])}
    mixed = st.builds(
        MixedBatches,
        **labelled,
        unlabelled_batch_size=count(16),
        draw_from=st.sampled_from(["unlabelled", "shuffle_buffer"]),
        buffer_size=count(300),
    )

    def pretrains(network: Network) -> st.SearchStrategy[Phase]:
        method = st.builds(
            DenoisingAutoencoder,
            network=st.just(network),
            noise=st.sampled_from(["masking", "gaussian"]),
            noise_level=share,
            encoder_dropout=share,
            bottleneck=st.lists(count(5), max_size=2).map(tuple),
            reduction=st.sampled_from(["sum", "mean"]),
            error=st.sampled_from(["cross_entropy", "squared"]),
        )
        batches = st.builds(DrawnBatches, batch_size=count(16), updates_per_epoch=count(3))
        return st.builds(Phase, method=method, batches=batches, optimizer=optimizers, epochs=count(2, limit=MAX_EPOCHS))

    def finetunes(network: Network) -> st.SearchStrategy[Phase]:
        supervised = st.builds(Supervised, network=st.just(network), **noise)
        pseudo_label = rises.flatmap(
            lambda t: st.builds(
                PseudoLabel,
                network=st.just(network),
                **noise,
                alpha_f=rate,
                t1=st.just(t[0]),
                t2=st.just(t[0] + t[1]),
                assign=st.sampled_from(["every_update", "once"]),
                threshold=share,
                alignment=st.floats(0, 1),
            )
        )
        batches = st.builds(LabelledBatches, **labelled) | mixed
        return st.builds(
            Phase,
            method=supervised | pseudo_label,
            batches=batches,
            optimizer=optimizers,
            epochs=count(3, limit=MAX_EPOCHS),
        )

    def phases(network: Network) -> st.SearchStrategy[tuple[Phase, ...]]:
        last = finetunes(network)
        first = st.lists(pretrains(network), max_size=1) if small else st.lists(pretrains(network) | last, max_size=2)
        return st.tuples(first, last).map(lambda parts: (*parts[0], parts[1]))

    return st.builds(
        Config,
        protocol=st.just("fuzz") if small else TEXTS,
        scenario=st.just("any") if small else TEXTS,
        phases=networks.flatmap(phases),
        labels=st.integers(1, 5).map(lambda each: 4 * each) if small else count(400),
        validation=count(48, least=0),
        choose_labels=st.sampled_from(["random", "first"] if small else ["random", "first", "given"]),
    )
