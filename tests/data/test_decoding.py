"""Every kind of picture file gives the pixels that were put into it, upright; what cannot be read so is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from gantk.data.pixels import read_pixels, write_pixels
from gantk.errors import DataError
from picture_files import HEIGHT, RNG, WIDTH, grey, noise, values


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples: np.ndarray, bits: int, colour: int, *before: bytes, after: bytes = b"") -> bytes:
    """A PNG file of bits-per-sample numbers (H, W, S), as its specification has it."""
    rows = samples.reshape(len(samples), -1)
    if bits == 16:
        lines = [row.astype(">u2").tobytes() for row in rows]
    else:
        planes = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
        lines = [np.packbits(plane.ravel()).tobytes() for plane in planes]
    head = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(before) + data + after + chunk(b"IEND", b"")


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def straightened(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The upright image by Pillow, channel by channel, because Pillow cannot rotate all modes."""
    turned = []
    for channel in np.moveaxis(pixels, -1, 0):
        image = Image.fromarray(channel.astype(np.int32))
        image.getexif()[274] = orientation
        turned.append(np.asarray(ImageOps.exif_transpose(image)))
    return np.stack(turned, -1)


# --- PNG ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_png_grey(tmp_path: Path, bits: int) -> None:
    samples = noise(np.uint16, 1, 2**bits - 1)
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    found = read_pixels(written(tmp_path, "x.png", png(samples, bits, 0, gamma)), "grey")
    full = 65535 if bits == 16 else 255
    assert found.greatest == full
    np.testing.assert_array_equal(found.values, samples.astype(int) * full // (2**bits - 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("turned", range(1, 9))
def test_png_colour_and_its_orientation(tmp_path: Path, dtype: type, turned: int) -> None:
    samples = noise(dtype)
    exif = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HHI", turned, 0, 0))
    bits = 8 * dtype().itemsize
    for place in ({"after": exif}, {}):  # the chunk may come before the pixels or after them
        content = png(samples, bits, 2, *(() if place else (exif,)), **place)
        np.testing.assert_array_equal(values(written(tmp_path, "x.png", content)), straightened(samples, turned))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_palette(tmp_path: Path, bits: int) -> None:
    palette = noise()[0, : min(2**bits, WIDTH)]
    places = noise(np.uint8, 1, len(palette) - 1)
    clear = chunk(b"tRNS", bytes([0]))
    for before, left_out in (((), ""), ((clear,), "transparency")):
        content = png(places, bits, 3, chunk(b"PLTE", palette.tobytes()), *before)
        found = read_pixels(written(tmp_path, "x.png", content), "rgb")
        np.testing.assert_array_equal(found.values, palette[places[..., 0]])
        assert found.left_out == left_out


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [4, 6])
def test_png_alpha_is_left_out_and_told_unless_all_is_opaque(tmp_path: Path, dtype: type, colour: int) -> None:
    samples = noise(dtype, 2 if colour == 4 else 4)
    samples[3, 3, -1] = 0
    path = written(tmp_path, "x.png", png(samples, 8 * dtype().itemsize, colour))
    found = read_pixels(path, "rgb" if colour == 6 else "grey")
    np.testing.assert_array_equal(found.values, samples[..., :-1])
    assert found.left_out == "transparency"
    samples[..., -1] = np.iinfo(dtype).max
    path.write_bytes(png(samples, 8 * dtype().itemsize, colour))
    assert read_pixels(path, "rgb").left_out == ""


@pytest.mark.parametrize(("bits", "colour"), [(8, 0), (16, 0), (8, 2), (16, 2)])
def test_png_with_one_transparent_colour(tmp_path: Path, bits: int, colour: int) -> None:
    samples = noise(np.uint16, 1 if colour == 0 else 3, 2**bits - 1)
    clear = chunk(b"tRNS", samples[4, 4].astype(">u2").tobytes())
    found = read_pixels(written(tmp_path, "x.png", png(samples, bits, colour, clear)), "rgb")
    np.testing.assert_array_equal(found.values, np.broadcast_to(samples, (HEIGHT, WIDTH, 3)))
    assert found.left_out == "transparency"


