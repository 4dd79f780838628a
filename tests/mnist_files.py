"""What the tests of data share: the original files of MNIST, where they are available, and folders with them."""

from pathlib import Path

import pytest

from pljax.data.idx import FILES

REPOSITORY = Path(__file__).resolve().parent.parent
ORIGINALS = REPOSITORY.parent / "shared" / "data" / "mnist"

MNIST_5K_DIGEST = "c43f9e408e1f9aa6ac83de9e81c1580225f09152a9917bcb57073c1d763fb42c"

needs_mnist = pytest.mark.skipif(
    not all((ORIGINALS / file).is_file() for file in FILES), reason=f"no MNIST files in {ORIGINALS}"
)


def never_say(line: str) -> None:
    raise AssertionError(f"an unexpected message: {line}")


def lay_out(folder: Path, files: tuple[str, ...] = FILES) -> Path:
    """``folder``, made with links to the original ``files`` in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).symlink_to(ORIGINALS / file)
    return folder


def put(path: Path, content: bytes) -> None:
    """Write ``content`` in place of ``path``, which may be a link to an original."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def left_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def truncated(content: bytes) -> bytes:
    return content[:-100]
