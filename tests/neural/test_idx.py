"""The IDX reader: faithful on good files, and clear and bounded on bad ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import struct
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gamedyn.neural.data.idx import IMAGES_MAGIC, LABELS_MAGIC, MNIST_MD5, load_mnist, read_idx


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def some_images(n: int = 5, side: int = 28) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side), dtype=np.uint8)


def write_pair(folder: Path, images: np.ndarray, labels: np.ndarray, part: str = "train", packed: bool = False) -> None:
    for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        content = idx_bytes(array)
        file = folder / f"{part}-{name}{'.gz' if packed else ''}"
        file.write_bytes(gzip.compress(content) if packed else content)


class allocates_below:
    """The block allocates less than `limit` bytes at its peak."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __enter__(self) -> None:
        tracemalloc.start()

    def __exit__(self, kind: object, *rest: object) -> None:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if kind is None:
            assert peak < self.limit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data-idx"


# --- good files


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 5, 3), (2, 1, 3, 4)])
@pytest.mark.parametrize("packed", [False, True])
def test_what_was_written_is_read_back(file: Path, shape: tuple[int, ...], packed: bool) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    content = idx_bytes(array)
    file.write_bytes(gzip.compress(content) if packed else content)
    read = read_idx(file, md5=hashlib.md5(content).hexdigest().upper())
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)
    read[...] = 0  # the array belongs to the caller


def test_content_decides_between_plain_and_gzip_not_the_name(tmp_path: Path) -> None:
    labels = np.array([3, 1, 4])
    (tmp_path / "plain.gz").write_bytes(idx_bytes(labels))
    (tmp_path / "packed").write_bytes(gzip.compress(idx_bytes(labels)))
    np.testing.assert_array_equal(read_idx(tmp_path / "plain.gz"), labels)
    np.testing.assert_array_equal(read_idx(tmp_path / "packed"), labels)


def test_payload_longer_than_one_chunk_is_read_whole(file: Path) -> None:
    array = np.random.default_rng(2).integers(0, 256, (3, 1000, 1000), dtype=np.uint8)
    file.write_bytes(idx_bytes(array))
    np.testing.assert_array_equal(read_idx(file), array)


# --- hostile and damaged files


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kept", [0, 3, 4, 10, 15, 16, 16 + 28 * 28 * 5 - 1])
def test_truncated_file_is_refused_at_every_cut(file: Path, kept: int, packed: bool) -> None:
    content = idx_bytes(some_images())[:kept]
    file.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match="truncated"):
        read_idx(file)


def test_truncation_says_what_was_expected_and_found(file: Path) -> None:
    file.write_bytes(idx_bytes(np.arange(10))[:-3])
    with pytest.raises(ValueError, match="10 needs 18 bytes with the header, the file holds 15"):
        read_idx(file)
    file.write_bytes(gzip.compress(idx_bytes(np.arange(10))[:-3]))
    with pytest.raises(ValueError, match="10 needs 18 bytes with the header, found 15"):
        read_idx(file)


@pytest.mark.parametrize("packed", [False, True])
def test_over_long_file_is_refused(file: Path, packed: bool) -> None:
    content = idx_bytes(np.arange(10)) + b"\0"
    file.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(ValueError, match="too long: 10 needs 18 bytes"):
        read_idx(file)


def test_other_magic_number_is_refused(file: Path) -> None:
    file.write_bytes(idx_bytes(np.arange(10)))
    with pytest.raises(ValueError, match="magic number 2049, expected 2051"):
        read_idx(file, magic=IMAGES_MAGIC)
    assert len(read_idx(file, magic=LABELS_MAGIC)) == 10


