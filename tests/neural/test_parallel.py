"""Several processes: every rank holds the Jacobian of all rows, in step, and no failure leaves the others waiting.

The processes are started once, run all checks, and return what they found.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from gamedyn.neural.analysis.full_data import full_data_jacobian
from gamedyn.neural.analysis.parallel import parallel_jacobian
from gamedyn.neural.data import from_tensor, ring
from gamedyn.neural.gan import GAN
from gamedyn.neural.losses import GANLoss
from gamedyn.neural.networks import mlp_discriminator, mlp_generator

DOUBLE = torch.float64
ROWS, CUT = 45, 31  # odd, so that the shares are uneven
LIMIT = timedelta(seconds=60)
STEEP = GANLoss(
    "steep",
    lambda fake: -fake.mean(),
    lambda real, fake: fake.mean() - real.mean() * (np.inf if len(real) == ROWS - CUT else 1),
    optimum="none; infinite on the rows of the second rank",
)


def tiny(x: torch.Tensor | None = None, *, width: int = 6, seed: int = 3, **kw: Any) -> GAN:
    data = ring(n=ROWS, seed=1) if x is None else from_tensor(x, name="ring")
    g = mlp_generator(3, 2, (6,), activation="tanh", seed=seed)
    d = mlp_discriminator(2, (width,), activation="tanh", seed=4)
    return GAN(g, d, data=data, batch_size=1, **{"dtype": DOUBLE, **kw})


def all_latents() -> torch.Tensor:
    return tiny(evaluation_size=ROWS).evaluation_sample.latents


def vector(d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(d, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except (ValueError, RuntimeError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


def checks(rank: int) -> dict[str, Any]:
    """What every rank finds."""
    gan, found = tiny(), {}
    z, u = gan.initial(), vector(gan.dim)
    J = parallel_jacobian(gan, z, batch_size=8)
    found["dense"], found["jvp"], found["vjp"] = J.to_dense(), J @ u, J.T @ u
    found["Krylov"] = np.asarray(J.eigenvalues(6, basis=30))
    found["kept"] = parallel_jacobian(gan, z, batch_size=8, keep="all") @ u
    single = tiny(dtype=torch.float32)
    found["float32"] = parallel_jacobian(single, batch_size=8) @ u.float()
    mine = slice(None, CUT) if rank == 0 else slice(CUT, None)
    uneven = tiny(gan.data.x[mine])
    found["own"] = parallel_jacobian(uneven, z, rows="own", latents=all_latents()[mine]) @ u
    found["one row"] = parallel_jacobian(tiny(gan.data.x[:1]), z) @ u
    found["other z"] = refusal(lambda: parallel_jacobian(gan, z + rank))
    found["other networks"] = refusal(lambda: parallel_jacobian(tiny(width=6 + rank), batch_size=8))
    found["other loss"] = refusal(
        lambda: parallel_jacobian(tiny(loss="saturating" if rank else "non_saturating"), z, batch_size=8)
    )
    found["bad on one"] = refusal(lambda: parallel_jacobian(gan, z[: len(z) - rank]))
    found["not finite on one"] = refusal(lambda: parallel_jacobian(tiny(gan.data.x[mine], loss=STEEP), rows="own"))
    found["other vector"] = refusal(lambda: J @ (u + rank))
    found["other product"] = refusal(lambda: J.T @ u if rank else J @ u)
    found["still in step"] = J @ u
    return found


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=LIMIT)
    torch.save(checks(rank), f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = str(tmp_path_factory.mktemp("ranks"))
    mp.spawn(work, (folder,), nprocs=2)
    return [torch.load(f"{folder}/{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.fixture(scope="module")
def whole() -> Any:
    gan = tiny()
    return full_data_jacobian(gan, batch_size=8)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1, timeout=LIMIT)
    yield
    dist.destroy_process_group()


def test_products_and_matrix_are_those_of_one_process(ranks: list[dict[str, Any]], whole: Any) -> None:
    u = vector(whole.dim)
    for found in ranks:
        torch.testing.assert_close(found["dense"], whole.to_dense(), rtol=0, atol=1e-12)
        torch.testing.assert_close(found["jvp"], whole @ u, rtol=0, atol=1e-12)
        torch.testing.assert_close(found["vjp"], whole.T @ u, rtol=0, atol=1e-12)
        torch.testing.assert_close(found["kept"], whole @ u, rtol=0, atol=1e-12)
        torch.testing.assert_close(found["float32"].double(), whole @ u, rtol=1e-4, atol=1e-5)


def test_krylov_iterations_agree_with_one_process_and_between_the_ranks(
    ranks: list[dict[str, Any]], whole: Any
) -> None:
    assert np.array_equal(ranks[0]["Krylov"], ranks[1]["Krylov"])
    np.testing.assert_allclose(ranks[0]["Krylov"], np.asarray(whole.eigenvalues(6)), rtol=1e-9)


@pytest.mark.parametrize("what", ["dense", "jvp", "vjp", "kept", "float32", "own", "one row"])
def test_results_are_the_same_bit_for_bit_on_all_ranks(ranks: list[dict[str, Any]], what: str) -> None:
    assert torch.equal(ranks[0][what], ranks[1][what])


def test_uneven_rows_of_their_own_are_weighted_by_their_number(ranks: list[dict[str, Any]], whole: Any) -> None:
    torch.testing.assert_close(ranks[0]["own"], whole @ vector(whole.dim), rtol=0, atol=1e-12)


def test_a_rank_without_rows_takes_part(ranks: list[dict[str, Any]]) -> None:
    gan = tiny(tiny().data.x[:1])
    expected = full_data_jacobian(gan) @ vector(gan.dim)
    torch.testing.assert_close(ranks[1]["one row"], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("other z", "z on rank 1 is not that of rank 0"),
        ("other networks", r"the GANs differ.*build the same GAN"),
        ("other loss", "v at the same z and rows on rank 1 is not that of rank 0"),
        ("other vector", "out of step: rank 0 jvp.*rank 1 jvp"),
        ("other product", "out of step: rank 0 jvp.*rank 1 vjp"),
    ],
)
def test_differences_between_ranks_are_refused_on_all_of_them(
    ranks: list[dict[str, Any]], what: str, message: str
) -> None:
    for found in ranks:
        assert re.search(message, found[what]), found[what]


def test_a_failure_of_one_rank_is_raised_on_all_of_them(ranks: list[dict[str, Any]], whole: Any) -> None:
    assert ranks[0]["bad on one"].startswith("RuntimeError: rank 1 refused its part")
    assert ranks[1]["bad on one"].startswith("ValueError: z has shape")
    assert ranks[0]["not finite on one"].startswith("RuntimeError: rank 1 refused its part")
    assert ranks[1]["not finite on one"].startswith("ValueError: v is not finite")
    for found in ranks:
        torch.testing.assert_close(found["still in step"], whole @ vector(whole.dim), rtol=0, atol=1e-12)


def test_one_process_alone_gives_the_full_data_jacobian(alone: None, whole: Any) -> None:
    J, u = parallel_jacobian(tiny(), batch_size=8), vector(whole.dim)
    torch.testing.assert_close(J @ u, whole @ u, rtol=0, atol=1e-14)
    torch.testing.assert_close(J.to_dense(), whole.to_dense(), rtol=0, atol=1e-14)
    with pytest.raises(ValueError, match="'some' is not one of 'split', 'own'"):
        parallel_jacobian(tiny(), rows="some")


def test_without_a_process_group_the_way_to_one_is_said() -> None:
    with pytest.raises(RuntimeError, match=r"torchrun.*init_process_group.*full_data_jacobian"):
        parallel_jacobian(tiny())


@pytest.mark.slow
def test_the_script_of_the_documentation_prints_the_eigenvalues_of_one_process(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "spectra-parallel.md").read_text("utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "script.py").write_text(script, "utf-8")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    started = [
        subprocess.Popen(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env={**os.environ, **common, "RANK": str(rank), "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    g = mlp_generator(4, 2, (8,), activation="tanh", seed=1)
    d = mlp_discriminator(2, (8,), activation="tanh", seed=2)
    gan = GAN(g, d, data=ring(n=2000))
    values = np.asarray(full_data_jacobian(gan, gan.initial().double()).eigenvalues(4))
    assert outputs[0].splitlines() == [f"{v.real:.6f} {v.imag:+.6f}i" for v in values]
    assert outputs[1] == ""
