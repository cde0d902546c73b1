"""A monitor measures what the package measures elsewhere, within its budget, and leaves the training alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import gamedyn as gd
from gamedyn.games.field import DerivedField
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.analysis.measurement import MonitorRecord
from gamedyn.neural.analysis.monitor import Monitor
from gamedyn.neural.analysis.monitor_file import read_monitor

DOUBLE = torch.float64
SPIRAL = gd.zero_sum("x**2/2 + 2*x*y - y**2/2", min="x", max="y")  # J = [[1, 2], [-2, 1]]


def small(dtype: torch.dtype = DOUBLE, width: int = 8) -> GAN:
    g = mlp_generator(3, 2, (width,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (width,), activation="tanh", seed=4)
    return GAN(g, d, data=ring(n=100, seed=1), batch_size=16, evaluation_size=32, dtype=dtype)


def large() -> GAN:
    """Of 195 parameters: leading eigenvalues come from products."""
    return small(width=16)


def linear(matrix: np.ndarray) -> Any:
    d = len(matrix)
    A = torch.as_tensor(matrix, dtype=DOUBLE)
    half = d // 2
    return gd.callable_game(
        [
            lambda z: z[:half] @ A[:half, half:] @ z[half:] + z[:half] @ A[:half, :half] @ z[:half] / 2,
            lambda z: z[half:] @ A[half:, :half] @ z[:half] + z[half:] @ A[half:, half:] @ z[half:] / 2,
        ],
        sizes=[half, d - half],
    )


# --- what is measured


def test_a_look_at_a_spiral_gives_its_closed_forms() -> None:
    record = Monitor(every=1)(0, SPIRAL, [3.0, 4.0])
    assert record is not None
    np.testing.assert_allclose(record.eigenvalues, [1 + 2j, 1 - 2j], rtol=1e-14)
    assert record.antisymmetric_share == pytest.approx(2 / 5**0.5, rel=1e-14)
    assert record.imaginary_share == pytest.approx(2 / 5**0.5, rel=1e-14)
    assert record.angle == pytest.approx(math.atan(2), rel=1e-14)
    assert record.field_norms == pytest.approx({"x": 11.0, "y": 2.0}, rel=1e-14)
    assert record.missing == 0
    assert math.isnan(record.path_cosine)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (1.0, 0.0), (1.0, 2.0), (-1.0, 0.5)])
def test_the_path_cosine_of_one_descent_step_on_a_spiral(a: float, b: float) -> None:
    # J = aI + bR, R a quarter turn: v' = (I - ηJ)v, so cos = (1 - ηa)/√((1 - ηa)² + (ηb)²)
    lr, game = 0.1, gd.zero_sum(f"{a}*x**2/2 + {b}*x*y - {a}*y**2/2", min="x", max="y")
    monitor, T = Monitor(every=1, share=None), gd.StepMap(gd.Simultaneous(lr=lr), game)
    z = T.start([1.0, 2.0])
    for step in range(3):
        monitor(step, game, z)
        z = T(z)
    expected = (1 - lr * a) / math.hypot(1 - lr * a, lr * b)
    assert [r.path_cosine for r in monitor.records[1:]] == pytest.approx([expected] * 2, rel=1e-12)


def test_the_path_cosine_is_missing_where_nothing_moved_and_where_v_is_zero() -> None:
    monitor = Monitor(every=1, share=None)
    for step, z in enumerate([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]):
        monitor(step, SPIRAL, z)
    assert all(math.isnan(r.path_cosine) for r in monitor.records)


def test_leading_eigenvalues_from_products_are_those_of_the_matrix() -> None:
    gan = large()
    assert gan.dim > 64
    z = gan.initial()
    monitor = Monitor(every=1, k=5, share=None, tolerance=1e-12)
    for step in range(3):
        record = monitor(step, gan, z + 1e-3 * step)
        dense = np.linalg.eigvals(gd.jacobian(gan, z + 1e-3 * step).to_dense().numpy())
        order = np.argsort(-np.abs(dense), kind="stable")[: len(record.eigenvalues)]
        np.testing.assert_allclose(np.sort_complex(record.eigenvalues), np.sort_complex(dense[order]), rtol=1e-8)
        assert record.missing == 0
        assert record.backward_errors.max() <= 1e-11
        assert 0 < record.products < gan.dim


@pytest.mark.parametrize("which", ["LM", "LR", "SR", "LI"])
def test_every_order_of_eigenvalues_is_followed(which: str) -> None:
    rng = np.random.default_rng(0)
    d = 80
    matrix = rng.standard_normal((d, d)) / d**0.5
    matrix[: d // 2, : d // 2] = (matrix + matrix.T)[: d // 2, : d // 2]
    matrix[d // 2 :, d // 2 :] = (matrix + matrix.T)[d // 2 :, d // 2 :]
    record = Monitor(every=1, k=4, which=which, tolerance=1e-10)(0, linear(matrix), torch.ones(d, dtype=DOUBLE))
    dense = np.linalg.eigvals(matrix)
    key = {"LM": np.abs, "LR": np.real, "SR": lambda v: -v.real, "LI": lambda v: np.abs(v.imag)}[which]
    np.testing.assert_allclose(np.sort(key(record.eigenvalues))[::-1][:4], np.sort(key(dense))[::-1][:4], atol=1e-8)


def test_the_antisymmetric_share_by_probes_is_near_the_exact_one() -> None:
    gan = large()
    J = gd.jacobian(gan, gan.initial()).to_dense().numpy()
    exact = np.linalg.norm(J - J.T) / 2 / np.linalg.norm(J)
    record = Monitor(every=1, probes=200)(0, gan, gan.initial())
    assert record.antisymmetric_share == pytest.approx(exact, abs=0.1)
    assert 0.05 < exact < 0.95


def test_rotation_and_path_are_left_out_when_not_asked_for() -> None:
    monitor = Monitor(every=1, rotation=False, path_angle=False, share=None)
    for step in range(2):
        record = monitor(step, SPIRAL, [1.0 + step, 1.0])
    assert all(math.isnan(x) for x in (record.antisymmetric_share, record.angle, record.path_cosine))
    assert len(record.eigenvalues) == 2


def test_a_transformed_game_and_a_parameter_are_looked_at() -> None:
    record = Monitor(every=1)(0, gd.two_timescale(3.0)(SPIRAL), [0.0, 0.0])
    np.testing.assert_allclose(record.eigenvalues.prod(), 3 * 5, rtol=1e-12)  # det of diag(1, 3) J
    game = gd.zero_sum("a*x*y", min="x", max="y")
    assert Monitor(every=1)(0, game, [0.0, 0.0], params={"a": 3.0}).eigenvalues[0] == pytest.approx(3j)


def test_float32_is_analysed_in_float32() -> None:
    gan = large()
    gan32 = small(torch.float32, width=16)
    record = Monitor(every=1, k=4)(0, gan32, gan32.initial())
    reference = Monitor(every=1, k=4)(0, gan, gan32.initial().double())
    np.testing.assert_allclose(record.eigenvalues, reference.eigenvalues, rtol=1e-3)
    assert record.missing == 0
    assert record.backward_errors.max() > 1e-12


# --- the warm start


def test_a_warm_start_needs_no_more_products_and_one_point_again_needs_few() -> None:
    rng = np.random.default_rng(1)
    d = 200
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    matrix = Q @ np.diag(np.concatenate([[20.0, 15.0, 11.0], np.linspace(-9, 10, d - 3)])) @ Q.T
    game, z = linear(matrix), torch.ones(d, dtype=DOUBLE)
    spent = {}
    for warm in (False, True):
        monitor = Monitor(every=1, k=3, share=None, rotation=False, warm=warm)
        for step in range(3):
            record = monitor(step, game, z)
            np.testing.assert_allclose(np.sort(record.eigenvalues.real), [11, 15, 20], rtol=1e-5)
        spent[warm] = [r.products for r in monitor.records]
    assert spent[True][0] == spent[False][0] == spent[False][2]
    assert spent[True][2] <= 0.75 * spent[False][2]


def test_a_warm_start_finds_a_direction_that_has_become_leading() -> None:
    d = 100
    diagonal = np.linspace(0.1, 1.0, d)
    diagonal[[0, 1, 2]] = [9.0, 8.0, 7.0]
    monitor = Monitor(every=1, k=3, share=None, rotation=False)
    z = torch.ones(d, dtype=DOUBLE)
    monitor(0, linear(np.diag(diagonal)), z)
    # at right angles to all three eigenvectors that the search starts from, which have moved a little
    diagonal[80] = 9.5
    matrix = np.diag(diagonal)
    matrix[:20, :20] += 1e-2
    record = monitor(1, linear(matrix), z)
    np.testing.assert_allclose(record.eigenvalues, np.sort(np.linalg.eigvalsh(matrix))[:-4:-1], rtol=1e-5)


def test_a_look_is_a_function_of_the_points_seen_and_the_seed() -> None:
    gan, z = large(), large().initial()
    found = []
    for seed in (0, 0, 1):
        state = torch.random.get_rng_state()
        monitor = Monitor(every=1, share=None, seed=seed)
        found.append([monitor(step, gan, z + 1e-3 * step) for step in range(2)])
        assert torch.equal(state, torch.random.get_rng_state())
    for one, other in zip(found[0], found[1], strict=True):
        np.testing.assert_array_equal(one.eigenvalues, other.eigenvalues)
        assert one.antisymmetric_share == other.antisymmetric_share
    assert found[0][0].antisymmetric_share != found[2][0].antisymmetric_share


# --- the schedule and the budget


def test_looks_are_taken_at_the_steps_of_the_schedule() -> None:
    for monitor, expected in ((Monitor(every=3), [0, 3, 6, 9]), (Monitor(steps=np.array([7, 2, 50])), [2, 7])):
        monitor.share = None
        for step in np.arange(10):
            record = monitor(step, SPIRAL, [1.0, 1.0])
            assert (record is not None) == (step in expected) == monitor.due(step)
        assert [r.step for r in monitor.records] == expected == monitor.stops(9)


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Slow(DerivedField):
    """A field whose evaluations take time on a clock."""

    def __init__(self, base: Any, clock: Clock, seconds: float) -> None:
        super().__init__(base)
        self.clock, self.seconds = clock, seconds

    def __call__(self, z: Any) -> Any:
        self.clock.now += self.seconds
        return self.base(z)

    def jvp(self, z: Any, u: Any) -> Any:
        return self.base.jvp(z, u)

    def vjp(self, z: Any, u: Any) -> Any:
        return self.base.vjp(z, u)


@given(
    share=st.floats(0.01, 1.0),
    looks=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=5),
    steps=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60),
    told=st.booleans(),
)
def test_the_cost_never_exceeds_the_share_by_more_than_one_look(
    share: float, looks: list[float], steps: list[float], told: bool
) -> None:
    clock = Clock()
    monitor, base = Monitor(every=1, share=share, clock=clock), SPIRAL.field("array")
    training, spent, largest = 0.0, 0.0, 0.0
    for step, seconds in enumerate(steps):
        allowed = spent <= share * (training + spent) * (1 + 1e-9)
        forced = spent <= share * (training + spent) * (1 - 1e-9)
        before = clock.now
        record = monitor(
            step, Slow(base, clock, looks[step % len(looks)]), [1.0, 0.0], seconds=training if told else None
        )
        cost = clock.now - before
        spent, largest = spent + cost, max(largest, cost)
        assert spent <= share * (training + spent) + largest + 1e-6
        assert bool(record.skipped) or allowed
        assert not record.skipped or not forced  # nothing is skipped that could be paid
        assert monitor.spent == pytest.approx(spent, abs=1e-9)
        clock.now += seconds
        training += seconds


def test_of_skipped_steps_in_a_row_the_first_is_logged_and_the_next_look_counts_them(tmp_path: Path) -> None:
    clock = Clock()
    monitor = Monitor(every=1, share=0.5, clock=clock, file=tmp_path / "run.jsonl")
    for step in range(6):
        monitor(step, Slow(SPIRAL.field("array"), clock, 2.0), [1.0, 1.0])
        clock.now += 1.0
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert {"step": 1, "skipped": "budget"} in lines
    look = next(line for line in lines if line["step"] > 1 and "skipped" not in line)
    assert look["skipped_before"] == look["step"] - 1
    taken = sum("skipped" not in line for line in lines)
    assert f"{taken} looks and {6 - taken} skipped" in repr(monitor)


def test_without_a_bound_nothing_is_skipped() -> None:
    clock = Clock()
    monitor = Monitor(every=1, share=None, clock=clock)
    for step in range(4):
        assert monitor(step, Slow(SPIRAL.field("array"), clock, 5.0), [1.0, 1.0]).is_measured
    assert monitor.time_share == 1.0


# --- in training


def test_a_monitor_changes_nothing_of_the_run_and_sees_its_points() -> None:
    gan, method = small(torch.float32), gd.Method(gd.Alternating(1e-2), gd.Adam(beta1=0.5))
    plain = train(gan, method, 20, every=5)
    monitor = Monitor(every=7, k=3, share=None)
    watched = train(gan, method, 20, every=5, monitor=monitor, spectrum_at=(7,), spectrum_k=3)
    assert torch.equal(plain.z, watched.z)
    np.testing.assert_array_equal(plain.costs, watched.costs)
    assert plain.snapshot_steps.tolist() == watched.snapshot_steps.tolist()
    assert [r.step for r in monitor.records] == [0, 7, 14]
    np.testing.assert_allclose(monitor.records[1].eigenvalues[:3], watched.spectra[0].eigenvalues[:3], rtol=1e-3)
    names = [p.name for p in gan.players]
    assert [monitor.records[0].field_norms[n] for n in names] == pytest.approx(watched.field_norms[0], rel=1e-5)


def test_training_keeps_the_bound_by_the_clock_of_its_steps() -> None:
    monitor = Monitor(every=1, share=0.1)
    result = train(small(torch.float32), gd.Simultaneous(1e-2), 150, monitor=monitor)
    looks = [r for r in monitor.records if not r.skipped]
    assert 1 <= len(looks) < 151
    longest = max(r.seconds for r in looks)
    # what it takes to write a line comes on top of a look
    assert monitor.spent <= 0.1 * (result.seconds + monitor.spent) + 1.5 * longest + 0.05


def test_a_diverged_run_ends_with_a_record_of_it(tmp_path: Path) -> None:
    monitor = Monitor(steps=[0], file=tmp_path / "run.jsonl")
    result = train(small(torch.float32), gd.Simultaneous(1e30), 50, monitor=monitor)
    assert result.status == "diverged"
    last = read_monitor(tmp_path / "run.jsonl")[-1]
    assert last.step == result.steps
    assert "the parameters of" in last.nonfinite
    assert not last.is_measured
    assert "1 not finite" in repr(monitor)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(4)], ids=["dropout", "batch norm"])
def test_networks_put_into_training_mode_later_are_trained_in_that_mode(layer: nn.Module) -> None:
    class Hidden(nn.Module):
        in_features = 3

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 2))

        def forward(self, z: Tensor) -> Tensor:
            return self.net(z)

    torch.manual_seed(0)
    gan = GAN(Hidden().eval(), mlp_discriminator(2, (4,)), data=ring(n=64))
    still = train(gan, gd.Simultaneous(1e-2), 2, monitor=Monitor(every=1))
    gan.generator.train()
    moved = train(gan, gd.Simultaneous(1e-2), 2, monitor=Monitor(every=1))
    assert torch.equal(moved.z, train(gan.variant(), gd.Simultaneous(1e-2), 2).z)
    assert not torch.equal(moved.z, still.z)


# --- points that are not finite, and random fields


@pytest.mark.parametrize("z", [[math.nan, 1.0], [math.inf, 1.0], [1e200, 1e200]])
def test_a_point_that_is_not_finite_is_a_record(z: list[float]) -> None:
    monitor = Monitor(every=1, share=None)
    game = gd.zero_sum("x**2*y**2", min="x", max="y")
    record = monitor(0, game, z)
    assert record.nonfinite
    assert not record.is_measured
    assert len(record.eigenvalues) == 0
    assert json.loads(json.dumps(record.to_dict(), allow_nan=False))["nonfinite"] == record.nonfinite
    assert monitor(1, game, [1.0, 1.0]).is_measured
    assert math.isnan(monitor.records[1].path_cosine)  # there was no finite point before


def test_a_jacobian_that_is_not_finite_at_a_finite_field_is_a_record() -> None:
    game = gd.callable_game([lambda z: z[0].abs() ** 1.5, lambda z: (z**2).sum() / 2], sizes=[1, 99])
    z = torch.ones(100, dtype=DOUBLE)
    assert Monitor(every=1)(0, game, z).is_measured
    z[0] = 0.0
    record = Monitor(every=1)(0, game, z)
    assert record.nonfinite == "a product with J"
    assert all(math.isfinite(norm) for norm in record.field_norms.values())


def test_a_field_that_draws_random_numbers_is_refused() -> None:
    def noisy(z: Tensor) -> Tensor:
        return z[0] * z[1] * torch.rand((), dtype=DOUBLE)

    game = gd.callable_game([noisy, lambda z: -z[0] * z[1]], sizes=[1, 1])
    with pytest.raises(ValueError, match=r"two evaluations of v.*call \.eval\(\)"):
        Monitor(every=1)(0, game, torch.ones(2, dtype=DOUBLE))


# --- a loop of one's own, with an optimizer


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    D = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    return G, D


def loop(monitor: Monitor | None, method: Any) -> tuple[Tensor, Any, Any]:
    G, D = networks()
    data = torch.randn(32, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(32, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(2))

    def closure() -> tuple[Tensor, Tensor]:
        fake, softplus = D(G(noise)), nn.functional.softplus
        return softplus(-fake).mean(), softplus(-D(data)).mean() + softplus(fake).mean()

    groups = [list(G.parameters()), list(D.parameters())]
    optimizer = gd.torch.GameOptimizer(groups, method)
    for step in range(6):
        if monitor is not None and monitor.due(step):
            field = gd.torch.ClosureField(groups, closure)
            monitor(step, field, field.initial)
        optimizer.step(closure)
    return torch.cat([p.detach().reshape(-1) for group in groups for p in group]), groups, closure


@pytest.mark.parametrize("method", [gd.Optimistic(0.1), gd.Method(gd.Extragradient(0.1), gd.Adam(beta1=0.5))])
def test_a_closure_of_an_optimizer_is_followed_and_its_training_unchanged(method: Any) -> None:
    monitor = Monitor(every=2, k=3, share=None)
    watched, groups, closure = loop(monitor, method)
    assert torch.equal(watched, loop(None, method)[0])
    assert [r.step for r in monitor.records] == [0, 2, 4]
    assert all(r.is_measured for r in monitor.records)
    field = gd.torch.ClosureField(groups, closure)
    record = Monitor(every=1, k=3, probes=50)(0, field, field.initial)
    z = field.initial
    dense = np.stack([field.jvp(z, u).numpy() for u in torch.eye(len(z), dtype=DOUBLE)], axis=1)
    values = np.linalg.eigvals(dense)
    assert abs(record.eigenvalues[0]) == pytest.approx(np.abs(values).max(), rel=1e-4)
    assert record.antisymmetric_share == pytest.approx(
        np.linalg.norm(dense - dense.T) / 2 / np.linalg.norm(dense), abs=0.2
    )


def test_a_closure_that_draws_random_numbers_is_refused() -> None:
    x, y = (nn.Parameter(torch.ones(2)) for _ in range(2))
    field = gd.torch.ClosureField([[x], [y]], lambda: ((x * y).sum() * torch.rand(()), -(x * y).sum()))
    with pytest.raises(ValueError, match="the costs draw random numbers"):
        Monitor(every=1)(0, field, field.initial)


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give one of them"),
        ({"every": 1, "steps": [2]}, "give one of them"),
        ({"every": 0}, "every is 0"),
        ({"every": 2.0}, "every is 2.0"),
        ({"steps": [-1]}, "integers of at least 0"),
        ({"every": 1, "k": 0}, "k is 0"),
        ({"every": 1, "which": "XX"}, "which='XX'"),
        ({"every": 1, "share": 0.0}, "share is 0.0"),
        ({"every": 1, "share": 10}, r"in \(0, 1\]"),
        ({"every": 1, "probes": 1}, "probes is 1"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Monitor(**arguments)


def test_a_point_of_a_wrong_length_is_named() -> None:
    for game in (SPIRAL, SPIRAL.field("array"), small()):
        with pytest.raises(ValueError, match="d = "):
            Monitor(every=1)(0, game, torch.ones(3, dtype=DOUBLE))
    with pytest.raises(ValueError, match=r"float16.*z\.float\(\)"):
        Monitor(every=1)(0, small(), small().initial().half())
    with pytest.raises(ValueError, match="a field has its parameters"):
        Monitor(every=1)(0, SPIRAL.field("array"), [1.0, 1.0], params={"a": 1.0})


def test_records_print_on_one_line() -> None:
    monitor = Monitor(every=1, share=None)
    monitor(0, SPIRAL, [1.0, 1.0])
    monitor(1, SPIRAL, [math.nan, 1.0])
    for record in [*monitor.records, MonitorRecord(3, skipped="budget")]:
        assert "\n" not in repr(record)
        assert repr(record).startswith(f"step {record.step}")
    assert "\n" not in repr(monitor)
    assert "no look yet" in repr(Monitor(steps=[1, 2]))
