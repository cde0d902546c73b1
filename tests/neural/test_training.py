"""Training: a run is a function of its arguments, and its steps are those of hand-written loops."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor
from torch.nn.functional import softplus

import gamedyn as gd
from gamedyn.neural import GAN, TrainingResult, digits, mlp_discriminator, mlp_generator, ring, spectrum, train
from gamedyn.neural.sample import REPLAY, stream
from gamedyn.neural.training import Replay
from gamedyn.neural.training.preconditioners import TorchAdam, for_torch

DOUBLE = torch.float64
ADAM = {"beta1": 0.5, "beta2": 0.99}


def small(dtype: torch.dtype = DOUBLE) -> GAN:
    g = mlp_generator(3, 2, (8,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (8,), activation="tanh", seed=4)
    return GAN(g, d, data=ring(n=100, seed=1), batch_size=16, evaluation_size=32, dtype=dtype)


def digits_gan(seed: int) -> GAN:
    g = mlp_generator(16, 64, output="tanh", seed=2 * seed)
    return GAN(g, mlp_discriminator(64, seed=2 * seed + 1), data=digits(), seed=seed)


def hand_loop(gan: GAN, steps: int, seed: int, *, alternate: bool, order: tuple[int, int] = (0, 1)) -> Tensor:
    """The usual loop with torch.optim.Adam on copies of the modules."""
    G = mlp_generator(3, 2, (8,), activation="tanh", seed=3).to(DOUBLE)
    D = mlp_discriminator(2, (8,), activation="tanh", seed=4).to(DOUBLE)
    nets = (G, D)
    betas = (ADAM["beta1"], ADAM["beta2"])
    optimizers = [torch.optim.Adam(net.parameters(), lr=1e-2, betas=betas) for net in nets]
    for k in range(steps):
        batch = gan.oracle(seed=seed).draw(k)

        def gradients(i: int, x: Tensor = batch.x, latents: Tensor = batch.latents) -> None:
            fake = D(G(latents))
            cost = softplus(-fake).mean() if i == 0 else softplus(-D(x)).mean() + softplus(fake).mean()
            for p, g in zip(nets[i].parameters(), torch.autograd.grad(cost, list(nets[i].parameters())), strict=True):
                p.grad = g

        for i in order:
            gradients(i)
            if alternate:
                optimizers[i].step()
        if not alternate:
            for optimizer in optimizers:
                optimizer.step()
    return torch.cat([p.detach().reshape(-1) for net in nets for p in net.parameters()])


# --- steps are those of a hand-written loop


def test_simultaneous_adam_equals_torch_adam_over_twenty_steps() -> None:
    gan = small()
    result = train(gan, gd.Method(gd.Simultaneous(1e-2), gd.Adam(**ADAM)), 20, seed=7)
    torch.testing.assert_close(result.z, hand_loop(gan, 20, 7, alternate=False), rtol=0, atol=1e-9)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_alternating_adam_equals_torch_adam_over_twenty_steps(order: tuple[int, int]) -> None:
    gan = small()
    result = train(gan, gd.Method(gd.Alternating(1e-2, order=order), gd.Adam(**ADAM)), 20, seed=7)
    expected = hand_loop(gan, 20, 7, alternate=True, order=order)
    torch.testing.assert_close(result.z, expected, rtol=0, atol=1e-9)


def test_five_discriminator_steps_on_fresh_batches_with_two_rates_equal_the_usual_loop() -> None:
    gan, steps, rates = small(), 6, (2e-3, 1e-2)
    networks = [
        mlp_generator(3, 2, (8,), activation="tanh", seed=3),
        mlp_discriminator(2, (8,), activation="tanh", seed=4),
    ]
    G, D = (net.to(DOUBLE) for net in networks)
    betas = (ADAM["beta1"], ADAM["beta2"])
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr, betas) for net, lr in zip((G, D), rates, strict=True))
    for k in range(steps):
        batches = [gan.oracle(seed=7).batch_field(k, e) for e in range(6)]
        for batch in batches[:5]:
            opt_D.zero_grad()
            (softplus(-D(batch.x)).mean() + softplus(D(G(batch.latents).detach())).mean()).backward()
            opt_D.step()
        opt_G.zero_grad()
        softplus(-D(G(batches[5].latents))).mean().backward()
        opt_G.step()
    rule = gd.per_player(gd.Alternating(1.0, order=(1, 0), steps=(5, 1)), rates)
    result = train(gan, gd.Method(rule, gd.Adam(**ADAM)), steps, seed=7, sampling="independent")
    expected = torch.cat([p.detach().reshape(-1) for net in (G, D) for p in net.parameters()])
    torch.testing.assert_close(result.z, expected, rtol=0, atol=1e-9)
    same = train(gan, gd.Method(rule, gd.Adam(**ADAM)), steps, seed=7)
    assert float((same.z - expected).abs().max()) > 1e-4


@pytest.mark.parametrize("order", [None, (1, 0)], ids=["simultaneous", "alternating"])
def test_adam_in_one_pass_over_large_players_equals_torch_adam(order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gamedyn.neural.training.preconditioners.FUSED", 1)
    gan = small()
    rule = gd.Simultaneous(1e-2) if order is None else gd.Alternating(1e-2, order=order)
    result = train(gan, gd.Method(rule, gd.Adam(**ADAM)), 20, seed=7)
    expected = hand_loop(gan, 20, 7, alternate=order is not None, order=order or (0, 1))
    torch.testing.assert_close(result.z, expected, rtol=0, atol=1e-9)


METHODS: dict[str, Callable[[], Any]] = {
    "simultaneous": lambda: gd.Simultaneous(0.05),
    "alternating": lambda: gd.Alternating(0.05),
    "more discriminator steps": lambda: gd.Alternating(0.05, order=(1, 0), steps=(3, 1)),
    "extragradient": lambda: gd.Extragradient(0.05),
    "optimistic": lambda: gd.Optimistic(0.05),
    "simultaneous adam": lambda: gd.Method(gd.Simultaneous(0.01), gd.Adam(**ADAM)),
    "alternating adam": lambda: gd.Method(gd.Alternating(0.01), gd.Adam(**ADAM)),
    "extra adam": lambda: gd.Method(gd.Extragradient(0.01), gd.Adam(**ADAM)),
    "unrolled": lambda: gd.Method(gd.Simultaneous(0.05), gd.unrolled(3, lr=0.1)),
    "unrolled adam": lambda: gd.Method(gd.Alternating(0.01), gd.Adam(**ADAM), gd.unrolled(3, lr=0.1)),
    "consensus": lambda: gd.Method(gd.Simultaneous(0.05), gd.consensus(0.1)),
    "optimistic adam": lambda: gd.Method(gd.Optimistic(0.01), gd.Adam(**ADAM)),
    "lookahead adam": lambda: gd.Method(gd.lookahead(gd.Alternating(0.01), k=3, alpha=0.5), gd.Adam(**ADAM)),
    "scheduled": lambda: gd.scheduled(gd.Extragradient(0.05), "lr", (0.05, 0.02)),
    "uncorrected adam": lambda: gd.Method(gd.Simultaneous(0.01), gd.Adam(bias_correction=False)),
}


@pytest.mark.parametrize("name", METHODS)
def test_training_makes_the_steps_of_the_step_map(name: str) -> None:
    gan, method = small(), METHODS[name]()
    result = train(gan, method, 6, seed=3)
    T = gd.StepMap(method, gan, oracle=gan.oracle(seed=3))
    with torch.no_grad():
        parts = T.start_parts(gan.initial())
        for k in range(6):
            parts = T.step_parts(parts, k)
    torch.testing.assert_close(result.z, parts[0], rtol=0, atol=1e-11)
    assert float((result.z - gan.initial()).norm()) > 1e-3
    assert result.status == "finished"


def test_other_preconditioners_and_rules_stay_as_they_are() -> None:
    for method in (gd.Extragradient(0.1), gd.Method(gd.Simultaneous(0.1), gd.RMSProp())):
        assert for_torch(method) == gd.Method(method)
    fast = for_torch(gd.Method(gd.Simultaneous(0.1), gd.Adam(beta1=0.3), gd.consensus(0.2)))
    assert fast.preconditioner == TorchAdam(beta1=0.3)
    assert fast.transforms == (gd.consensus(0.2),)


def test_adam_writes_into_no_vector_that_a_transform_still_holds() -> None:
    gan, kept = small(), []

    @dataclass(frozen=True)
    class remembering(gd.two_timescale):
        def field(self, F: Any) -> Any:
            inner = super().field(F)

            class Remembering(type(inner)):  # type: ignore[misc]
                def __call__(self, z: Tensor) -> Tensor:
                    v = super().__call__(z)
                    kept.append((v, v.clone()))
                    return v

            inner.__class__ = Remembering
            return inner

    train(gan, gd.Method(gd.Simultaneous(0.01), gd.Adam(), remembering(2.0)), 3)
    assert len(kept) >= 3
    assert all(torch.equal(v, copy) for v, copy in kept)


# --- transformed games and frozen preconditioners


@pytest.mark.parametrize("transform", [gd.two_timescale(3.0), gd.consensus(0.1), gd.two_timescale(sp.Rational(3))])
def test_training_a_transformed_gan_is_training_with_the_transform_in_the_method(transform: Any) -> None:
    gan = small()
    for rule, adam in ((gd.Simultaneous(0.05), ()), (gd.Alternating(0.01), (gd.Adam(),))):
        inside = train(gan, gd.Method(rule, *adam, gd.two_timescale(0.5), transform), 5, seed=2)
        outside = train(transform(gan), gd.Method(rule, *adam, gd.two_timescale(0.5)), 5, seed=2)
        torch.testing.assert_close(outside.z, inside.z, rtol=0, atol=1e-12)
        assert type(transform).__name__ in outside.game
        np.testing.assert_array_equal(outside.costs, inside.costs)


def test_the_norms_and_spectra_of_a_transformed_gan_are_those_of_its_own_field() -> None:
    game = gd.two_timescale(3.0)(small())
    result = train(game, gd.Simultaneous(0.05), 2, spectrum_at=[0], spectrum_k=3)
    plain = train(small(), gd.Simultaneous(0.05), 2)
    np.testing.assert_allclose(result.field_norms[0], plain.field_norms[0] * [1, 3], rtol=1e-12)
    np.testing.assert_allclose(result.spectra[0].eigenvalues, spectrum(game, k=3).eigenvalues, rtol=1e-9)


@pytest.mark.parametrize(
    "method",
    [
        gd.Method(gd.Alternating(0.01, order=(1, 0), steps=(3, 1)), gd.Adam(**ADAM)),
        gd.Method(gd.Optimistic(0.01), gd.Adam(**ADAM)),
        gd.Method(gd.Simultaneous(0.01), gd.RMSProp()),
    ],
    ids=["adam, three discriminator steps", "optimistic adam", "rmsprop"],
)
def test_a_trained_gan_is_analysed_with_its_preconditioner_frozen(method: Any, tmp_path: Path) -> None:
    gan, steps = small(), 12
    result = train(gan, method, steps, seed=3)
    T = gd.StepMap(method, gan, oracle=gan.oracle(seed=3))  # gamedyn.Adam itself, with a count per coordinate
    with torch.no_grad():
        parts = T.start_parts(gan.initial())
        for k in range(steps):
            parts = T.step_parts(parts, k)
    n = len(result.preconditioner_state)
    for ours, reference in zip(result.preconditioner_state, parts[-n:], strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-15)
    frozen = method.preconditioner.frozen(result.preconditioner_state)
    assert frozen.weights == pytest.approx(method.preconditioner.frozen(parts[-n:]).weights, rel=1e-9)
    J = gd.jacobian(gan, result.z).to_dense()
    J = torch.as_tensor(np.asarray(J))
    expected = np.linalg.eigvals((torch.tensor(frozen.weights, dtype=DOUBLE)[:, None] * J).numpy())
    found = spectrum(frozen(gan), result.z, k=1).eigenvalues[0]
    assert abs(found) == pytest.approx(np.abs(expected).max(), rel=1e-8)
    result.save(tmp_path / "run.npz")
    again = TrainingResult.load(tmp_path / "run.npz").preconditioner_state
    assert all(torch.equal(a, b) for a, b in zip(again, result.preconditioner_state, strict=True))


def test_a_run_without_preconditioner_has_no_state_of_one() -> None:
    assert train(small(), gd.Optimistic(0.01), 2).preconditioner_state == ()


def test_counts_per_player_are_spread_over_the_players_coordinates_or_refused() -> None:
    gan = small()
    n = gan.players[0].size
    s, counts = torch.full((gan.dim,), 0.04, dtype=DOUBLE), torch.tensor([1.0, 3.0], dtype=DOUBLE)
    adam = TorchAdam(beta2=0.5, eps=1.0)
    weights = adam.frozen((s, s, counts), gan.players).weights
    assert weights[0] == pytest.approx(1 / (1 + (0.04 / 0.5) ** 0.5))
    assert weights[n] == pytest.approx(1 / (1 + (0.04 / 0.875) ** 0.5))
    with pytest.raises(ValueError, match="give the players"):
        adam.frozen((s, s, counts))
    with pytest.raises(ValueError, match="seen no gradient"):
        adam.frozen((s, s, torch.tensor([4.0, 0.0])), gan.players)


# --- a run is a function of its arguments


def test_same_seed_same_result_bit_for_bit() -> None:
    method = METHODS["alternating adam"]()
    runs = [train(small(torch.float32), method, 30, seed=s) for s in (1, 1, 2)]
    assert torch.equal(runs[0].z, runs[1].z)
    np.testing.assert_array_equal(runs[0].costs, runs[1].costs)
    assert not torch.equal(runs[0].z, runs[2].z)


def test_snapshots_callbacks_and_spectra_do_not_change_the_run() -> None:
    gan, method, seen = small(torch.float32), METHODS["alternating adam"](), []

    def spoil(step: int, z: Tensor) -> None:
        seen.append(step)
        z.zero_()

    state = torch.random.get_rng_state()
    plain = train(gan, method, 20, every=20)
    watched = train(gan, method, 20, every=3, callback=spoil, spectrum_at=(0, 5, 20), spectrum_k=3, progress=False)
    assert torch.equal(plain.z, watched.z)
    assert torch.equal(state, torch.random.get_rng_state())
    assert seen == [0, 3, 6, 9, 12, 15, 18, 20] == watched.snapshot_steps.tolist()
    assert [s.step for s in watched.spectra] == [0, 5, 20]
    assert torch.equal(watched.snapshots[0], gan.initial())
    assert torch.equal(watched.snapshots[-1], watched.z)
    v = gan.field()(watched.z)
    assert watched.field_norms[-1] == pytest.approx([float(v[p.slice].norm()) for p in gan.players])


def test_training_leaves_the_modules_alone_until_load() -> None:
    gan = small()
    before = gan.initial()
    result = train(gan, gd.Simultaneous(0.1), 5)
    assert torch.equal(gan.initial(), before)
    gan.load(result.z)
    torch.testing.assert_close(gan.initial(), result.z, rtol=0, atol=1e-6)


def test_a_run_in_two_halves_sees_the_batches_of_the_whole() -> None:
    gan = small()
    whole = train(gan, gd.Simultaneous(0.1), 10, every=5)
    assert torch.equal(train(gan, gd.Simultaneous(0.1), 5).z, whole.snapshots[1])


def test_costs_are_those_of_the_batches_of_the_steps() -> None:
    gan = small()
    result = train(gan, gd.Simultaneous(0.1), 4, seed=2, every=1)
    for k, z in enumerate(result.snapshots[:-1]):
        expected = [float(c) for c in gan.oracle(seed=2).draw(k).costs(z)]
        assert result.costs[k] == pytest.approx(expected, abs=1e-14)
    assert result.cost_steps.tolist() == [1, 2, 3, 4]


def test_the_cost_of_a_player_is_that_of_the_batch_it_was_first_asked_on() -> None:
    gan, method = small(), gd.Alternating(0.1, order=(1, 0), steps=(2, 1))
    result = train(gan, method, 1, seed=2, sampling="independent")
    d = gan.players[1].slice
    with torch.no_grad():
        z = gan.initial()
        first = gan.oracle(seed=2).batch_field(0, 0).all_costs(z)[1]
        for e in range(2):
            z[d] -= 0.1 * gan.oracle(seed=2).batch_field(0, e)(z)[d]
        assert result.costs[0] == pytest.approx(
            [float(gan.oracle(seed=2).batch_field(0, 2).all_costs(z)[0]), float(first)]
        )


# --- averages and replay


def test_the_average_starts_at_the_start_and_follows_the_iterates() -> None:
    result = train(small(), METHODS["alternating adam"](), 12, every=1, average=0.8)
    a = result.snapshots[0]
    for z in result.snapshots[1:]:
        a = 0.8 * a + 0.2 * z
    assert result.average is not None
    torch.testing.assert_close(result.average, a, rtol=0, atol=1e-14)
    assert float((result.average - result.z).abs().max()) > 1e-3
    still = train(small(), gd.Simultaneous(0.0), 5, average=0.999)
    torch.testing.assert_close(still.average, still.z, rtol=0, atol=1e-15)  # weights add up to 1 from the first step
    last = train(small(), gd.Simultaneous(0.1), 5, average=0.0)
    assert torch.equal(last.average, last.z)  # type: ignore[arg-type]
    assert train(small(), gd.Simultaneous(0.1), 5).average is None


@pytest.mark.parametrize("capacity", [4, 10, 200])
def test_the_discriminator_is_shown_old_samples_in_place_of_the_last_new_ones(capacity: int) -> None:
    gan, n, m = small(), 16, 4
    result = train(gan, gd.Alternating(0.1, order=(1, 0)), 8, every=1, seed=6, replay=Replay(capacity, 0.25))
    D = gan.networks[1]
    kept: list[Tensor] = []
    for k, z in enumerate(result.snapshots[:-1]):
        field, (_, theta) = gan.oracle(seed=6).batch_field(k), gan.split(z)
        with torch.no_grad():
            fake = gan.networks[0](gan.split(z)[0], field.latents)
            shown = fake
            if len(kept) >= m:
                order = torch.randperm(len(kept), generator=stream(6, REPLAY, k, 1))[:m].tolist()
                shown = torch.cat([fake[: n - m], torch.stack([kept[i] for i in order])])
            cost = softplus(-D(theta, field.x)).mean() + softplus(D(theta, shown)).mean()
        assert float(cost) == pytest.approx(result.costs[k, 1], abs=1e-13)
        draws = stream(6, REPLAY, k)
        new = gan.sample(result.snapshots[k + 1], m, seed=int(torch.randint(2**62, (), generator=draws)))
        room = min(m, capacity - len(kept))
        if room < m:
            places = torch.randperm(len(kept), generator=draws)[: m - room].tolist()
            for place, sample in zip(places, new[room:], strict=True):
                kept[place] = sample
        kept.extend(new[:room])
    plain = train(gan, gd.Alternating(0.1, order=(1, 0)), 8, every=1, seed=6)
    assert torch.equal(plain.snapshots[1], result.snapshots[1])  # nothing is old in the first step
    assert float((plain.z - result.z).abs().max()) > 1e-4


def test_the_generator_pays_for_its_new_samples_alone() -> None:
    gan = small()
    result = train(gan, gd.Simultaneous(0.1), 4, every=1, seed=6, replay=Replay(40, 0.5))
    for k, z in enumerate(result.snapshots[:-1]):
        expected = gan.oracle(seed=6).batch_field(k).all_costs(z)
        assert float(expected[0]) == pytest.approx(result.costs[k, 0], abs=1e-14)
        assert (k == 0) == (abs(float(expected[1]) - result.costs[k, 1]) < 1e-9)


# --- divergence is a result


def test_divergence_is_a_result_with_its_step() -> None:
    gan = small(torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train(gan, gd.Simultaneous(1e30), 50, spectrum_at=(50,))
    assert result.status == "diverged"
    assert 1 <= result.steps < 50
    assert f"step {result.steps} made the parameters of the" in result.message
    assert not math.isfinite(float(result.z.sum()))
    assert bool(result.snapshots.isfinite().all())
    assert result.message in repr(result)
    before = train(gan, gd.Simultaneous(1e30), max(1, result.steps - 1))
    assert before.status == "finished" or result.steps == 1


def test_the_player_who_diverges_is_named() -> None:
    gan = small(torch.float32)
    result = train(gan, gd.Alternating(1e38, order=(1,), steps=(1,)), 5)
    assert result.status == "diverged"
    assert "discriminator" in result.message
    assert "parameters of the generator" not in result.message


def test_a_rate_beyond_the_numbers_of_z_is_refused_and_one_of_a_schedule_ends_the_run() -> None:
    gan = small(torch.float32)
    for method in (gd.Method(gd.Simultaneous(1e39), gd.Adam()), gd.per_player(gd.Simultaneous(1.0), (1.0, math.inf))):
        with pytest.raises(ValueError, match=r"the method has the coefficient (1e\+39|inf); .*end at 3.4e\+38"):
            train(gan, method, 3)
    assert train(small(), gd.Simultaneous(1e39), 1).status == "finished"  # float64 holds it
    rule = gd.scheduled(gd.Simultaneous(0.1), "lr", lambda k: 0.1 if k < 3 else 1e40)
    result = train(gan, gd.Method(rule, gd.Adam()), 10)
    assert (result.status, result.steps) == ("diverged", 4)
    assert result.message == "step 4 has a coefficient that torch.float32 cannot hold"


# --- the progress bar


def test_a_progress_bar_does_not_change_the_run() -> None:
    gan = small(torch.float32)
    assert torch.equal(
        train(gan, gd.Simultaneous(0.01), 25, progress=True).z, train(gan, gd.Simultaneous(0.01), 25, progress=False).z
    )


# --- it trains


def distance_to_data(gan: GAN, z: Tensor) -> float:
    """Mean distance of a sample to its nearest row of the data."""
    return float(torch.cdist(gan.sample(z, 200, seed=9), gan.data.x).min(dim=1).values.mean())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_digits_move_towards_the_data(seed: int) -> None:
    gan = digits_gan(seed)
    before = distance_to_data(gan, gan.initial())
    result = train(gan, gd.Method(gd.Alternating(1e-3), gd.Adam(beta1=0.5)), 400, seed=seed)
    assert result.status == "finished"
    assert distance_to_data(gan, result.z) < 0.75 * before


@pytest.mark.slow
def test_digits_fall_into_all_ten_classes_after_three_thousand_steps() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    gan = digits_gan(0)
    result = train(gan, gd.Method(gd.Alternating(1e-3), gd.Adam(beta1=0.5)), 3000)
    assert gan.data.labels is not None
    classifier = KNeighborsClassifier(3).fit(gan.data.x.numpy(), gan.data.labels.numpy())
    shares = np.bincount(classifier.predict(gan.sample(result.z, 2000, seed=1).numpy()), minlength=10) / 2000
    assert shares.min() >= 0.01


@pytest.mark.gpu
def test_a_gpu_makes_the_steps_of_the_cpu() -> None:
    def run(device: str) -> TrainingResult:
        g = mlp_generator(3, 2, (8,), activation="tanh", seed=3)
        d = mlp_discriminator(2, (8,), activation="tanh", seed=4)
        gan = GAN(g, d, data=ring(n=100, seed=1), batch_size=16, dtype=DOUBLE, device=device)
        return train(gan, METHODS["alternating adam"](), 40, seed=7, spectrum_at=(40,), spectrum_k=3)

    cpu, gpu = run("cpu"), run("cuda")
    torch.testing.assert_close(gpu.z.cpu(), cpu.z, rtol=0, atol=1e-8)
    np.testing.assert_allclose(gpu.costs, cpu.costs, atol=1e-8)
    np.testing.assert_allclose(gpu.spectra[0].eigenvalues, cpu.spectra[0].eigenvalues, atol=1e-6)


ON_STRATEGIES = ("MultiplicativeWeights", "OptimisticMultiplicativeWeights", "MirrorProx")


@pytest.mark.parametrize("name", [n for n in gd.methods if n not in ON_STRATEGIES])
def test_every_named_method_trains_two_networks(name: str) -> None:
    gan = small()
    given = {"damping": 1.0} if name in ("FollowTheRidge", "Stackelberg") else {}
    run = train(gan, gd.named(name, lr=1e-3, **given), steps=2, seed=0, progress=False)
    assert run.status == "finished"
    assert 0 < float((run.z - gan.initial()).abs().max()) < 0.1


@pytest.mark.parametrize("name", ON_STRATEGIES)
def test_a_method_on_strategies_refuses_networks(name: str) -> None:
    with pytest.raises(gd.NotInThisWorld, match="constraints"):
        train(small(), gd.named(name, lr=1e-3), steps=1, seed=0, progress=False)
