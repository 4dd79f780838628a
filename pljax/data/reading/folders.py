"""The files of a folder of pictures, the class folder of each, and what is passed over."""

import os
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pljax.data.reading.labels import WORDS, clean
from pljax.data.text import MAX_NAMES, printable, shorten
from pljax.types import InputError

# What systems and programs leave in folders, in lower case. So are all names that begin with a dot.
SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r")
SYSTEM_FOLDERS = ("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found")
# The parts of a data set, and words in the names of their folders.
PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "holdout"),
    "validation": ("val", "valid", "validation", "dev", "eval"),
    "unlabelled": WORDS,
}
# Kinds of what is passed over, beside the endings of files. It is listed by name.
HIDDEN, BROKEN, LOOP, SPECIAL = NAMED = (
    *("hidden", "leading nowhere", "leading back to a folder above", "neither file nor folder"),
)


class Found(NamedTuple):
    """The ``n`` pictures of a folder."""

    files: list[Path]  # [n], sorted
    classes: list[str]  # [n], the name of the subfolder that a picture lies in, "" where there is none
    passed_over: str  # the files and folders that are not read, and why; "" for none
    warnings: tuple[str, ...]


class _PassedOver(NamedTuple):
    """What a walk passed over: for each kind, the paths relative to the folder."""

    files: defaultdict[str, list[Path]]
    folders: list[Path]


def find_pictures(folder: Path, endings: Collection[str], layout: bool = True) -> Found:
    """Find the files below a folder that have one of the endings, in lower or upper case.

    Hidden files and folders, and those that systems leave, are passed over. Links to folders are followed, but for
    those that lead to a folder above them.

    Args:
      folder: holds a subfolder for each class.
      endings: those of pictures, in lower case, with their dot.
      layout: refuse a folder whose subfolders are no classes: one above train and test, or above the class folders.

    Raises ``InputError`` if there are no pictures, a subfolder has none, or the subfolders are no classes.
    """
    passed, subfolders = _PassedOver(defaultdict(list), []), list[str]()
    files = sorted(_walk(folder, endings, passed, subfolders))
    places = [file.relative_to(folder) for file in files]
    try:
        "".join(map(str, places)).encode()
    except UnicodeEncodeError:
        bad = next(place for place in places if any("\ud800" <= sign <= "\udfff" for sign in str(place)))
        raise InputError(f"{folder} has a file whose name is no text, {printable(bad)}: rename it.") from None
    if not files:
        raise InputError(
            f"{folder} has no pictures{_instead(passed)}: give a folder that has a folder of pictures, such as .png or "
            ".jpg, for each class."
        )
    if layout:
        _require_classes(folder, files)
    classes = [place.parts[0] if len(place.parts) > 1 else "" for place in places]
    if empty := sorted({*subfolders} - {*classes}):
        raise InputError(f"{folder} has no pictures of {shorten(empty)}{_instead(passed, empty)}: fill or remove it.")
    return Found(files, classes, _describe(passed), tuple(_warnings(places, passed)))


def _walk(folder: Path, endings: Collection[str], passed: _PassedOver, subfolders: list[str]) -> Iterator[Path]:
    """Yield the pictures below ``folder``; add what is passed over, and the names of the direct subfolders."""
    to_do: list[tuple[Path, tuple[Path, ...]]] = [(folder, (folder.resolve(),))]
    while to_do:
        place, above = to_do.pop()
        try:
            entries = sorted(place.iterdir())
        except OSError as error:
            raise InputError(f"Cannot read the folder {place}: {error.strerror or printable(error)}.") from error
        for path in entries:
            relative = path.relative_to(folder)
            if path.is_dir():
                real = path.resolve() if path.is_symlink() else above[-1] / path.name
                if path.name.startswith(".") or path.name.lower() in SYSTEM_FOLDERS or not clean(path.name):
                    passed.folders.append(relative)
                elif path.is_symlink() and any(other.is_relative_to(real) for other in above):
                    passed.files[LOOP].append(relative)
                else:
                    to_do.append((path, (*above, real)))
                    subfolders += [path.name] if place == folder else []
            elif kind := _no_picture(path, endings):
                passed.files[kind].append(relative)
            else:
                yield path


def _no_picture(path: Path, endings: Collection[str]) -> str:
    """Return why a path is passed over, or an empty text for a picture."""
    if path.name.startswith("."):
        return HIDDEN
    if path.name.lower() in SYSTEM_FILES:
        return printable(path.name)
    if not path.exists():
        return BROKEN
    if path.suffix.lower() not in endings:
        return printable(path.suffix.lower()) or "without an ending"
    return "" if path.is_file() else SPECIAL


