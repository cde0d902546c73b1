"""A batch in parts: in one process by accumulation, and shared by two, is the whole batch for every method.

The two processes are started once, run everything, and return what they found.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

import gamedyn as gd
from gamedyn.neural import R1, GANLoss, GradientPenalty, InstanceNoise, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.gan import GAN
from gamedyn.neural.oracle import Oracle, cut
from gamedyn.neural.sample import Sample
from gamedyn.neural.training.fitting import refuse_uneven

DOUBLE, ROWS = torch.float64, 18
STEPS, FEW = 10, {"competitive": 1}  # which solves a linear system, column by column
LIMIT = timedelta(seconds=60)
ADAM = gd.Adam(beta1=0.5)


def build(**kw: Any) -> GAN:
    g = mlp_generator(2, 2, (4,), activation="tanh", seed=kw.pop("start", 3))
    judges = [mlp_discriminator(2, (4,), activation="tanh", seed=4 + k) for k in range(kw.pop("judges", 1))]
    data = ring(n=64, seed=kw.pop("points", 1))
    return GAN(g, judges, data=data, **{"batch_size": ROWS, "evaluation_size": 30, "dtype": DOUBLE, **kw})


def vector(d: int, seed: int = 0) -> Tensor:
    return torch.randn(d, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "simultaneous": (gd.Method(gd.Simultaneous(0.01), ADAM), {}),
    "alternating": (gd.Method(gd.Alternating(0.01), ADAM), {}),
    "extragradient": (gd.Extragradient(0.1), {}),
    "unrolled": (gd.Method(gd.Simultaneous(0.01), ADAM, gd.unrolled(3, lr=0.1)), {}),
    "unrolled by Adam": (gd.Method(gd.Alternating(0.01), ADAM, gd.unrolled(2, lr=0.1, inner="preconditioned")), {}),
    "consensus": (gd.Method(gd.Simultaneous(0.05), gd.consensus(0.5)), {}),
    "aligned": (gd.Method(gd.Simultaneous(0.05), gd.symplectic_adjustment(1.0, aligned=True)), {}),
    "competitive": (gd.Method(gd.Simultaneous(0.5), gd.competitive(0.1)), {}),
    "variance reduced": (gd.variance_reduced(gd.Simultaneous(0.1), 4), {}),
    "R1": (gd.Alternating(0.1), {"penalty": R1(1.0)}),
    "gradient penalty": (gd.Method(gd.Simultaneous(0.05), gd.consensus(0.1)), {"penalty": GradientPenalty(1.0)}),
    "instance noise": (gd.Alternating(0.1), {"instance_noise": InstanceNoise(0.3, vanish=8)}),
    "two judges": (gd.Alternating(0.1), {"judges": 2, "loss": "wasserstein"}),
}
OTHERS = {
    "independent": {"sampling": "independent"},
    "in parts": {"accumulate": 3},
    "two parts of five rows": {"batch_size": 5, "accumulate": 2},
}


def orbit(name: str, **settings: Any) -> Tensor:
    """The iterate after some steps."""
    method, kw = CASES[name]
    gan = build(**kw)
    oracle = gan.oracle(seed=7, **settings)
    T = gd.StepMap(method, gan, oracle=oracle)
    with torch.no_grad():
        s = T.start(gan.initial())
        for k in range(FEW.get(name, STEPS)):
            s = T(s, k)
    return T.point(s)


def products(F: Any, d: int) -> dict[str, Tensor]:
    """What a field gives at a point, and what autograd makes of it."""
    z, u, w = (vector(d, seed) for seed in range(3))
    half = lambda y: (F(y) ** 2).sum() / 2  # noqa: E731
    found = {"v": F(z), "part": F.part(1, z), "grad": F.grad(0, z), "hvp": F.hvp(1, z, u)}
    found |= {"jvp": F.jvp(z, u), "vjp": F.vjp(z, u), "cross_jvp": F.cross_jvp(z, u), "skew": F.skew(z, u)}
    found["cross_vjp"] = F.cross_vjp(z, u)
    found["derivative"] = F.derivative(lambda y: F.vjp(y, F(y)), z, u)
    found["pullback"] = F.pullback(lambda y: F.jvp(y, u * y), z, w)
    found["twice"] = torch.autograd.functional.hvp(half, z, u)[1]
    found["costs"] = torch.stack(F.first_costs)
    return {name: t.detach() for name, t in found.items()}


def messages(gan: GAN) -> dict[str, list[int]]:
    """The numbers in every message of a step."""
    sizes: dict[str, list[int]] = {}
    for name in ("simultaneous", "alternating", "extragradient", "consensus", "unrolled"):
        oracle = gan.oracle(seed=7, group="world")
        ranks, sizes[name] = oracle.group, []
        ranks.sum = lambda u, own=sizes[name], send=ranks.sum: own.append(len(u)) or send(u)
        T = gd.StepMap(CASES[name][0], gan, oracle=oracle)
        with torch.no_grad():
            s = T.start(gan.initial())
            sizes[name].clear()
            T(s, 0)
    return sizes


def refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except (ValueError, RuntimeError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


def checks(rank: int) -> dict[str, Any]:
    """What every rank finds."""
    found: dict[str, Any] = {name: orbit(name, group="world") for name in CASES}
    found |= {name: orbit("extragradient", group="world", **kw) for name, kw in OTHERS.items()}
    gan = build()
    oracle = gan.oracle(seed=7, group="world")
    found["field"] = products(oracle.draw(2), gan.dim)
    found["mean"] = products(oracle.mean_field(), gan.dim)
    shown = oracle.batch_field(0).with_old(vector(16).reshape(8, 2))
    found["old"] = shown(gan.initial())
    found["writes"], found["copy"] = oracle.writes, Oracle(gan, ROWS, 7, group=oracle.group).draw(2)(gan.initial())
    found["messages"] = messages(gan)
    single = build(dtype=torch.float32)
    found["float32"] = single.oracle(seed=7, group=dist.group.WORLD).draw(2)(single.initial())
    refused = {"other z": {"start": 3 + rank}, "other data": {"points": 1 + rank}}
    refused |= {"other loss": {"loss": ("hinge", "saturating")[rank]}, "other players": {"judges": 1 + rank}}
    refused |= {"other noise": {"penalty": (R1(1.0), GradientPenalty(1.0))[rank]}}
    found |= {name: refusal(lambda kw=kw: build(**kw).oracle(group="world")) for name, kw in refused.items()}
    found["other seed"] = refusal(lambda: gan.oracle(seed=rank, group="world"))
    found["too many parts"] = refusal(lambda: gan.oracle(accumulate=9 + rank, group="world"))
    F, z = oracle.draw(3), gan.initial()
    found["drifted"] = refusal(lambda: F(z + 1e-15 * rank))
    found["other call"] = refusal(lambda: F.vjp(z, z) if rank else F.jvp(z, z))
    found["uneven old"] = refusal(lambda: oracle.batch_field(0).with_old(vector(6).reshape(3, 2)))
    found["still in step"] = F(z)
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


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_walk_as_one_with_the_double_batch(ranks: list[dict[str, Any]], name: str) -> None:
    assert torch.equal(ranks[0][name], ranks[1][name])
    close(ranks[0][name], orbit(name))
    assert float((ranks[0][name] - build(**CASES[name][1]).initial()).norm()) > 1e-2


@pytest.mark.parametrize("name", OTHERS)
def test_settings_of_the_oracle_hold_in_two_processes(ranks: list[dict[str, Any]], name: str) -> None:
    assert torch.equal(ranks[0][name], ranks[1][name])
    close(ranks[0][name], orbit("extragradient", **{k: v for k, v in OTHERS[name].items() if k != "accumulate"}))


@pytest.mark.parametrize("name", [name for name in CASES if name not in FEW])
def test_accumulated_parts_walk_as_the_whole_batch(name: str) -> None:
    close(orbit(name, accumulate=4), orbit(name))


def test_every_operation_of_a_shared_field_is_that_of_the_batch(ranks: list[dict[str, Any]]) -> None:
    gan = build()
    expected = products(gan.oracle(seed=7).draw(2), gan.dim)
    mean = products(gan.field(), gan.dim)
    for name in expected:
        assert torch.equal(ranks[0]["field"][name], ranks[1]["field"][name]), name
        close(ranks[1]["field"][name], expected[name])
        close(ranks[1]["mean"][name], mean[name])


def test_every_operation_of_accumulated_parts_is_that_of_the_batch() -> None:
    gan = build()
    expected = products(gan.oracle(seed=7).draw(2), gan.dim)
    found = products(gan.oracle(seed=7, accumulate=5).draw(2), gan.dim)
    assert expected.keys() == found.keys()
    for name in expected:
        close(found[name], expected[name])


def test_an_evaluation_is_one_message_of_the_field_the_costs_and_two_numbers(ranks: list[dict[str, Any]]) -> None:
    gan = build()
    more, d, (g, j) = len(gan.players) + 2, gan.dim, (p.size for p in gan.players)
    assert (
        ranks[0]["messages"]
        == ranks[1]["messages"]
        == {
            "simultaneous": [d + more],
            "alternating": [g + more, j + more],
            "extragradient": [d + more] * 2,
            "consensus": [d + more] * 2,
            "unrolled": [j + more] * 3 + [d + more] + [d] * 4 + [j + more],
        }
    )


def test_float32_fields_are_shared_in_float32(ranks: list[dict[str, Any]]) -> None:
    gan = build(dtype=torch.float32)
    assert torch.equal(ranks[0]["float32"], ranks[1]["float32"])
    assert ranks[0]["float32"].dtype == torch.float32
    torch.testing.assert_close(ranks[0]["float32"], gan.oracle(seed=7).draw(2)(gan.initial()), rtol=1e-5, atol=1e-6)


def test_old_samples_are_shared_out_as_the_rows_are(ranks: list[dict[str, Any]]) -> None:
    gan, old = build(), vector(16).reshape(8, 2)
    z, sample = gan.initial(), gan.oracle(seed=7).batch_field(0).sample
    halves = [(sample.rows(slice(0, 9)), old[:4]), (sample.rows(slice(9, 18)), old[4:])]
    expected = sum(type(gan.field())(gan, rows).with_old(part)(z) / 2 for rows, part in halves)
    close(ranks[0]["old"], expected)
    close(gan.oracle(seed=7, accumulate=2).batch_field(0).with_old(old)(z), expected)
    assert "3 old samples do not divide" in ranks[0]["uneven old"]
    assert "3 old samples do not divide" in ranks[1]["uneven old"]


def test_the_first_rank_writes_and_a_copied_oracle_stays_in_the_group(ranks: list[dict[str, Any]]) -> None:
    gan = build()
    assert [found["writes"] for found in ranks] == [True, False]
    assert gan.oracle().writes
    close(ranks[1]["copy"], gan.oracle(seed=7).draw(2)(gan.initial()))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("other z", "z on rank 1 is not that of rank 0"),
        ("other data", "the data, or what is drawn, on rank 1"),
        ("other loss", "v at the same z and rows on rank 1 is not that of rank 0"),
        ("other players", "the number of players on rank 1"),
        ("other noise", "what the penalties and the instance noise draw on rank 1"),
        ("other seed", "the oracle's .*seed.* on rank 1"),
        ("drifted", "out of step.*at different z"),
        ("other call", "out of step: they asked for different things"),
    ],
)
def test_ranks_that_differ_are_refused_on_all_of_them(ranks: list[dict[str, Any]], what: str, message: str) -> None:
    for found in ranks:
        assert re.search(message, found[what]), found[what]


def test_a_refusal_of_one_rank_is_raised_on_all_and_leaves_them_in_step(ranks: list[dict[str, Any]]) -> None:
    gan = build()
    assert ranks[0]["too many parts"].startswith("RuntimeError: rank 1 refused its part")
    assert ranks[1]["too many parts"].startswith("ValueError: accumulate is 10; with 18 rows on 2 processes")
    for found in ranks:
        close(found["still in step"], gan.oracle(seed=7).draw(3)(gan.initial()))


def mean_field_of_rows(real: Tensor, fake: Tensor) -> Tensor:
    return (real.mean() - fake.mean()) ** 2


class Dropping(nn.Sequential):
    in_features = 2


@pytest.mark.parametrize(
    ("gan", "message"),
    [
        (lambda: build(loss="relativistic_average"), "rows of a batch meet"),
        (
            lambda: build(loss=GANLoss("meet", lambda f: -f.mean(), mean_field_of_rows, optimum="none")),
            "rows of a batch meet",
        ),
        (lambda: build(judges=2, combine="hardest"), "combine='hardest' weighs"),
        (
            lambda: GAN(
                Dropping(nn.Linear(2, 8), nn.Dropout(), nn.Linear(8, 2)), mlp_discriminator(2, (4,)), data=ring(n=64)
            ),
            "dropout at generator.1",
        ),
        (
            lambda: GAN(
                Dropping(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)),
                mlp_discriminator(2, (4,)),
                data=ring(n=64),
            ),
            "layers that compare rows: generator.1",
        ),
    ],
)
def test_rows_that_meet_cannot_be_cut_into_parts(gan: Callable[[], GAN], message: str) -> None:
    game = gan()
    game.oracle(8)
    with pytest.raises(ValueError, match=rf"cut a batch into parts.*{message}"):
        game.oracle(8, accumulate=2)


def test_counts_of_parts_are_checked() -> None:
    for m in (0, 19):
        with pytest.raises(ValueError, match=f"accumulate is {m}; with 18 rows on 1 process it must be"):
            build().oracle(accumulate=m)
    with pytest.raises(TypeError, match="must be an int"):
        build().oracle(accumulate=2.0)
    sizes = [len(field.sample) for field in build().oracle(accumulate=4).batch_field(0).fields]
    assert sizes == [4, 5, 5, 4]


def test_old_samples_divide_where_the_rows_do() -> None:
    from types import SimpleNamespace

    def cuts(n: int, m: int, processes: int, parts: int) -> bool:
        sample = Sample(torch.zeros(n, 1), torch.zeros(n, 1), (), old=torch.zeros(m, 1))
        try:
            return all(len(cut(share, parts)) == parts for share in cut(sample, processes))
        except ValueError:
            return False

    for n in (12, 13, 16):
        for processes, parts in ((1, 2), (1, 5), (2, 1), (3, 2), (4, 3)):
            oracle = SimpleNamespace(group=SimpleNamespace(count=processes), accumulate=parts)
            good = [m for m in range(1, n) if cuts(n, m, processes, parts)]
            for m in range(1, n):
                if m in good:
                    refuse_uneven(m, n, oracle)
                    continue
                with pytest.raises(ValueError, match=f"processes = {processes}") as caught:
                    refuse_uneven(m, n, oracle)
                near = "use a share of" if good else "batch size with common divisors"
                assert near in str(caught.value)


def test_without_a_process_group_the_way_to_one_is_said() -> None:
    with pytest.raises(RuntimeError, match=r"torchrun.*init_process_group.*group=None"):
        build().oracle(group="world")


@pytest.mark.slow
def test_the_script_of_the_documentation_trains_as_one_process_does(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "data-parallel.md").read_text("utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "script.py").write_text(script, "utf-8")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": ""}
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    started = [
        subprocess.Popen(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    networks = mlp_generator(4, 2, (8,), seed=1), mlp_discriminator(2, (8,), seed=2)
    gan = GAN(*networks, data=ring(n=2000), penalty=R1(0.1), batch_size=64)
    result = train(gan, gd.Method(gd.Alternating(lr=1e-3), ADAM), steps=100, seed=3)
    assert outputs == [f"finished {[round(cost, 4) for cost in result.costs[-1]]}\n", ""]
    assert (tmp_path / "run" / "log.jsonl").exists()