def test_png_interlaced(tmp_path: Path) -> None:
    """Adam7 by hand, 16 bits: no writer at hand makes one."""
    samples = noise(np.uint16)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    lines = [
        b"\0" + row.astype(">u2").tobytes()
        for top, left, down, across in passes
        for row in samples[top::down, left::across]
    ]
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 1)
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(lines))) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(values(written(tmp_path, "x.png", b"\x89PNG\r\n\x1a\n" + content)), samples)


def test_no_flipped_bit_of_a_png_changes_pixels(tmp_path: Path) -> None:
    samples = noise(np.uint16)[:2, :2]
    content = png(samples, 16, 2)
    changed = []
    for bit in range(8 * len(content)):
        spoilt = bytearray(content)
        spoilt[bit // 8] ^= 1 << bit % 8
        try:
            found = values(written(tmp_path, "x.png", bytes(spoilt)))
        except DataError:
            continue
        if not np.array_equal(found, samples):
            changed.append(bit // 8)
    assert changed == []


# --- JPEG ---------------------------------------------------------------------------------------------------------


def smooth(channels: int) -> np.ndarray:
    """An image that JPEG changes very little."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [60 + 4 * x, 200 - 5 * y, 90 + 2 * x + 2 * y, 30 + 3 * y]
    return np.stack(planes[:channels], -1).astype(np.uint8)


def jpeg(pixels: np.ndarray, mode: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)
    image.save(file, "JPEG", quality=100, subsampling=0, **options)
    return file.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("turned", range(1, 9))
def test_jpeg(tmp_path: Path, progressive: bool, turned: int) -> None:
    exif = Image.Exif()
    exif[274] = turned
    for mode, channels in (("L", 1), ("RGB", 3)):
        content = jpeg(smooth(channels), mode, exif=exif, progressive=progressive)
        found = values(written(tmp_path, "x.jpg", content), "rgb" if mode == "RGB" else "grey")
        np.testing.assert_allclose(found, straightened(smooth(channels), turned), atol=3)


def test_jpeg_cmyk_is_inked(tmp_path: Path) -> None:
    """Adobe stores the inks inverted, as Pillow writes them; little cyan is much red."""
    inks = smooth(4)
    light = 255 - inks.astype(float)
    path = written(tmp_path, "x.jpg", jpeg(inks, "CMYK"))
    np.testing.assert_allclose(values(path), light[..., :3] * light[..., 3:] / 255, atol=4)


def test_a_jpeg_with_a_preview_is_its_first_image(tmp_path: Path) -> None:
    """As phones write them, in the format MPO."""
    first, second = (Image.fromarray(pixels) for pixels in (smooth(3), 255 - smooth(3)))
    first.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[second], quality=100, subsampling=0)
    np.testing.assert_allclose(values(tmp_path / "x.jpg"), smooth(3), atol=3)


# --- TIFF ---------------------------------------------------------------------------------------------------------


def tiff(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, pixels, **({"metadata": None} | options))
    return path


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_containers(tmp_path: Path, compression: str | None, dtype: type, byteorder: Any) -> None:
    """Strips and tiles, with and without predictor, channels together and apart, classic and big files."""
    colours, shades = noise(dtype), noise(dtype, 1)[..., 0]
    options: dict[str, Any] = {"compression": compression, "byteorder": byteorder}
    if compression in ("lzw", "zlib"):
        options["predictor"] = True
    for place in ({"tile": (16, 16)}, {"rowsperstrip": 5}, {"bigtiff": True}):
        path = tiff(tmp_path / "x.tif", colours, photometric="rgb", **place, **options)
        np.testing.assert_array_equal(values(path), colours)
        apart = np.moveaxis(colours, -1, 0)
        path = tiff(tmp_path / "x.tif", apart, photometric="rgb", planarconfig="separate", **place, **options)
        np.testing.assert_array_equal(values(path), colours)
        path = tiff(tmp_path / "x.tif", shades, photometric="minisblack", **place, **options)
        np.testing.assert_array_equal(grey(path), shades)


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_is_turned_upright_at_every_depth(tmp_path: Path, turned: int, dtype: type) -> None:
    tag = [(274, "H", 1, turned, True)]
    colours, shades, palette = noise(dtype), noise(dtype, 1), noise(np.uint16, 3, 255)[:16, :16].reshape(256, 3)
    path = tiff(tmp_path / "x.tif", colours, photometric="rgb", extratags=tag)
    np.testing.assert_array_equal(values(path), straightened(colours, turned))
    path = tiff(tmp_path / "x.tif", shades[..., 0], photometric="minisblack", extratags=tag)
    np.testing.assert_array_equal(values(path, "grey"), straightened(shades, turned))
    places = noise(np.uint8, 1)[..., 0]
    path = tiff(tmp_path / "x.tif", places, photometric="palette", colormap=palette.T * 257, extratags=tag)
    np.testing.assert_array_equal(values(path), straightened(palette[places], turned))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
@pytest.mark.parametrize("white", [False, True])
def test_tiff_bits_and_polarity(tmp_path: Path, bits: int, white: bool) -> None:
    greatest = 2**bits - 1
    shades = noise(np.uint8 if bits <= 8 else np.uint16, 1, greatest)[..., 0]
    stored = greatest - shades if white else shades
    path = tiff(
        tmp_path / "x.tif",
        stored.astype(bool) if bits == 1 else stored,
        photometric="miniswhite" if white else "minisblack",
        bitspersample=bits,
    )
    found = read_pixels(path, "grey")
    assert found.greatest == max(greatest, 255)
    np.testing.assert_array_equal(found.values[..., 0], shades * (255 // greatest if bits < 8 else 1))


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw", "packbits"])
def test_tiff_of_two_levels_as_pillow_writes_it(tmp_path: Path, compression: str) -> None:
    page = noise(np.uint8, 1, 1)[..., 0].astype(bool)
    Image.fromarray(page).save(tmp_path / "x.tif", compression=compression)
    np.testing.assert_array_equal(grey(tmp_path / "x.tif"), page * 255)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32, np.float32, np.float64])
def test_tiff_of_numbers_without_a_range(tmp_path: Path, dtype: type) -> None:
    numbers = RNG.uniform(0 if dtype is np.uint32 else -900, 900, (HEIGHT, WIDTH)).astype(dtype)
    for place in ({}, {"compression": "zlib", "predictor": True, "byteorder": ">"}):
        found = read_pixels(tiff(tmp_path / "x.tif", numbers, photometric="minisblack", **place), "grey")
        np.testing.assert_array_equal(found.values[..., 0], numbers)
        assert found.values.dtype == dtype
        assert found.greatest is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_transparency(tmp_path: Path, dtype: type) -> None:
    samples, full = noise(dtype, 4), np.iinfo(dtype).max
    samples[3, 3, 3] = 0
    found = read_pixels(tiff(tmp_path / "x.tif", samples, photometric="rgb", extrasamples=["unassalpha"]), "rgb")
    np.testing.assert_array_equal(found.values, samples[..., :3])
    assert found.left_out == "transparency"
    colours, alpha = samples[..., :3].astype(float), np.maximum(samples[..., 3:], full // 2).astype(float)
    covered = np.concatenate([np.rint(colours * alpha / full), alpha], -1).astype(dtype)
    found = read_pixels(tiff(tmp_path / "x.tif", covered, photometric="rgb", extrasamples=["assocalpha"]), "rgb")
    np.testing.assert_allclose(found.values.astype(float), colours, atol=1.01)
    assert found.left_out == "transparency"
    found = read_pixels(tiff(tmp_path / "x.tif", samples, photometric="rgb", extrasamples=["unspecified"]), "rgb")
    np.testing.assert_array_equal(found.values, samples[..., :3])
    assert found.left_out == "extra channel"


def test_tiff_cmyk_and_jpeg(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        inks, full = noise(dtype, 4), float(np.iinfo(dtype).max)
        light = full - inks.astype(float)
        path = tiff(tmp_path / "x.tif", inks, photometric="separated")
        np.testing.assert_allclose(values(path), light[..., :3] * light[..., 3:] / full, atol=0.51)
    for mode in ("RGB", "YCbCr"):
        Image.fromarray(smooth(3)).convert(mode).save(tmp_path / "x.tif", compression="jpeg", quality=100)
        np.testing.assert_allclose(values(tmp_path / "x.tif"), smooth(3), atol=12)


def test_smaller_copies_in_a_tiff_are_passed_over(tmp_path: Path) -> None:
    colours = noise()
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(colours, photometric="rgb", metadata=None)
        file.write(colours[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(values(tmp_path / "x.tif"), colours)


# --- refused ------------------------------------------------------------------------------------------------------


def lab(path: Path) -> None:
    tiff(path, noise(), photometric="cielab")


def ycbcr(path: Path) -> None:
    Image.fromarray(noise(), "YCbCr").save(path, compression="tiff_lzw")


def stack(path: Path) -> None:
    tifffile.imwrite(path, np.stack([noise()] * 2), photometric="rgb")


def hyperstack(path: Path) -> None:
    tifffile.imwrite(path, np.stack([noise(channels=1)[..., 0]] * 3), imagej=True)


def channels(path: Path) -> None:
    tiff(path, noise(), photometric="minisblack", planarconfig="contig")


def animation(path: Path) -> None:
    frames = [Image.fromarray(noise()) for _ in range(2)]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])


def complex_numbers(path: Path) -> None:
    tiff(path, np.ones((4, 4), np.complex64), photometric="minisblack")


def inverted_signed(path: Path) -> None:
    tiff(path, np.ones((4, 4), np.int16), photometric="miniswhite")


def holes(path: Path) -> None:
    tiff(path, np.array([[1, np.nan]], np.float32), photometric="minisblack")


def another(path: Path) -> None:
    Image.fromarray(noise()).save(path, "WEBP")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lab, "colors in the mode CIELAB"),
        (ycbcr, "colors in the mode YCBCR"),
        (stack, "several images"),
        (hyperstack, "several images"),
        (channels, "3 channels"),
        (animation, "several images"),
        (complex_numbers, "samples of an unsupported type"),
        (inverted_signed, "int16"),
        (holes, "1 values that are NaN"),
        (another, r"is a WEBP file.*convert it"),
    ],
)
def test_what_is_refused(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "x.tif")
    with pytest.raises(DataError, match=rf"x\.tif.*{message}"):
        read_pixels(tmp_path / "x.tif", "rgb")


def test_cut_files(tmp_path: Path) -> None:
    write_pixels(tmp_path / "x.png", noise(np.uint16))
    written(tmp_path, "x.jpg", jpeg(noise(), "RGB"))
    whole = [tmp_path / "x.png", tmp_path / "x.jpg"]
    for compression in ("none", "lzw", "zlib", "packbits", "jpeg"):
        options = {} if compression == "none" else {"compression": compression}
        path = tmp_path / f"{compression}.tif"
        whole.append(tiff(path, noise(), photometric="rgb", rowsperstrip=8, **options))
    for path in whole:
        content = path.read_bytes()
        for share in (0.3, 0.6, 0.9):
            cut = written(tmp_path, f"cut{path.suffix}", content[: int(len(content) * share)])
            with pytest.raises(DataError, match=r"cannot be read.*copy or download"):
                read_pixels(cut, "rgb")
    for name, content in (("text.jpg", b"no image"), ("0.tif", b"")):
        with pytest.raises(DataError, match=r"cannot be read.*copy or download"):
            read_pixels(written(tmp_path, name, content), "rgb")
    with pytest.raises(DataError, match="cannot be read"):
        read_pixels(tmp_path / "gone.png", "rgb")


def test_what_tifffile_says_of_damaged_tags_is_not_said_beside_our_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray(tiff(tmp_path / "x.tif", noise(), photometric="rgb").read_bytes())
    content[10:50] = bytes(40)
    with pytest.raises(DataError, match="cannot be read"):
        read_pixels(written(tmp_path, "x.tif", bytes(content)), "rgb")
    assert not caplog.records


def test_a_tiff_whose_strip_is_missing_or_short(tmp_path: Path) -> None:
    for tag, value in ((273, [8, 0]), (279, [0, 100]), (279, [100, 100])):
        path = tiff(tmp_path / "x.tif", noise(channels=1)[..., 0], photometric="minisblack", rowsperstrip=10)
        with tifffile.TiffFile(path, mode="r+") as file:
            file.pages[0].tags[tag].overwrite(value)
        with pytest.raises(DataError, match="cannot be read"):
            read_pixels(path, "grey")
