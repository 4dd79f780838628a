"""Folders of pictures as people have them: what is a class, what is passed over, and what is refused by name."""

import os

import pytest
from PIL import Image
from refusal import refusal

from pljax.data.custom import read
from pljax.data.reading.folders import find_pictures
from pljax.types import ReadOptions

ENDINGS = (".png", ".jpg")


def make(folder, *names):
    """Write files: pictures, each of another colour, and others by their ending."""
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in ENDINGS:
            Image.new("L", (1, 1), place).save(path)
        else:
            path.write_bytes(b"x")
    return folder


def found(folder):
    """The names of pictures below a folder, each with its class."""
    pictures = find_pictures(folder, ENDINGS)
    names = (file.relative_to(folder).as_posix() for file in pictures.files)
    return dict(zip(names, pictures.classes, strict=True))


def passed_over(folder):
    return find_pictures(folder, ENDINGS).passed_over


def refused(folder, **options):
    return refusal(read, folder, ReadOptions(**options))


@pytest.fixture
def pets(tmp_path):
    return make(tmp_path / "pets", "cats/a.png", "dogs/b.png")


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target, target_is_directory=True)


def test_the_outermost_subfolder_of_a_picture_is_its_class(tmp_path):
    folder = make(tmp_path, "cats/deeper/a.png", "dogs/b.PNG", "dogs/c.Jpg", "unlabelled/d.png", "e.png")
    rows = read(folder, ReadOptions())
    labels = {
        "cats/deeper/a.png": "cats",
        "dogs/b.PNG": "dogs",
        "dogs/c.Jpg": "dogs",
        "e.png": "",
        "unlabelled/d.png": "",
    }
    assert dict(zip(rows.names, rows.labels.texts, strict=True)) == labels
    assert "1 in no class folder, so unlabelled" in rows.notes["pictures"]
    assert "passed over" not in rows.notes


def test_pictures_beside_the_folders_have_no_class(tmp_path):
    rows = read(make(tmp_path, "a.png", "b.png"), ReadOptions())
    assert rows.labels.texts == ["", ""]
    assert "2 in no class folder" in rows.notes["pictures"]


# --------------------------------------------------------------------------------------------- passed over

NO_CLASSES = {
    ".git/objects/c.png": "1 folder: .git",
    ".ipynb_checkpoints/a-checkpoint.png": "1 folder: .ipynb_checkpoints",
    "cats/.ipynb_checkpoints/a-checkpoint.png": "1 folder: .ipynb_checkpoints",
    "__MACOSX/cats/a.png": "1 folder: __MACOSX",
    "@eaDir/a.png": "1 folder: @eaDir",
    " /a.png": "1 folder: ",
    "\u200b/a.png": "1 folder: \\u200b",
    "cats/._a.png": "1 file: 1 hidden (._a.png)",
    ".DS_Store": "1 file: 1 hidden (.DS_Store)",
    "dogs/Thumbs.db": "1 file: 1 Thumbs.db",
    "cats/desktop.ini": "1 file: 1 desktop.ini",
    "labels.CSV": "1 file: 1 .csv",
    "cats/a.png.part": "1 file: 1 .part",
    "README": "1 file: 1 without an ending",
}


def test_what_is_hidden_or_no_picture_is_passed_over_and_counted(tmp_path):
    for place, (name, text) in enumerate(NO_CLASSES.items()):
        folder = make(tmp_path / str(place), "cats/a.png", "dogs/b.png", name)
        assert found(folder) == {"cats/a.png": "cats", "dogs/b.png": "dogs"}, name
        assert passed_over(folder) == text, name


def test_what_is_passed_over_is_listed_by_its_kind(pets):
    make(
        pets, "a.txt", "cats/b.txt", ".DS_Store", "cats/.DS_Store", "dogs/Thumbs.db", "x.zip", ".git/config", ".idea/x"
    )
    text = "6 files: 2 .txt, 2 hidden (.DS_Store), 1 .zip, 1 Thumbs.db; 2 folders: .git, .idea"
    assert read(pets, ReadOptions()).notes["passed over"] == text
    make(pets, *(f"many/{place}.x{place}" for place in range(30)), "many/a.png")
    assert passed_over(pets).startswith("36 files: 2 .txt, 2 hidden (.DS_Store), 1 .x0, ")
    assert "24 of other endings; 2 folders" in passed_over(pets)


