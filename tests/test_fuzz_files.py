"""Files that are spoilt, cut off, lie about their sizes or mean harm: read soundly, or refused in one sentence."""

import gzip
import hashlib
import io
import json
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fuzzing import Law, damaged, deepened, little_memory, put_to_test, refused_or_sound, spoilt
from hypothesis import strategies as st
from made_results import make_result

from pljax.analysis.comparison import compare
from pljax.data import datasets, idx
from pljax.protocols import SCENARIOS
from pljax.protocols.config import Config
from pljax.report import html, tables
from pljax.results.folder import RunFolder
from pljax.results.result import Result
from pljax.types import InputError, Split

QUICK, LEE = SCENARIOS["quick"], SCENARIOS["lee2013"]

# ----------------------------------------------------------------------------------------------- results

SOUND = [
    make_result(QUICK["nn"], [0.5]),
    make_result(LEE["pl"], [0.8, None, 0.7], diverged={"1": "finetune"}, before=[0.7] * 3, after=[0.6, None, 0.8]),
    make_result(LEE["pl_dae"], [0.8 + number / 1000 for number in range(12)]),
]


def a_result_is_refused_or_can_be_reported(value):
    with tempfile.TemporaryDirectory() as folder, refused_or_sound():
        (Path(folder) / "result.json").write_text(deepened(json.dumps(value)))
        result = Result.load(folder)
        compared = compare([result])
        tables.comparison_text(compared).encode()
        for name in ("report.html", "report.md"):
            html.render(name, compared, []).encode()


RESULTS = spoilt(st.sampled_from(SOUND).map(vars))

# -------------------------------------------------------------------------------------------- whole files

SPRUNG = []


def spring():
    SPRUNG.append("unpickled")


class Trap:
    def __reduce__(self):
        return spring, ()


