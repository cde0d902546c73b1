"""Data from directories and files: faithful on good ones, clear and harmless on bad ones."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save, save_file

from gamedyn.neural.data import from_directory


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def npy_bytes(header: str, payload: bytes = b"", version: int = 1) -> bytes:
    start = b"\x93NUMPY" + bytes([version, 0])
    return start + struct.pack("<H" if version == 1 else "<I", len(header)) + header.encode() + payload


def some_bytes(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def as_pixels(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.reshape(len(array), -1).astype(np.float32)) / 127.5 - 1


# --- good files


@pytest.mark.parametrize("packed", [False, True])
def test_idx_pictures_come_with_their_labels(tmp_path: Path, packed: bool) -> None:
    images, labels = some_bytes(4, 6, 5), np.array([3, 46, 0, 1])
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = idx_bytes(array)
        file = tmp_path / f"t10k-{name}-ubyte{'.gz' if packed else ''}"
        file.write_bytes(gzip.compress(content) if packed else content)
    (tmp_path / "README.md").write_text("of other files nothing is read")
    data = from_directory(tmp_path)
    assert (data.name, data.image_shape) == (tmp_path.name, (6, 5))
    torch.testing.assert_close(data.x, as_pixels(images))
    assert data.labels is not None
    assert data.labels.tolist() == [3, 46, 0, 1]
    file = next(tmp_path.glob("*images*"))
    assert torch.equal(from_directory(file).x, data.x)


def test_the_train_part_is_preferred_and_labels_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(some_bytes(4, 2, 2)))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(some_bytes(3, 2, 2)))
    data = from_directory(tmp_path)
    assert (len(data), data.labels) == (4, None)


@pytest.mark.parametrize("dtype", ["|u1", "<f2", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_read_as_numpy_reads_it(tmp_path: Path, dtype: str, order: str) -> None:
    array = np.asarray(some_bytes(5, 3, 4), dtype=dtype, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "a.npy", array)
    data = from_directory(tmp_path)
    expected = as_pixels(array) if dtype == "|u1" else torch.tensor(array.astype(np.float32)).flatten(1)
    torch.testing.assert_close(data.x, expected)
    assert data.image_shape == (3, 4)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 3, 2, 5), (4, 1, 2, 5)])
def test_every_version_and_shape_of_npy_is_read(
    tmp_path: Path, version: tuple[int, int], shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(0).normal(size=shape)
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=version)
    data = from_directory(tmp_path / "a.npy")
    torch.testing.assert_close(data.x, torch.tensor(array.reshape(4, -1), dtype=torch.float32))
    assert data.image_shape == {4: None, 2: None, 3: (3, 2, 5), 1: (2, 5)}[shape[1] if len(shape) == 4 else shape[0]]


def test_safetensors_hold_one_tensor_or_x_and_labels(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    x = torch.randn((6, 2), generator=torch.Generator().manual_seed(0))
    save_file({"points": x}, file)
    assert torch.equal(from_directory(tmp_path).x, x)
    save_file({"x": x.to(torch.bfloat16), "labels": torch.arange(6, dtype=torch.int32)}, file)
    data = from_directory(file)
    assert torch.equal(data.x, x.to(torch.bfloat16).float())
    assert data.labels is not None
    assert data.labels.tolist() == list(range(6))
    save_file({"x": x, "y": x + 1}, file)
    with pytest.raises(ValueError, match=r"holds \['x', 'y'\]"):
        from_directory(file)


@pytest.mark.parametrize(("shape", "image_shape"), [((5, 7), (5, 7)), ((5, 7, 3), (3, 5, 7))])
def test_png_folder_is_read_in_natural_order(
    tmp_path: Path, shape: tuple[int, ...], image_shape: tuple[int, ...]
) -> None:
    pictures = some_bytes(11, *shape)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"p{i}.png")
    data = from_directory(tmp_path)
    channels_first = pictures if len(shape) == 2 else np.moveaxis(pictures, 3, 1)
    torch.testing.assert_close(data.x, as_pixels(np.ascontiguousarray(channels_first)))
    assert data.image_shape == image_shape


# --- hostile and damaged files


def test_pickles_are_refused_and_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.pt", "a.pkl", "a.npz", "a.PTH"):
        (folder / name).write_bytes(pickle.dumps(Trap(trace)))
        with pytest.raises(ValueError, match=r"can run any code\. Save the array with numpy\.save"):
            from_directory(folder / name)
    with pytest.raises(FileNotFoundError, match=r"holds a\.PTH, a\.npz, a\.pkl, a\.pt\. It must hold IDX"):
        from_directory(folder)
    np.save(folder / "a.npy", np.array([Trap(trace)], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="object array is a pickle, which is never loaded"):
        from_directory(folder)
    for name in ("b.npy", "b.safetensors", "b"):
        (folder / name).write_bytes(pickle.dumps(Trap(trace)))
        with pytest.raises(ValueError, match=r"not a \.npy|not a whole safetensors|not an IDX"):
            from_directory(folder / name)
    assert not trace.exists()


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"not a \.npy file"),
        (b"\x93NUMPY\x01", r"not a \.npy file"),
        (npy_bytes(GOOD, bytes(24))[:40], "The file is damaged"),
        (npy_bytes(GOOD, bytes(23)), "truncated: .* needs 24 bytes after the header, found 23"),
        (npy_bytes(GOOD, bytes(25)), "too long"),
        (npy_bytes(GOOD.replace("2, 3", "2, 99999999999999999"), bytes(24)), "truncated"),
        (npy_bytes(GOOD.replace("2, 3", "-2, 3"), bytes(24)), "not that of a plain array"),
        (npy_bytes(GOOD.replace("2, 3", "2 3"), bytes(24)), "not that of a plain array"),
        (npy_bytes(GOOD.replace("(2, 3)", "__import__('os')"), bytes(24)), "not that of a plain array"),
        (npy_bytes(GOOD.replace("'<f4'", "[('a', '<f4')]"), bytes(24)), "not that of a plain array"),
        (npy_bytes("(" * 9000), "not that of a plain array"),
        (npy_bytes(GOOD + " " * 20_000, bytes(24)), "The file is damaged"),
        (npy_bytes(GOOD.replace("<f4", "<i4"), bytes(24)), "must be unsigned bytes or floats"),
        (npy_bytes(GOOD.replace("<f4", "<c8"), bytes(48)), "must be unsigned bytes or floats"),
        (npy_bytes(GOOD.replace("2, 3", "0, 3")), "none of them 0"),
        (npy_bytes(GOOD.replace("2, 3", ""), bytes(4)), "none of them 0"),
        (npy_bytes(GOOD, struct.pack("<6f", 0, 1, float("nan"), 3, float("inf"), 5)), "2 entries of x are not finite"),
    ],
)
def test_bad_npy_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        from_directory(tmp_path)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=80), st.sampled_from(["npy", "safetensors", "png"]), st.booleans())
def test_any_bytes_are_read_or_refused_by_value_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: str, started: bool
) -> None:
    start = {"npy": npy_bytes(GOOD)[:60], "safetensors": struct.pack("<Q", 40), "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"}
    folder = tmp_path_factory.getbasetemp() / f"any-{kind}"
    folder.mkdir(exist_ok=True)
    (folder / f"a.{kind}").write_bytes(start[kind] * started + content)
    with pytest.raises(ValueError):
        from_directory(folder)


def test_bad_safetensors_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    good = save({"x": torch.ones(4, 2)})
    for content in (b"", good[:-1], good[:20], good + b"\0", struct.pack("<Q", 2**63) + good[8:], b"\0" * 100):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="not a whole safetensors file"):
            from_directory(file)
    file.write_bytes(save({"x": torch.tensor([[1.0, torch.nan]])}))
    with pytest.raises(ValueError, match="1 entries of x are not finite"):
        from_directory(file)
    file.write_bytes(save({"x": torch.ones(4, 2, dtype=torch.int64)}))
    with pytest.raises(TypeError, match=r"x is torch\.int64"):
        from_directory(file)
    file.write_bytes(save({"x": torch.ones(4, 2), "labels": torch.arange(3)}))
    with pytest.raises(ValueError, match=r"labels are torch\.int64 of shape \(3,\)"):
        from_directory(file)


def test_bad_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(some_bytes(8, 8)).save(tmp_path / "0.png")
    good = (tmp_path / "0.png").read_bytes()
    bad = tmp_path / "1.png"
    for content in (good[:60], good[:16] + struct.pack(">II", 60_000, 60_000) + good[24:], b"<svg/>", b""):
        bad.write_bytes(content)
        with pytest.raises(ValueError, match=r"1\.png (cannot be unpacked|announces 60000 x 60000|is not a PNG)"):
            from_directory(tmp_path)
    for picture, said in (
        (Image.fromarray(some_bytes(8, 9)), r"has shape \(8, 9\)"),
        (Image.fromarray(some_bytes(8, 8, 3)), r"has shape \(3, 8, 8\)"),
        (Image.fromarray(some_bytes(8, 8, 4)), "mode RGBA"),
        (Image.fromarray(some_bytes(8, 8)).convert("P"), "mode P"),
        (Image.fromarray(some_bytes(8, 8).astype(np.uint16)), "mode I;16"),
    ):
        picture.save(bad)
        with pytest.raises(ValueError, match=said):
            from_directory(tmp_path)


def test_png_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 2**15, 2**15, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(2**22))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(ValueError, match="announces 32768 x 32768 pixels"):
        from_directory(tmp_path)


# --- what is not certain


def test_more_than_one_data_set_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    for other, content in (("b.npy", b""), ("b.png", b""), ("t10k-images-idx3-ubyte", b"")):
        (tmp_path / other).write_bytes(content)
        with pytest.raises(ValueError, match=r"more than one data set: a\.npy, "):
            from_directory(tmp_path)
        (tmp_path / other).unlink()
    assert len(from_directory(tmp_path)) == 3


def test_channels_last_are_refused_rather_than_guessed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", some_bytes(2, 8, 8, 3))
    with pytest.raises(ValueError, match=r"channels last\. Save them as \(n, c, h, w\)"):
        from_directory(tmp_path)


def test_what_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="neither a directory nor a file"):
        from_directory(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="holds no files"):
        from_directory(tmp_path)
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(ValueError, match="of no kind that is read"):
        from_directory(tmp_path / "a.csv")
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="Name the directory"):
        from_directory(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(FileNotFoundError, match="neither a directory nor a file"):
        from_directory(tmp_path / "pipe.npy")


@pytest.mark.skipif("GAMEDYN_MNIST" not in os.environ, reason="GAMEDYN_MNIST names no directory with MNIST")
def test_real_mnist_is_read_with_its_labels() -> None:
    data = from_directory(os.environ["GAMEDYN_MNIST"])
    assert data.labels is not None
    assert (data.x.shape, data.image_shape) == ((60_000, 784), (28, 28))
    assert data.labels.bincount().min() > 5_000