def test_a_folder_that_is_hidden_itself_is_read(tmp_path):
    folder = make(tmp_path / ".cache" / "__MACOSX", "cats/a.png", "dogs/b.png")
    assert len(found(folder)) == 2


def test_what_is_neither_file_nor_folder_is_passed_over(pets):
    os.mkfifo(pets / "cats" / "pipe.png")
    assert len(found(pets)) == 2
    assert passed_over(pets) == "1 file: 1 neither file nor folder (pipe.png)"


# --------------------------------------------------------------------------------------------------- links


def test_links_to_folders_and_files_are_followed(tmp_path, pets):
    elsewhere = make(tmp_path / "elsewhere", "lions/a.png", "lions/deeper/b.png", "one.png")
    link(pets / "big cats", elsewhere / "lions")
    link(pets / "cats" / "more", "../../elsewhere/lions")
    link(pets / "dogs" / "linked.png", elsewhere / "one.png")
    link(tmp_path / "all", pets)
    assert found(pets) == {
        "big cats/a.png": "big cats",
        "big cats/deeper/b.png": "big cats",
        "cats/a.png": "cats",
        "cats/more/a.png": "cats",
        "cats/more/deeper/b.png": "cats",
        "dogs/b.png": "dogs",
        "dogs/linked.png": "dogs",
    }
    assert found(tmp_path / "all") == found(pets)
    assert passed_over(pets) == ""


def test_links_to_folders_above_end(tmp_path, pets):
    make(tmp_path / "beside", "a.png")
    for name, target in (("loop", "."), ("up", ".."), ("root", "../.."), ("far", "/"), ("self", "self")):
        link(pets / "cats" / name, target)
    link(pets / "dogs" / "to cats", "../cats")
    link(pets / "cats" / "to dogs", "../dogs")
    names = {"cats/a.png", "cats/to dogs/b.png", "dogs/b.png", "dogs/to cats/a.png"}
    assert set(found(pets)) == names
    assert "10 leading back to a folder above (far, loop, root, to dogs, up and 1 more)" in passed_over(pets)


def test_links_that_lead_nowhere_are_warned_about(pets):
    link(pets / "mice", pets / "gone")
    link(pets / "cats" / "x.png", "gone.png")
    rows = read(pets, ReadOptions())
    assert rows.names == ("cats/a.png", "dogs/b.png")
    assert rows.warnings == ("links that lead nowhere are passed over: cats/x.png, mice.",)
    assert rows.notes["passed over"] == "2 files: 2 leading nowhere (mice, x.png)"


# ------------------------------------------------------------------------------------------------- refused


def test_folders_without_pictures_are_refused_with_what_they_hold(pets):
    for names, text in (
        (["mice/notes.txt"], "has no pictures of mice (1 file: 1 .txt): fill or remove it."),
        (["mice/a.heic", "mice/b.HEIC"], "has no pictures of mice (3 files: 2 .heic, 1 .txt)"),
        (["mice/.hidden/a.png", "x.pdf"], "has no pictures of mice (3 files: 2 .heic, 1 .txt; 1 folder: .hidden)"),
    ):
        assert text in refused(make(pets, *names))
    (pets / "rats").mkdir()
    assert "has no pictures of mice, rats (" in refused(pets)
    assert "mice has no pictures (3 files: 2 .heic, 1 .txt; 1 folder: .hidden): give" in refused(pets / "mice")
    assert "rats has no pictures: give" in refused(pets / "rats")


