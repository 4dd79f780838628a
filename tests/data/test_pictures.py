"""Folders of pictures that users bring: a subfolder for each class, one size for all, and a refusal for the rest."""

import io

import numpy as np
import pytest
from PIL import Image
from refusal import refusal

from pljax.data.custom import read
from pljax.data.pictures import PICTURE_SUFFIXES
from pljax.data.rows import ReadOptions


def refused(path, options=None):
    """The sentence that refuses a folder."""
    return refusal(read, path, options or ReadOptions())


def paint(path, color, size=(4, 4), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


@pytest.fixture
def pictures(tmp_path):
    """Two classes and an unlabelled picture: 0, 255 and 100, all gray."""
    paint(tmp_path / "cats" / "deeper" / "a.png", 0)
    paint(tmp_path / "dogs" / "b.PNG", 255)
    paint(tmp_path / "unlabelled" / "c.png", 100)
    return tmp_path


def test_the_subfolder_of_a_picture_is_its_class(pictures):
    (pictures / "notes.txt").write_text("no picture")
    rows = read(pictures, ReadOptions())
    assert rows.labels == ["cats", "dogs", ""]
    assert rows.names == ("cats/deeper/a.png", "dogs/b.PNG", "unlabelled/c.png")
    assert rows.image == (4, 1)
    assert rows.features.tolist() == [[0.0] * 16, [255.0] * 16, [100.0] * 16]


def test_pictures_beside_the_folders_have_no_class(tmp_path):
    paint(tmp_path / "a.png", 1)
    paint(tmp_path / "b.png", 2)
    assert read(tmp_path, ReadOptions()).labels == ["", ""]


def test_pictures_of_other_sizes_are_resized(pictures):
    for size in ((8, 8), (2, 6), (1, 1)):
        paint(pictures / "dogs" / "other.png", 255, size)
        rows = read(pictures, ReadOptions())
        assert rows.features.shape == (4, 16)
        assert (rows.features[rows.names.index("dogs/other.png")] == 255).all(), size
    for side in (1, 3, 28):
        rows = read(pictures, ReadOptions(image=(side, None)))
        assert (rows.image, rows.features.shape) == ((side, 1), (4, side * side))


def test_pictures_in_colour_have_three_channels_pixel_by_pixel(tmp_path):
    paint(tmp_path / "red" / "a.png", (255, 0, 0), (2, 2), "RGB")
    paint(tmp_path / "transparent" / "b.png", (0, 255, 0, 9), (2, 2), "RGBA")
    paint(tmp_path / "gray" / "z.png", 7, (2, 2))
    rows = read(tmp_path, ReadOptions())
    assert rows.image == (2, 1)  # as the first file is
    rows = read(tmp_path, ReadOptions(image=(2, 3)))
    assert rows.features.tolist() == [[7.0] * 12, [255.0, 0, 0] * 4, [0.0, 255, 0] * 4]


def test_gray_of_16_bits_becomes_gray_of_8(tmp_path):
    for suffix in ("png", "tif"):
        pixels = np.array([[0, 257 * 7], [257 * 100, 65535]], np.uint16)
        folder = tmp_path / suffix
        folder.mkdir()
        Image.fromarray(pixels).save(folder / f"a.{suffix}")
        rows = read(folder, ReadOptions())
        assert rows.image == (2, 1)
        assert rows.features.tolist() == [[0, 7, 100, 255]], suffix


def test_pictures_of_every_format_are_read(tmp_path):
    formats = [suffix for suffix in PICTURE_SUFFIXES if suffix != ".webp"]  # which not every Pillow can write
    for suffix in formats:
        paint(tmp_path / "a" / f"picture{suffix}", 200)
    rows = read(tmp_path, ReadOptions(image=(4, 1)))
    assert len(rows.names) == len(formats)
    np.testing.assert_allclose(rows.features, 200, atol=2)


# ---------------------------------------------------------------------------------------------- refused


def test_folders_without_pictures_are_refused(pictures, tmp_path):
    (pictures / "mice").mkdir()
    assert "has no pictures of mice" in refused(pictures)
    (pictures / "mice" / "notes.txt").write_text("no picture")
    assert "has no pictures" in refused(pictures / "mice")


def test_a_file_that_is_no_picture_is_named(pictures):
    picture = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(picture, "PNG")
    half = picture.getvalue()[: len(picture.getvalue()) // 2]
    path = pictures / "dogs" / "none.png"
    for content in (b"", b"text", b"\x89PNG\r\n\x1a\n" + bytes(40), half):
        path.write_bytes(content)
        assert f"{path} cannot be read as a picture" in refused(pictures)


def test_a_gigantic_picture_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    paint(tmp_path / "a.png", 0, (100, 100))
    for most in (5000, 9000):  # an error of Pillow, and a warning
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        assert "cannot be read as a picture" in refused(tmp_path)


def test_an_impossible_size_of_pictures_is_refused(pictures):
    for image in ((0, None), (-4, None), (4, 2), (10**7, None), (10**10, None)):
        assert refused(pictures, ReadOptions(image=image)).endswith("give --image_size=28.")
