"""Pictures that users bring: the values of pixels of every kind, one size and one number of channels for all."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image
from refusal import refusal

from pljax.data.custom import read
from pljax.data.reading.pixels import formats
from pljax.types import ReadOptions


def refused(path, options=None):
    """The sentence that refuses a folder."""
    return refusal(read, path, options or ReadOptions())


def paint(path, color, size=(4, 4), mode="L", **saved):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path, **saved)


def store(path, pixels, mode=None, **saved):
    """Save an array of pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels))
    (picture.convert(mode) if mode else picture).save(path, **saved)


def png(path, bits, color_type, words, transparent=()):
    """Write a PNG of one row of pixels by hand, with a colour that is transparent: Pillow cannot write all kinds."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color_type]
    row = "".join(f"{word:0{bits}b}" for word in words)
    row = int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8), "big")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", len(words) // channels, 1, bits, color_type, 0, 0, 0))
        + (chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if transparent else b"")
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )


def tiff(path, size, bits, data, photometric=1, sample_format=1):
    """Write a grey TIFF without compression by hand."""
    tags = {256: size[0], 257: size[1], 258: bits, 259: 1, 262: photometric, 273: 134, 277: 1, 278: size[1]}
    tags |= {279: len(data), 339: sample_format}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data)


def pixels(folder, side=None, channels=None, **options):
    """The pixels of the pictures of a folder, ``[n, side, side, channels]``."""
    image = None if side is None else (side, channels)
    rows = read(folder, ReadOptions(image=image, **options))
    assert rows.features.dtype == np.float32
    return rows.features.reshape(-1, rows.image[0], rows.image[0], rows.image[1])


def note(folder, **options):
    return read(folder, ReadOptions(**options)).notes["pictures"]


def warned(folder, **options):
    return read(folder, ReadOptions(**options)).warnings


@pytest.fixture
def pictures(tmp_path):
    """Two classes and an unlabelled picture: 0, 255 and 100, all grey."""
    paint(tmp_path / "cats" / "deeper" / "a.png", 0)
    paint(tmp_path / "dogs" / "b.PNG", 255)
    paint(tmp_path / "unlabelled" / "c.png", 100)
    return tmp_path


def test_pixels_of_8_bits_are_read_as_they_are(pictures):
    rows = read(pictures, ReadOptions())
    assert rows.image == (4, 1)
    assert rows.features.tolist() == [[0.0] * 16, [255.0] * 16, [100.0] * 16]
    assert dict(rows.notes) == {"pictures": "3 of 4 x 4 pixels, grey"}
    assert rows.warnings == ()


# -------------------------------------------------------------------------------------------- transparency

BLENDS = {  # name: mode, colour, background, the pixel
    "nothing shows": ("RGBA", (200, 10, 20, 0), "white", (255, 255, 255)),
    "a ninth": ("RGBA", (0, 255, 0, 51), "white", (204, 255, 204)),
    "on black": ("RGBA", (100, 200, 250, 51), "black", (20, 40, 50)),
    "on a colour": ("RGBA", (0, 0, 100, 102), "#ff8000", (153, 76.8, 40)),
    "on a named colour": ("RGBA", (0, 0, 0, 0), "Tomato", (255, 99, 71)),
    "opaque": ("RGBA", (1, 2, 3, 255), "red", (1, 2, 3)),
    "grey on white": ("LA", (50, 51), "white", (214,)),
    "grey on black": ("LA", (50, 51), "black", (10,)),
    "grey on a colour": ("LA", (100, 0), "#0a141e", (10, 20, 30)),
    "grey that is opaque": ("LA", (100, 255), "white", (100,)),
}


def test_transparent_pixels_are_blended_with_the_background(tmp_path):
    for name, (mode, color, background, expected) in BLENDS.items():
        for form in ("png", "tif"):
            paint(tmp_path / form / name / f"a.{form}", color, (2, 2), mode)
            found = pixels(tmp_path / form / name, background=background)
            np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-3, err_msg=name)
    assert "1 transparent, on Tomato" in note(tmp_path / "png" / "on a named colour", background="Tomato")
    assert "transparent" not in note(tmp_path / "png" / "opaque")


def test_transparent_colours_of_palettes_and_png_are_blended(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 10, 10, 200, 0, 0])
    palette.putdata([0, 1])
    for name, transparency in (("one.png", 1), ("one.gif", 1), ("alphas.png", bytes([255, 0]))):
        (tmp_path / name).mkdir()
        palette.save(tmp_path / name / name, transparency=transparency)
        assert pixels(tmp_path / name, 2)[0, 0].tolist() == [[10], [255]], name  # no colour that is seen
        assert pixels(tmp_path / name, 2, 3)[0, 1].tolist() == [[10] * 3, [255] * 3], name
    for name, bits, words, hidden, expected in (
        ("1 bit", 1, [0, 1, 0, 1], 0, [255, 255, 255, 255]),
        ("2 bits", 2, [0, 1, 2, 3], 2, [0, 85, 255, 255]),
        ("4 bits", 4, [0, 2, 3, 15], 2, [0, 255, 51, 255]),
        ("8 bits", 8, [7, 2, 3, 15], 7, [255, 2, 3, 15]),
        ("16 bits", 16, [257, 258, 65535, 0], 257, [255, 258 / 257, 255, 0]),
    ):
        png(tmp_path / name / "a.png", bits, 0, words, [hidden])
        np.testing.assert_allclose(pixels(tmp_path / name, 4)[0, 0, :, 0], expected, rtol=1e-6, err_msg=name)
    for bits in (8, 16):
        png(tmp_path / f"colour {bits}" / "a.png", bits, 2, [9 << bits - 8, 0, 0, 1, 2, 3], [9 << bits - 8, 0, 0])
        assert pixels(tmp_path / f"colour {bits}")[0, 0, 0].tolist() == [255] * 3


def test_colour_and_transparency_become_grey_by_brightness(tmp_path):
    paint(tmp_path / "a" / "1.png", (100, 200, 50), (2, 2), "RGB")
    paint(tmp_path / "a" / "2.png", (100, 200, 50, 51), (2, 2), "RGBA")
    brightness = 0.299 * 100 + 0.587 * 200 + 0.114 * 50
    found = pixels(tmp_path, 2, 1)
    assert (found[0] == round(brightness)).all()  # as Pillow rounds it
    np.testing.assert_allclose(found[1], 0.2 * brightness + 0.8 * 255, rtol=1e-6)


def test_a_background_that_is_no_colour_is_refused(pictures):
    for background in (" ", "whit", "#12", "rgb(1,2)", "#ffffff80"):
        assert "--background" in refused(pictures, ReadOptions(background=background)), background


# --------------------------------------------------------------------------------------------------- range


def test_grey_of_16_bits_keeps_its_fractions(tmp_path):
    values = np.array([[0, 257 * 7, 1], [257 * 100, 65535, 258], [5, 128, 30000]], np.uint16)
    for suffix in ("png", "tif", "pgm"):
        if suffix == "pgm":
            (tmp_path / suffix).mkdir()
            (tmp_path / suffix / "a.pgm").write_bytes(b"P5 3 3 65535\n" + values.astype(">u2").tobytes())
        else:
            store(tmp_path / suffix / f"a.{suffix}", values)
        np.testing.assert_allclose(pixels(tmp_path / suffix)[0, ..., 0], values / 257, rtol=1e-6, err_msg=suffix)
        assert "1 of 3 x 3 pixels, grey; 1 of 16 bits up to 65535, 65535 becomes 255" in note(tmp_path / suffix)
    order = {"big": (">u2", b"MM"), "small": ("<u2", b"II")}
    for name, (kind, mark) in order.items():
        store(tmp_path / name / "a.tif", values.astype(kind))
        assert (tmp_path / name / "a.tif").read_bytes()[:2] in (mark, b"II")
        np.testing.assert_allclose(pixels(tmp_path / name)[0, ..., 0], values / 257, rtol=1e-6, err_msg=name)


def test_grey_of_other_bits_is_scaled_by_its_kind_not_by_its_content(tmp_path):
    store(tmp_path / "1 bit" / "a.png", [[True, False], [False, True]])
    store(tmp_path / "32 bits" / "a.tif", np.array([[0, 257], [65535, 514]], np.int32))
    tiff(tmp_path / "12 bits" / "a.tif", (2, 2), 12, bytes([0x00, 0x00, 0x11, 0xFF, 0xF0, 0x22]))
    tiff(tmp_path / "white is 0" / "a.tif", (2, 2), 16, struct.pack("<4H", 65535, 65278, 0, 65021), photometric=0)
    (tmp_path / "pgm").mkdir()
    (tmp_path / "pgm" / "a.pgm").write_bytes(b"P5 2 2 1000\n" + struct.pack(">4H", 0, 1000, 500, 250))
    expected = {
        "1 bit": [[255, 0], [0, 255]],
        "32 bits": [[0, 1], [255, 2]],
        "12 bits": [[0, 17 * 255 / 4095], [255, 34 * 255 / 4095]],
        "white is 0": [[0, 1], [255, 2]],
        "pgm": [[0, 255], [127.5, 63.75]],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(pixels(tmp_path / name)[0, ..., 0], values, atol=1e-2, err_msg=name)
    store(tmp_path / "dark" / "a.png", np.array([[0, 257], [255, 514]], np.uint16))
    np.testing.assert_allclose(pixels(tmp_path / "dark")[0, ..., 0], [[0, 1], [255 / 257, 2]], rtol=1e-6)
    assert "no value above 514, and white is 65535" in warned(tmp_path / "dark")[0]


def test_colour_of_16_bits_keeps_8(tmp_path):
    png(tmp_path / "rgb" / "a.png", 16, 2, [257, 514, 65535])
    assert pixels(tmp_path / "rgb").ravel().tolist() == [1, 2, 255]
    assert "1 of 16 bits a channel, of which 8 are kept" in note(tmp_path / "rgb")
    png(tmp_path / "grey" / "a.png", 16, 4, [257 * 10, 65535])
    png(tmp_path / "grey" / "b.png", 16, 4, [257 * 10, 0])
    np.testing.assert_allclose(pixels(tmp_path / "grey").ravel(), [10, 255], rtol=1e-6)


def test_floating_point_pictures_are_scaled_by_the_largest_of_the_folder(tmp_path):
    for name, largest, scale in (
        ("unit", 1.0, 255),
        ("half", 0.5, 255),
        ("bytes", 255.0, 1),
        ("above one", 1.5, 1),
        ("words", 65535.0, 1 / 257),
        ("above bytes", 300.0, 1 / 257),
    ):
        values = np.array([[0, 0.25], [0.125, largest]], np.float32)
        store(tmp_path / name / "a.tif", values)
        store(tmp_path / name / "b.tiff", values / 2)
        np.testing.assert_allclose(
            pixels(tmp_path / name)[..., 0], [values * scale, values / 2 * scale], rtol=1e-6, err_msg=name
        )
        assert f"2 of floating-point numbers up to {largest:g}" in note(tmp_path / name)
    if ".pfm" not in formats():  # Pillow before 10.3
        return
    (tmp_path / "pfm").mkdir()
    (tmp_path / "pfm" / "a.pfm").write_bytes(b"Pf 1 1 -1.0\n" + struct.pack("<f", 0.2))
    paint(tmp_path / "pfm" / "b.png", 7, (1, 1))
    np.testing.assert_allclose(pixels(tmp_path / "pfm").ravel(), [51, 7], rtol=1e-6)


def test_numbers_that_are_no_pixels_are_refused(tmp_path):
    for place, value in enumerate((np.nan, np.inf, -0.5, 1e6)):
        path = tmp_path / str(place) / "a.tif"
        store(path, np.array([[0, value]], np.float32))
        assert f"{path} cannot be read as a picture: it has numbers from" in refused(path.parent), value
    for place, value in enumerate((-1, 65536, 2**31 - 1)):
        path = tmp_path / f"whole {place}" / "a.tif"
        store(path, np.array([[0, value]], np.int32))
        assert f"{path} cannot be read as a picture: it has whole numbers from" in refused(path.parent), value
    tiff(tmp_path / "signed" / "a.tif", (2, 1), 8, bytes([1, 255]), sample_format=2)
    assert "below 0" in refused(tmp_path / "signed")


def test_other_spaces_of_colour_are_converted_to_rgb(tmp_path):
    color = (200, 30, 60)
    for mode in ("CMYK", "P", "LAB", "RGBX"):
        picture = Image.new("RGB", (16, 16), color)
        picture = Image.new("LAB", (2, 2), (128, 128, 128)) if mode == "LAB" else picture.convert(mode)
        (tmp_path / mode).mkdir()
        picture.save(tmp_path / mode / "a.tif")
        if mode in ("CMYK", "RGBX"):
            picture.convert("CMYK").save(tmp_path / mode / "b.jpg", quality=100)
        expected = (119, 119, 119) if mode == "LAB" else color
        found = pixels(tmp_path / mode, 2, 3)
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=30 if mode == "P" else 2)


# ------------------------------------------------------------------------------------ orientation and size


def test_pictures_are_turned_as_exif_says(tmp_path):
    shown = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)
    stored = {  # orientation: how the rows and columns of what is shown lie in the file
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.T,
        6: np.rot90(shown),
        7: np.rot90(shown, 2).T,
        8: np.rot90(shown, -1),
    }
    for orientation, values in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for name, dtype in (("a.png", np.uint8), ("b.tif", np.uint8), ("c.png", np.uint16), ("d.webp", np.uint8)):
            folder = tmp_path / f"{orientation}{name}"
            saved = {"lossless": True} if name == "d.webp" else {}
            if name == "b.tif":
                store(folder / name, values, tiffinfo={0x0112: orientation})
            else:
                store(folder / name, (values.astype(dtype) * (257 if dtype == np.uint16 else 1)), exif=exif, **saved)
            found = pixels(folder)[0, ..., 0]
            assert found.tolist() == shown.tolist(), (orientation, name)
            assert ("1 turned as EXIF says" in note(folder)) == (orientation != 1), (orientation, name)
    store(tmp_path / "odd" / "a.png", shown, exif=b"Exif\0\0rubbish")
    assert pixels(tmp_path / "odd")[0, ..., 0].tolist() == shown.tolist()


def test_pictures_of_other_sizes_are_resized(pictures):
    for size in ((8, 8), (2, 6), (1, 1)):
        paint(pictures / "dogs" / "other.png", 254, size)
        rows = read(pictures, ReadOptions())
        assert rows.features.shape == (4, 16)
        np.testing.assert_allclose(rows.features[rows.names.index("dogs/other.png")], 254, rtol=1e-6)
        squashed = ", 1 of them squashed to a square" if size == (2, 6) else ""
        assert rows.notes["pictures"] == f"4 of 4 x 4 pixels, grey; 1 of another size were resized{squashed}"
    for side in (1, 3, 28):
        rows = read(pictures, ReadOptions(image=(side, None)))
        assert (rows.image, rows.features.shape) == ((side, 1), (4, side * side))


def test_the_side_is_that_of_most_pictures(tmp_path):
    for name, sizes, side in (
        ("most", [(9, 9), (3, 3), (3, 2)], 3),
        ("all differ", [(9, 9), (3, 1), (5, 5)], 5),
        ("two and two", [(9, 9), (9, 1), (4, 4), (4, 4)], 4),
        ("one", [(2, 7)], 7),
    ):
        for place, size in enumerate(sizes):
            paint(tmp_path / name / f"{place}.png", place, size)
        assert read(tmp_path / name, ReadOptions()).image == (side, 1), name


def test_resizing_keeps_fractions_and_the_range(tmp_path):
    ramp = np.arange(8, dtype=np.float32)[None].repeat(8, 0)
    edge = np.where(np.arange(8) < 4, 0, 255).astype(np.uint8)[None].repeat(8, 0)
    store(tmp_path / "a" / "16.png", (ramp * 8000).astype(np.uint16))
    store(tmp_path / "a" / "8.png", edge)
    store(tmp_path / "a" / "float.tif", ramp / 7)
    found = pixels(tmp_path / "a", 4)[..., 0]
    for row, values in zip(found, (ramp * 8000 / 257, edge.astype(np.float32), ramp / 7 * 255), strict=True):
        expected = np.asarray(Image.fromarray(values).resize((4, 4), Image.Resampling.BICUBIC)).clip(0, 255)
        np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-4)
    assert found[0, 0, 1] % 1 > 0.01
    store(tmp_path / "b" / "large.png", edge)
    assert (pixels(tmp_path / "b", 16).min(), pixels(tmp_path / "b", 16).max()) == (0, 255)  # no overshoot


# -------------------------------------------------------------------------------------------------- colour


def test_pictures_in_colour_have_three_channels_pixel_by_pixel(tmp_path):
    paint(tmp_path / "a" / "grey comes first.png", 7, (2, 2))
    paint(tmp_path / "red" / "a.png", (255, 0, 0), (2, 2), "RGB")
    assert pixels(tmp_path).reshape(2, -1).tolist() == [[7.0] * 12, [255.0, 0, 0] * 4]
    assert note(tmp_path) == "2 of 2 x 2 pixels, colour; 1 of them are grey"
    assert "1 in colour were made grey" in note(tmp_path, image=(2, 1))
    assert pixels(tmp_path, 2, 1).reshape(2, -1).tolist() == [[7.0] * 4, [76.0] * 4]


def test_colour_is_known_by_the_kind_of_file(tmp_path):
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([1, 2, 3, 9, 9, 9])
    colourful = palette.copy()
    colourful.putpixel((0, 0), 0)
    for name, picture, channels in (
        ("grey.png", Image.new("L", (2, 2), 3), 1),
        ("grey palette.png", palette, 1),
        ("grey palette.gif", palette, 1),
        ("palette.png", colourful, 3),
        ("one bit.png", Image.new("1", (2, 2)), 1),
        ("grey in colours.png", Image.new("RGB", (2, 2), (3, 3, 3)), 3),
        ("grey in colours.jpg", Image.new("RGB", (2, 2), (3, 3, 3)), 3),
        ("grey.jpg", Image.new("L", (2, 2), 3), 1),
        ("ink.jpg", Image.new("CMYK", (2, 2)), 3),
        ("transparent grey.png", Image.new("LA", (2, 2)), 1),
        ("transparent.png", Image.new("RGBA", (2, 2)), 3),
    ):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / name)
        assert read(tmp_path / name, ReadOptions()).image == (2, channels), name
    assert pixels(tmp_path / "palette.png")[0, 0].tolist() == [[1, 2, 3], [9, 9, 9]]


# ------------------------------------------------------------------------------------------------- formats


def test_pictures_of_every_format_are_read(tmp_path):
    written = 0
    for ending, form in sorted(formats().items()):
        picture = Image.new("1" if ending in (".msp", ".xbm") else "L", (16, 16), 200)
        (tmp_path / ending).mkdir()
        try:
            with warnings.catch_warnings(action="ignore"):  # of formats that Pillow will give up
                picture.save(tmp_path / ending / f"A{ending.upper()}", form)
        except (OSError, KeyError, ValueError):  # this Pillow cannot write it, or not in grey
            continue
        found = pixels(tmp_path / ending, 16, 1)
        np.testing.assert_allclose(found, 255 if picture.mode == "1" else 200, atol=3, err_msg=ending)
        written += 1
    assert written > 20
    assert {".jpg", ".jfif", ".png", ".webp", ".pgm", ".ppm", ".tif", ".bmp", ".gif", ".mpo"} <= set(formats())
    assert not {".pdf", ".eps", ".mpg", ".h5", ".txt", ".wmf", ".fits"} & set(formats())


def test_the_first_of_several_frames_is_read_with_a_warning(tmp_path):
    frames = [Image.new("L", (16, 16), color) for color in (10, 200, 30)]
    for name in ("a.gif", "b.tif", "c.png"):
        folder = tmp_path / name
        folder.mkdir()
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
        assert (pixels(folder) == 10).all(), name
        assert warned(folder) == (f"pictures with several frames or pages, only the first is read: 1 ({name}).",)
    paint(tmp_path / "one" / "a.gif", 3)
    frames[0].convert("RGB").save(tmp_path / "one" / "b.mpo", save_all=True, append_images=frames[1:2])  # of a phone
    assert warned(tmp_path / "one") == ()


def test_pictures_that_cannot_be_told_apart_are_warned_about(tmp_path):
    for name in ("a/1.png", "b/2.png", "b/3.png"):
        paint(tmp_path / "same" / name, 9)
        paint(tmp_path / "twins" / name, 9)
        paint(tmp_path / "fine" / name, int(name[2]))
        paint(tmp_path / "unlabelled twins" / name.replace("a/", "unlabelled/"), 9)
    paint(tmp_path / "twins" / "b" / "4.png", 8)
    paint(tmp_path / "unlabelled twins" / "c" / "4.png", 8)
    assert warned(tmp_path / "same") == ("all 3 pictures are the same: there is nothing to learn from them.",)
    twins = "the same picture is in the folders of several classes: a/1.png and b/2.png."
    assert warned(tmp_path / "twins") == (twins,)
    assert warned(tmp_path / "fine") == warned(tmp_path / "unlabelled twins") == ()


# ------------------------------------------------------------------------------------------------- refused


def test_a_file_that_is_no_picture_is_named(pictures):
    picture = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(picture, "PNG")
    half = picture.getvalue()[: len(picture.getvalue()) // 2]
    path = pictures / "dogs" / "none.png"
    for content in (b"", b"text", b"\x89PNG\r\n\x1a\n" + bytes(40), half, b"%!PS-Adobe-3.0 EPSF-3.0\n"):
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
    assert refused(pictures, ReadOptions(image=(10**7, 1))).endswith("give fewer of them at a time.")