def _describe(passed: _PassedOver) -> str:
    """Return what was passed over as text.

    >>> files = {".txt": [Path("a.txt"), Path("b.txt")], "hidden": [Path("cats/.DS_Store")]}
    >>> _describe(_PassedOver(files, [Path(".git")]))
    '3 files: 2 .txt, 1 hidden (.DS_Store); 1 folder: .git'
    """
    kinds = sorted(passed.files.items(), key=lambda item: (-len(item[1]), item[0]))
    texts = []
    for kind, paths in kinds[: 2 * MAX_NAMES]:
        names = shorten(dict.fromkeys(path.name for path in paths))
        texts.append(f"{len(paths)} {kind}" + (f" ({names})" if kind in NAMED else ""))
    if more := sum(len(paths) for _, paths in kinds[2 * MAX_NAMES :]):
        texts.append(f"{more} of other endings")
    parts = []
    for noun, count, listed in (
        ("file", sum(map(len, passed.files.values())), ", ".join(texts)),
        ("folder", len(passed.folders), shorten(dict.fromkeys(path.name for path in passed.folders))),
    ):
        if count:
            parts.append(f"{count} {noun}{'s' * (count > 1)}: {listed}")
    return "; ".join(parts)


def _instead(passed: _PassedOver, subfolders: Collection[str] | None = None) -> str:
    """Return a part of a sentence: what a folder, or some of its subfolders, hold instead of pictures."""
    held: defaultdict[str, list[Path]] = defaultdict(list)
    for kind, paths in passed.files.items():
        if inside := [path for path in paths if subfolders is None or path.parts[0] in subfolders]:
            held[kind] = inside
    folders = [path for path in passed.folders if subfolders is None or path.parts[0] in subfolders]
    return f" ({text})" if (text := _describe(_PassedOver(held, folders))) else ""


def _require_classes(folder: Path, files: Sequence[Path]) -> None:
    """Raise ``InputError`` if the subfolders are parts of a data set, or there is one alone, above the classes."""
    level, names = _class_level(files)
    parts = {_part(name): name for name in reversed(names)}
    if "" not in parts and "train" in parts and len(names) > 1:
        inside = {
            part: _part_level(level / name, [file for file in files if level / name in file.parents])
            for part, name in parts.items()
        }
        typed = f"--dataset={_typed(inside['train'])}"
        if test := inside.get("test", inside.get("validation")):
            typed += f" --test={_typed(test)}"
        raise InputError(
            f"{level} has the folders {shorten(names)}, which are parts of a data set and no classes: give {typed}"
            + (f", and move the unlabelled pictures to {inside['train'] / WORDS[0]}." if WORDS[0] in parts else ".")
        )
    if level != folder and len(names) > 1:
        raise InputError(
            f"{folder} has one folder with pictures, {level.relative_to(folder)}, and the folders of the classes "
            f"({shorten(names)}) are in it: give --dataset={_typed(level)}."
        )


def _class_level(files: Sequence[Path]) -> tuple[Path, list[str]]:
    """Return the folder that all files are in, and the names of its subfolders that hold them."""
    level = Path(os.path.commonpath([file.parent for file in files]))
    return level, sorted({file.relative_to(level).parts[0] for file in files if file.parent != level})


def _part_level(part: Path, files: Sequence[Path]) -> Path:
    """Return the folder that holds the class folders of a part of a data set, which may have a single class."""
    level, names = _class_level(files)
    return level if names or level == part else level.parent


def _part(name: str) -> str:
    """Return the part of a data set that a folder's name speaks of, or an empty text.

    >>> [_part(name) for name in ("Train", "seg_test", "valid2", "unlabeled", "cats", "contest")]
    ['train', 'test', 'validation', 'unlabelled', '', '']
    """
    words = re.split(r"[\W\d_]+", name.casefold())
    return next((part for part, spellings in PARTS.items() if set(words) & set(spellings)), "")


def _typed(path: Path) -> str:
    """Return a path as it is typed on a command line."""
    return shlex.quote(printable(path))


def _warnings(places: Sequence[Path], passed: _PassedOver) -> Iterator[str]:
    """Yield a sentence for links that lead nowhere, and for class folders that all hold the same folders."""
    if broken := passed.files.get(BROKEN):
        yield f"links that lead nowhere are passed over: {shorten(sorted(broken))}."
    inner: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for place in places:
        inner[place.parts[0]][place.parts[1] if len(place.parts) > 2 else ""] += 1
    first = set(next(iter(inner.values())))
    if len(inner) > 1 and len(first) > 1 and "" not in first and all(set(held) == first for held in inner.values()):
        yield (
            f"all class folders hold the same folders, {shorten(sorted(first))}: the classes are the outer ones, "
            f"{shorten(sorted(inner))}."
        )