@pytest.mark.parametrize(
    "start",
    [
        struct.pack(">I", 0x00000D01),  # floats
        struct.pack("<I", 2049),  # the other byte order
        struct.pack(">I", 0x01000801),  # the first two bytes must be 0
        struct.pack(">I", 0x00000800),  # no dimension
        struct.pack(">I", 0x000008FF),  # 255 dimensions
        b"\x89PNG",
        b"<htm",
    ],
)
def test_what_is_not_idx_of_bytes_is_refused(file: Path, start: bytes) -> None:
    file.write_bytes(start + bytes(2000))
    with pytest.raises(ValueError, match="not an IDX file of unsigned bytes"):
        read_idx(file)


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (5, 0, 28)])
def test_size_of_zero_is_refused(file: Path, shape: tuple[int, ...]) -> None:
    file.write_bytes(idx_bytes(np.zeros(shape)))
    with pytest.raises(ValueError, match="sizes of at least 1"):
        read_idx(file)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("sizes", [(2**32 - 1,) * 3, (2**16, 2**16, 1), (2**31, 2**31, 4)])
def test_header_sizes_that_would_overflow_are_refused_without_allocating(
    file: Path, sizes: tuple[int, ...], packed: bool
) -> None:
    content = struct.pack(">4I", IMAGES_MAGIC, *sizes) + bytes(100)  # 2**31 * 2**31 * 4 is 0 in 64 bits
    file.write_bytes(gzip.compress(content) if packed else content)
    with allocates_below(2**20), pytest.raises(ValueError, match="above the limit"):
        read_idx(file)


def test_size_that_a_writer_meant_as_negative_is_refused(file: Path) -> None:
    file.write_bytes(struct.pack(">Ii", LABELS_MAGIC, -1) + bytes(100))
    with allocates_below(2**20), pytest.raises(ValueError, match="announces 4294967295"):
        read_idx(file)


def test_bomb_of_many_gzip_members_is_unpacked_only_as_far_as_its_header_says(file: Path) -> None:
    file.write_bytes(gzip.compress(struct.pack(">II", LABELS_MAGIC, 10)) + gzip.compress(bytes(2**20)) * 64)
    with allocates_below(2**20), pytest.raises(ValueError, match="too long"):
        read_idx(file)


@pytest.mark.parametrize("packed", [False, True])
def test_header_below_the_limit_but_beyond_the_file_is_refused_without_allocating(file: Path, packed: bool) -> None:
    content = struct.pack(">II", LABELS_MAGIC, 2**30) + bytes(100)
    file.write_bytes(gzip.compress(content) if packed else content)
    with allocates_below(2**20), pytest.raises(ValueError, match=f"truncated: {2**30} needs {2**30 + 8} bytes"):
        read_idx(file)


def test_gzip_bomb_is_unpacked_only_as_far_as_its_header_says(file: Path) -> None:
    file.write_bytes(gzip.compress(struct.pack(">II", LABELS_MAGIC, 10) + bytes(2**26)))
    assert file.stat().st_size < 2**17
    with allocates_below(2**20), pytest.raises(ValueError, match="too long"):
        read_idx(file)


def test_gzip_bomb_with_an_honest_header_meets_the_limit(file: Path) -> None:
    file.write_bytes(gzip.compress(struct.pack(">II", LABELS_MAGIC, 2**26) + bytes(2**26)))
    with allocates_below(2**20), pytest.raises(ValueError, match="above the limit of 1000000"):
        read_idx(file, max_elements=1_000_000)


def test_broken_gzip_is_refused(file: Path) -> None:
    good = gzip.compress(idx_bytes(some_images()))
    broken = {
        "cut": good[:-9],
        "no trailer": good[:-8],
        "checksum": good[:-5] + bytes([good[-5] ^ 1]) + good[-4:],
        "garbage after": good + b"garbage",
        "garbage": b"\x1f\x8b" + bytes(range(200)),
        "two bytes": b"\x1f\x8b",
        "damaged inside": good[:500] + bytes(50) + good[550:],
    }
    for what, content in broken.items():
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot be unpacked|truncated"):
            pytest.fail(f"{what} was read: {read_idx(file).shape}")


def test_pickle_is_refused_and_not_executed(file: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    for content in (pickle.dumps(Trap()), gzip.compress(pickle.dumps(Trap()))):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="not an IDX file"):
            read_idx(file)
    assert not (tmp_path / "executed").exists()