def npy(dtype, shape, body, version=1):
    """A member of an npz file with a header that need not be true."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}"
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + "\n"
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode("latin1") + body


def npz(members, packed=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def saved(**arrays):
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


PARAMETERS = saved(**{"hidden/kernel": np.ones((2, 3, 4), np.float32), "output/bias": np.zeros((2, 0), np.int32)})
SEEDS, SPLIT = [3, 4], Split(*(np.arange(2 * size, dtype=np.int32).reshape(2, size) for size in (4, 0, 6)))
TRAPPED = np.array([Trap(), Trap()], object)
DTYPES = ["<f4", ">f8", "<i4", "|O", "<U999999999", "<f3", "|b1", "|V4", "<c16", "<M8[s]", "f4", "\\", "("]
SHAPES = ["", "2,", "2, 3", "-1,", "2, -3", "1099511627776,", "4294967296, 4294967296", f"1{'0' * 30}, 0", "0,", "x"]


@st.composite
def lying_npz(draw):
    """Members of a few bytes whose headers claim anything, in any packing."""
    members = {}
    for name in draw(st.lists(st.sampled_from(["a", "a/b", "a/b/c", "seeds", "labelled", ""]), max_size=3)):
        claims = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(SHAPES))
        body = draw(st.binary(max_size=12) | st.sampled_from([bytes(24), bytes(8)]))
        members[name] = npy(*claims, body, draw(st.sampled_from([1, 1, 1, 2, 3, 9])))
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    return npz(members, draw(st.sampled_from(methods)))


TRAPS = st.sampled_from([saved(x=TRAPPED), saved(seeds=TRAPPED), npz({"x": npy("|O", "2,", TRAPPED.dumps())})])
ARCHIVES = damaged(PARAMETERS) | lying_npz() | lying_npz().flatmap(damaged) | TRAPS | TRAPS.flatmap(damaged)


def parameters_are_sound_or_refused(content):
    with tempfile.TemporaryDirectory() as folder, refused_or_sound(), little_memory():
        (Path(folder) / "parameters.npz").write_bytes(content)
        nodes = [RunFolder(folder).load_parameters()]
        while nodes:
            node = nodes.pop()
            if isinstance(node, dict):
                nodes += node.values()
            else:
                assert node.dtype.kind in "fiu"
                assert node.nbytes <= len(content)
    assert SPRUNG == []


def whole_split():
    with tempfile.TemporaryDirectory() as folder:
        RunFolder(folder).save_split(SEEDS, SPLIT)
        return (Path(folder) / "split.npz").read_bytes()


WHOLE_SPLIT = whole_split()


def a_split_is_the_one_that_was_saved_or_refused(content):
    with tempfile.TemporaryDirectory() as folder, refused_or_sound(), little_memory():
        (Path(folder) / "split.npz").write_bytes(content)
        RunFolder(folder).require_split(SEEDS, SPLIT)
        with np.load(io.BytesIO(content)) as there:  # sound, so that it may be read in the usual way
            assert there["seeds"].tolist() == SEEDS
            assert there["unlabelled"].tolist() == SPLIT.unlabelled.tolist()
    assert SPRUNG == []


def idx_file(shape, body):
    return gzip.compress(struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + body, mtime=0)


SMALL_IDX = idx_file((2, 3), bytes(range(6)))
LYING_IDX = st.builds(
    idx_file, st.lists(st.integers(0, 3) | st.sampled_from([2**31, 2**32 - 1]), max_size=5), st.binary(max_size=20)
)


def an_idx_file_is_read_as_it_is_or_refused(content):
    with refused_or_sound(), little_memory():
        array = datasets.parse_idx(content, "x")
        assert array.dtype == np.uint8
        assert gzip.decompress(content).endswith(array.tobytes())


def an_original_is_the_original_or_refused(content):
    file = idx.TEST_LABELS
    record = idx.Record(len(SMALL_IDX), hashlib.sha256(SMALL_IDX).hexdigest())
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setitem(idx.RECORDS["mnist"], file, record)
        (Path(folder) / file).write_bytes(content)
        with refused_or_sound(), little_memory():
            assert idx.read_original(Path(folder) / file, "mnist", file) == SMALL_IDX == content


LINES = [
    {"phase": 0, "name": "finetune", "epoch": 0, "updates": 9, "seed": seed, "loss": loss}
    for seed, loss in [(3, 0.5), (4, None)]
]


def lines_of(values):
    return "\n".join(deepened(json.dumps(value)) for value in values).encode()


def metrics_are_sound_or_refused(content):
    with tempfile.TemporaryDirectory() as folder, refused_or_sound(), little_memory():
        (Path(folder) / "metrics.jsonl").write_bytes(content)
        for line in RunFolder(folder).load_metrics():
            assert all(type(line[name]) is int for name in ("phase", "epoch", "seed"))
            numbers = [value for name, value in line.items() if name != "name" and value is not None]
            assert np.isfinite(np.array(numbers, np.float64)).all()


def what_was_begun_is_sound_or_refused(contents):
    with tempfile.TemporaryDirectory() as path, refused_or_sound(), little_memory():
        folder = RunFolder(path)
        folder.save_config(QUICK["pl_dae"], {"seeds": SEEDS})
        for name, content in contents.items():
            (folder.path / name).write_bytes(content)
        config, about = folder.load_config()
        assert isinstance(config, Config)
        assert isinstance(about, dict)


def begun():
    with tempfile.TemporaryDirectory() as path:
        RunFolder(path).save_config(QUICK["pl_dae"], {"seeds": SEEDS, "dataset": "00ff"})
        return {name: (Path(path) / name).read_bytes() for name in ("config.json", "run.json")}


BEGUN = {
    name: damaged(whole) | spoilt(st.just(json.loads(whole))).map(json.dumps).map(deepened).map(str.encode)
    for name, whole in begun().items()
}
METRICS = damaged(lines_of(LINES)) | spoilt(st.just(LINES)).filter(lambda lines: isinstance(lines, list)).map(lines_of)

LAWS = {
    "results": Law(a_result_is_refused_or_can_be_reported, RESULTS, 100, 2500),
    "parameters": Law(parameters_are_sound_or_refused, ARCHIVES, 200, 2500),
    "splits": Law(a_split_is_the_one_that_was_saved_or_refused, damaged(WHOLE_SPLIT) | ARCHIVES, 100, 1500),
    "idx files": Law(an_idx_file_is_read_as_it_is_or_refused, damaged(SMALL_IDX) | LYING_IDX, 200, 2500),
    "originals": Law(an_original_is_the_original_or_refused, damaged(SMALL_IDX), 50, 500),
    "metrics": Law(metrics_are_sound_or_refused, METRICS, 100, 1500),
    "begun runs": Law(what_was_begun_is_sound_or_refused, st.fixed_dictionaries({}, optional=BEGUN), 100, 1500),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_law_holds_for_a_few_examples(law):
    put_to_test(law)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_law_holds_for_many_examples(law):
    put_to_test(law, at_length=True)


# ------------------------------------------------------------------------------------- single misfortunes


def test_a_zip_bomb_is_not_unpacked():
    size = 2**27
    bomb = npz({"seeds": npy("<f4", f"{size // 4},", bytes(size))}, zipfile.ZIP_DEFLATED)
    says_it_is_small = bomb.replace(struct.pack("<I", size + 128), struct.pack("<I", 256))
    for content in (bomb, says_it_is_small):
        assert len(content) < 2**18
        LAWS["parameters"].holds(content)
        LAWS["splits"].holds(content)


READERS = {
    "result.json": RunFolder.load_result,
    "parameters.npz": RunFolder.load_parameters,
    "metrics.jsonl": RunFolder.load_metrics,
    "split.npz": lambda folder: folder.require_split(SEEDS, SPLIT),
    "config.json": RunFolder.load_config,
    idx.TEST_LABELS: lambda folder: idx.read_original(folder.path / idx.TEST_LABELS, "mnist", idx.TEST_LABELS),
}


def loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize("spoil", [Path.mkdir, Path.touch, loop], ids=["folder", "empty", "link to itself"])
def test_a_folder_an_empty_file_or_a_loop_in_the_place_of_a_file_is_refused_in_one_sentence(tmp_path, spoil):
    (tmp_path / "run.json").write_text("{}")
    for name, read in READERS.items():
        spoil(tmp_path / name)
        if (tmp_path / name).is_file() and name == "metrics.jsonl":
            continue  # no epoch has ended yet
        with pytest.raises(InputError) as refusal:
            read(RunFolder(tmp_path))
        assert len(str(refusal.value).splitlines()) == 1


def test_sound_files_are_read():
    for law, example in {
        "results": vars(SOUND[0]),
        "parameters": PARAMETERS,
        "splits": WHOLE_SPLIT,
        "idx files": SMALL_IDX,
        "originals": SMALL_IDX,
        "metrics": lines_of(LINES),
        "begun runs": {},
    }.items():
        LAWS[law].holds(example)
