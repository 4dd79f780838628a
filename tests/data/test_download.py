"""The checksums, the probe of a host, and downloads with TFDS from a server on the loopback."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mnist_files import (
    MNIST_5K_DIGEST,
    ORIGINALS,
    REPOSITORY,
    lay_out,
    left_in,
    needs_mnist,
    never_say,
    truncated,
)

from pljax.data import datasets, download
from pljax.data.idx import BUILDERS, FILES, RECORDS, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, URLS
from pljax.protocols import MNIST_DIGEST
from pljax.types import InputError


class Server(ThreadingHTTPServer):
    """Answers GET /FILE on the loopback with what ``answer(handler, file)`` does; ``requested`` lists the files."""

    daemon_threads = True

    def __init__(self) -> None:
        self.requested: list[str] = []
        self.answer: Callable[[BaseHTTPRequestHandler, str], None] = send_original
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        file = self.path.strip("/")
        self.server.requested.append(file)
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
    """A server that stands in for the host of MNIST; it sends the originals unless ``answer`` is replaced."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        monkeypatch.setitem(URLS, "mnist", running.url)
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
        monkeypatch.setitem(URLS, "mnist", f"http://127.0.0.1:{gone.getsockname()[1]}/")


def test_sizes_and_checksums_are_those_of_tfds() -> None:
    from tensorflow_datasets.image_classification import mnist

    for name, url in URLS.items():
        builder = getattr(mnist, BUILDERS[name])
        ours = {url + file: tuple(record) for file, record in RECORDS[name].items()}
        assert (url, name) == (builder.URL, builder.name)
        assert ours == {file: (info.size, info.checksum) for file, info in builder.url_infos.items()}