def test_other_md5_is_refused(file: Path) -> None:
    file.write_bytes(idx_bytes(np.arange(10)))
    with pytest.raises(ValueError, match=f"expected {'0' * 32}"):
        read_idx(file, md5="0" * 32)


def test_what_is_not_a_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer for ever
    for name in ("absent", "pipe", "."):
        with pytest.raises(FileNotFoundError, match="is not a file"):
            read_idx(tmp_path / name)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=64), st.sampled_from([b"", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"\0\0\x08\x01"]))
def test_any_bytes_are_read_faithfully_or_refused_by_value_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any-bytes"
    file.write_bytes(start + content)
    try:
        array = read_idx(file)
    except ValueError:
        return
    assert idx_bytes(array) == start + content


# --- MNIST's layout


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("train", "part"), [(True, "train"), (False, "t10k")])
def test_a_pair_of_files_is_found_and_read(tmp_path: Path, packed: bool, train: bool, part: str) -> None:
    images, labels = some_images(), np.array([0, 9, 3, 3, 1])
    write_pair(tmp_path, images, labels, part, packed)
    found = load_mnist(tmp_path, train, checksum="ignore")
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)


def test_plain_file_is_preferred_to_the_packed_one(tmp_path: Path) -> None:
    write_pair(tmp_path, some_images(), np.zeros(5), packed=False)
    write_pair(tmp_path, some_images(3), np.ones(3), packed=True)
    assert len(load_mnist(tmp_path, checksum="ignore")[0]) == 5


def test_missing_directory_or_file_names_all_four_files(tmp_path: Path) -> None:
    write_pair(tmp_path, some_images(), np.zeros(5))
    for folder, train in ((tmp_path / "absent", True), (tmp_path, False)):
        with pytest.raises(FileNotFoundError) as error:
            load_mnist(folder, train)
        assert all(name in str(error.value) for name in MNIST_MD5)


def test_look_alike_warns_raises_or_passes_as_asked(tmp_path: Path) -> None:
    write_pair(tmp_path, some_images(), np.zeros(5))
    with pytest.warns(UserWarning, match="not the MNIST original") as caught:
        load_mnist(tmp_path)
    assert len(caught) == 2
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is not the MNIST original"):
        load_mnist(tmp_path, checksum="error")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_mnist(tmp_path, checksum="ignore")
    with pytest.raises(ValueError, match="use 'warn', 'error' or 'ignore'"):
        load_mnist(tmp_path, checksum="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="use 'MNIST' or 'Fashion-MNIST'"):
        load_mnist(tmp_path, original="KMNIST")  # type: ignore[arg-type]


def test_pairs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, some_images(5), np.zeros(4))
    with pytest.raises(ValueError, match="5 images but 4 labels"):
        load_mnist(tmp_path, checksum="ignore")
    write_pair(tmp_path, some_images(5), np.array([0, 1, 2, 10, 3]))
    with pytest.raises(ValueError, match="label 10 at index 3"):
        load_mnist(tmp_path, checksum="ignore")
    write_pair(tmp_path, some_images(5, side=32), np.zeros(5))
    with pytest.raises(ValueError, match="32 x 32, expected 28 x 28"):
        load_mnist(tmp_path, checksum="ignore")


def test_swapped_files_are_refused_by_their_magic_numbers(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros(5)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(some_images()))
    with pytest.raises(ValueError, match="magic number 2049, expected 2051"):
        load_mnist(tmp_path, checksum="ignore")


@pytest.mark.skipif("GAMEDYN_MNIST" not in os.environ, reason="GAMEDYN_MNIST names no directory with MNIST")
@pytest.mark.parametrize(("train", "n"), [(True, 60_000), (False, 10_000)])
def test_real_mnist_is_the_original(train: bool, n: int) -> None:
    images, labels = load_mnist(os.environ["GAMEDYN_MNIST"], train, checksum="error")
    assert images.shape == (n, 28, 28)
    assert labels.shape == (n,)
    assert set(labels.tolist()) == set(range(10))