PARTS = {  # files: what to give, below the folder
    ("train/cats/a.png", "train/dogs/b.png", "test/cats/c.png"): ("train", "test"),
    ("Train/cats/a.png", "TEST/cats/c.png", "val/dogs/b.png"): ("Train", "TEST"),
    ("training/cats/a.png", "validation/cats/c.png"): ("training", "validation"),
    ("train/cats/a.png", "valid/cats/c.png", ".git/x"): ("train", "valid"),
    ("seg_train/seg_train/sea/a.png", "seg_train/seg_train/ice/a.png", "seg_test/seg_test/sea/b.png"): (
        "seg_train/seg_train",
        "seg_test/seg_test",
    ),
    ("set/train/cats/a.png", "set/train/dogs/b.png", "set/test/cats/c.png"): ("set/train", "set/test"),
    ("train/a.png", "test/b.png", "notes.txt"): ("train", "test"),
    ("train/cats/a.png", "train/dogs/b.png", "unlabeled/c.png"): ("train", None),
}


def test_a_folder_above_train_and_test_says_what_to_type(tmp_path):
    for place, (names, (train, test)) in enumerate(PARTS.items()):
        folder = make(tmp_path / str(place), *names)
        typed = f"give --dataset={folder}/{train}" + (f" --test={folder}/{test}" if test else "")
        assert typed in refused(folder), names
    assert refused(folder).endswith(f", and move the unlabelled pictures to {folder}/train/unlabelled.")
    spaced = make(tmp_path / "my pets", "train/cats/a.png", "train/dogs/a.png", "test/b.png")
    assert f"--dataset='{spaced}/train' --test='{spaced}/test'." in refused(spaced)


def test_a_folder_above_the_class_folders_says_what_to_type(tmp_path):
    for place, (names, level) in enumerate(
        (
            (("images/cats/a.png", "images/dogs/b.png", "labels.csv"), "images"),
            (("a/b/c/cats/a.png", "a/b/c/dogs/d/b.png"), "a/b/c"),
            (("train/cats/a.png", "train/dogs/b.png", ".git/config", "__MACOSX/train/x.png"), "train"),
        )
    ):
        folder = make(tmp_path / str(place), *names)
        text = f"has one folder with pictures, {level}, and the folders of the classes (cats, dogs) are in it: "
        assert f"{text}give --dataset={folder}/{level}." in refused(folder), names


def test_class_names_that_resemble_parts_and_levels_are_classes(tmp_path):
    for place, names in enumerate(
        (
            ("train/a.png", "bus/b.png"),
            ("test/a.png", "quiz/b.png", "train/c.png"),
            ("contest/a.png", "training/b.png"),
            ("cats/deeper/a.png", "dogs/b.png"),
        )
    ):
        folder = make(tmp_path / str(place), *names)
        assert set(found(folder).values()) == {name.split("/")[0] for name in names}


def test_pictures_to_predict_may_lie_anyhow(tmp_path):
    folder = make(tmp_path, "new/train/a.png", "new/test/b.png")
    assert read(folder, ReadOptions(image=(1, 1))).names == ("new/test/b.png", "new/train/a.png")


def test_the_same_folders_in_every_class_folder_are_warned_about(tmp_path):
    for names, warnings in (
        (("north/cats/a.png", "north/dogs/b.png", "south/cats/c.png", "south/dogs/d.png"), 1),
        (("north/cats/a.png", "north/dogs/b.png", "south/cats/c.png", "south/mice/d.png"), 0),
        (("north/cats/a.png", "north/dogs/b.png", "south/cats/c.png", "south/dogs/d.png", "south/e.png"), 0),
        (("north/2020/a.png", "south/2020/b.png"), 0),
    ):
        folder = make(tmp_path / str(hash(names)), *names)
        said = read(folder, ReadOptions()).warnings
        assert len(said) == warnings, names
        assert all("cats, dogs: the classes are the outer ones, north, south." in warning for warning in said)


def test_names_that_are_no_text_are_refused(tmp_path):
    for place, name in enumerate((b"cats\xff/a.png", b"cats/\xfe.png", b"cats/\xff/a.png")):
        folder = tmp_path / str(place)
        path = os.fsdecode(os.fsencode(folder) + b"/" + name)
        os.makedirs(os.path.dirname(path))
        Image.new("L", (1, 1)).save(path)
        assert "has a file whose name is no text, cats" in refused(folder)