def test_the_script_imports_neither_pljax_nor_jax() -> None:
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print({'pljax', 'jax'} & set(sys.modules))"
    command = [sys.executable, "-P", "-c", code, str(download.SCRIPT)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "set()"


@pytest.mark.usefixtures("no_network")
def test_without_network_mnist_is_refused_at_once_with_what_to_do(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(InputError) as problem:
        datasets.load("mnist", tmp_path, say=never_say)
    assert time.monotonic() - start < 4
    message = str(problem.value)
    for part in (*FILES, str(tmp_path), "127.0.0.1", "--data_dir=", "--dataset=mnist_5k"):
        assert part in message
    assert "\n" not in message
    assert left_in(tmp_path) == set()


@pytest.mark.usefixtures("no_network")
def test_without_network_auto_is_mnist_5k_with_one_warning(tmp_path: Path) -> None:
    said: list[str] = []
    assert datasets.load("auto", tmp_path, say=said.append).digest == MNIST_5K_DIGEST
    (line,) = said
    for part in ("mnist_5k", "cannot be reached", "not comparable with the paper's"):
        assert part in line
    assert "\n" not in line


@needs_mnist
@pytest.mark.usefixtures("no_network")
def test_without_network_the_missing_file_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, FILES[:3])
    with pytest.raises(InputError, match=rf" lacks {TEST_LABELS} of mnist, and"):
        datasets.load("mnist", tmp_path, say=never_say)


def test_the_probe_does_not_wait_for_a_silent_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        reason = download.probe(f"http://127.0.0.1:{silent.getsockname()[1]}/x", 0.5)
    assert reason is not None
    assert "127.0.0.1" in reason
    assert time.monotonic() - start < 1.5


def test_the_probe_does_not_wait_for_name_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def look_up(*args: object, **kwargs: object) -> None:
        answer.wait(10)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    threads = set(threading.enumerate())
    start = time.monotonic()
    assert download.probe("http://host.invalid/x", 0.3) == "host.invalid does not answer within 0.3 s"
    assert time.monotonic() - start < 1.5
    answer.set()
    for thread in set(threading.enumerate()) - threads:
        thread.join()


def test_the_probe_distinguishes_an_answer_from_a_refusal(server: Server) -> None:
    server.answer = lambda handler, file: send(handler, b"", status=200 if file == "good" else 403)
    assert download.probe(server.url + "good") is None
    assert download.probe(server.url + "bad") == f"127.0.0.1:{server.server_port} answers 403"


@needs_mnist
def test_a_download_is_kept_under_the_original_names(tmp_path: Path, server: Server) -> None:
    said: list[str] = []
    assert datasets.load("auto", tmp_path / "new", say=said.append).digest == MNIST_DIGEST
    assert len(said) == 1
    assert said[0].startswith("Downloading 4 of the 4 files of mnist from http://127.0.0.1")
    assert left_in(tmp_path) == {"new/mnist/.lock", *(f"new/mnist/{file}" for file in FILES)}
    requested = len(server.requested)
    assert datasets.load("mnist", tmp_path / "new", say=never_say).digest == MNIST_DIGEST
    assert len(server.requested) == requested


@needs_mnist
def test_only_missing_files_are_downloaded_and_leftovers_are_removed(tmp_path: Path, server: Server) -> None:
    lay_out(tmp_path, FILES[:3])
    (tmp_path / "mnist" / ".partial-killed").mkdir(parents=True)
    (tmp_path / "mnist" / ".partial-killed" / "half").write_text("")
    said: list[str] = []
    assert datasets.load("mnist", tmp_path, say=said.append).digest == MNIST_DIGEST
    assert set(server.requested) == {TEST_LABELS}
    assert [line.partition(" from ")[0] for line in said] == ["Downloading 1 of the 4 files of mnist"]
    assert left_in(tmp_path / "mnist") == {".lock", TEST_LABELS}


@needs_mnist
def test_a_corrupt_file_is_found_before_anything_is_downloaded(tmp_path: Path, server: Server) -> None:
    (tmp_path / TEST_LABELS).write_bytes(b"short")
    with pytest.raises(InputError, match="found 5 bytes"):
        datasets.load("auto", tmp_path, say=never_say)
    assert server.requested == []


def send_truncated(handler: BaseHTTPRequestHandler, file: str) -> None:
    send(handler, truncated((ORIGINALS / file).read_bytes()))


def send_and_hang_up(handler: BaseHTTPRequestHandler, file: str) -> None:
    content = (ORIGINALS / file).read_bytes()
    send(handler, truncated(content), length=len(content))
    handler.close_connection = True


@needs_mnist
@pytest.mark.parametrize(("answer", "reason"), [(send_truncated, "wrong checksum"), (send_and_hang_up, "Incomplete")])
def test_a_corrupt_download_leaves_nothing(
    tmp_path: Path, server: Server, answer: Callable[[BaseHTTPRequestHandler, str], None], reason: str
) -> None:
    lay_out(tmp_path, FILES[:3])
    server.answer = answer
    with pytest.raises(InputError, match=f"the download fails .*{reason}.*--data_dir="):
        datasets.load("mnist", tmp_path, say=lambda line: None)
    assert left_in(tmp_path / "mnist") == {".lock"}


@pytest.fixture
def careless_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script that downloads checks nothing: it delivers a short file of test labels, and ends well."""
    script = tmp_path / "careless.py"
    script.write_text(
        "import shutil, sys\n"
        "_, builder, url, folder, *files = sys.argv\n"
        "for file in files:\n"
        f"    shutil.copyfile({str(ORIGINALS)!r} + '/' + file, folder + '/' + file)\n"
        f"open(folder + '/{TEST_LABELS}', 'wb').write(b'short')\n"
    )
    monkeypatch.setattr(download, "SCRIPT", script)


@needs_mnist
@pytest.mark.usefixtures("server", "careless_script")
def test_a_download_is_checked_once_more_before_it_is_kept(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "data", FILES[:3])
    with pytest.raises(InputError, match=rf"the download fails .*is not the {TEST_LABELS} of mnist: .*found 5 bytes"):
        datasets.load("mnist", folder, say=lambda line: None)
    assert left_in(folder / "mnist") == {".lock"}


@needs_mnist
@pytest.mark.usefixtures("server", "careless_script")
def test_one_corrupt_file_of_four_keeps_the_others_out(tmp_path: Path) -> None:
    said: list[str] = []
    assert datasets.load("auto", tmp_path / "data", say=said.append).digest == MNIST_5K_DIGEST
    downloading, fallback = said
    assert "Downloading" in downloading
    assert "not comparable" in fallback
    assert "\n" not in fallback
    assert left_in(tmp_path / "data" / "mnist") == {".lock"}


def test_a_download_that_stalls_is_stopped(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def stall(handler: BaseHTTPRequestHandler, file: str) -> None:
        send(handler, b"the beginning", length=1_000_000)
        if len(server.requested) > 1:
            done.wait(20)

    server.answer = stall
    monkeypatch.setattr(download, "GRACE_SECONDS", 2.0)
    monkeypatch.setattr(download, "SLOWEST_BYTES_PER_SECOND", 1e12)
    said: list[str] = []
    start = time.monotonic()
    assert datasets.load("auto", tmp_path, say=said.append).name == "mnist_5k"
    done.set()
    assert time.monotonic() - start < 8
    assert "it was not done after 2 s" in said[-1]
    assert left_in(tmp_path / "mnist") == {".lock"}


def test_the_time_for_a_download_grows_with_its_size() -> None:
    assert download.patience("mnist", [TEST_LABELS]) == pytest.approx(30 + 4542 / 100_000)
    assert 100 < download.patience("mnist", list(FILES)) < 200


@needs_mnist
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, server: Server) -> None:
    (tmp_path / "mnist").write_text("a file where the subfolder would be")
    for name in ("mnist", "auto"):
        with pytest.raises(InputError, match=f"Cannot keep files in {tmp_path / 'mnist'}: File exists"):
            datasets.load(name, tmp_path, say=never_say)


@needs_mnist
def test_of_two_processes_at_once_one_downloads_and_both_get_the_data(tmp_path: Path, server: Server) -> None:
    both_requested = threading.Event()

    def wait_for_both(handler: BaseHTTPRequestHandler, file: str) -> None:
        # Each probe asks for the first file, and so does the one download: the third time, both are there.
        if server.requested.count(TRAIN_IMAGES) >= 3:
            both_requested.set()
        if file == TRAIN_LABELS:
            both_requested.wait(60)
        send_original(handler, file)

    server.answer = wait_for_both
    code = (
        "import sys; from pljax.data import datasets, idx; idx.URLS['mnist'] = sys.argv[1]; "
        "print(datasets.load('mnist', sys.argv[2], say=lambda line: None).digest)"
    )
    command = [sys.executable, "-W", "error", "-c", code, server.url, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert datasets.load("mnist", tmp_path, say=lambda line: None).digest == MNIST_DIGEST
        assert other.communicate(timeout=60)[0].strip() == MNIST_DIGEST
    assert both_requested.is_set()
    assert [server.requested.count(file) for file in FILES] == [3, 1, 1, 1]
    assert left_in(tmp_path / "mnist") == {".lock", *FILES}
