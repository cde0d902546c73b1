"""Compiled gradients, mixed precision, and passes of the generator that two moves share: the same v by other ways."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gamedyn as gd
from gamedyn.neural import GAN, R1, R2, GradientPenalty, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.field import GANField
from gamedyn.neural.oracle import BatchField
from gamedyn.neural.sample import stream

GAMES: dict[str, dict[str, Any]] = {
    "ns": {"loss": "non_saturating"},
    "wgan_gp": {"loss": "wasserstein", "penalty": GradientPenalty()},
    "r1": {"loss": "non_saturating", "penalty": R1(0.1)},
}
ADAM = gd.Method(gd.Alternating(lr=1e-2, order=(1, 0)), gd.Adam(beta1=0.5))


def tiny(**settings: Any) -> GAN:
    G, D = mlp_generator(4, 2, (16,), seed=3), mlp_discriminator(2, (16,), seed=4)
    return GAN(G, D, **{"data": ring(n=256, seed=1), "batch_size": 32, "evaluation_size": 64, **settings})


def assert_same_field(compiled: GAN, steps: range = range(2), **near: float) -> None:
    eager = compiled.variant(compile=False)
    for k in steps:
        z = eager.initial() + 0.1 * k
        F, E = (gan.oracle(seed=5).draw(k) for gan in (compiled, eager))
        with torch.no_grad():
            torch.testing.assert_close(F(z), E(z), **near)
            for i in range(2):
                torch.testing.assert_close(F.part(i, z), E.part(i, z), **near)
        torch.testing.assert_close(F.first_costs, E.first_costs, **near)
    graphs = compiled.compiled
    assert graphs is not None
    assert graphs.reason is None
    assert len(graphs) == 3  # all players, and each alone


# --- compiled gradients


@pytest.mark.parametrize("game", GAMES)
def test_recorded_gradients_are_the_eager_ones_on_every_batch(game: str) -> None:
    before = torch.get_rng_state()
    assert_same_field(tiny(compile="eager", **GAMES[game]), atol=1e-6, rtol=1e-5)
    assert torch.equal(before, torch.get_rng_state())


def test_compiled_training_ends_where_the_eager_one_does_and_compiles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchField, "keeps_samples", True)
    gan = tiny(compile="aot_eager", penalty=R1(0.1))
    train(gan, ADAM, 1)
    with torch.compiler.set_stance("fail_on_recompile"):
        compiled = train(gan, ADAM, 20)
    eager = train(gan.variant(compile=False), ADAM, 20)
    torch.testing.assert_close(compiled.z, eager.z, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.as_tensor(compiled.costs), torch.as_tensor(eager.costs), atol=1e-5, rtol=1e-5)
    assert gan.compiled is not None
    assert len(gan.compiled) == 2


def test_second_derivatives_and_the_evaluation_sample_are_not_compiled() -> None:
    gan = tiny(compile="eager")
    z = gan.initial()
    u = torch.randn(len(z), generator=torch.Generator().manual_seed(0))
    products = [(F.jvp(z, u), F(z)) for F in (gan.field(), gan.variant(compile=False).field())]
    torch.testing.assert_close(products[0], products[1], atol=0, rtol=0)
    assert gan.compiled is not None
    assert len(gan.compiled) == 0


class Remembering(nn.Module):
    """Scales by a number that it took from the first weights it saw, where recording makes it a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 2))

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.from_numpy(self.weight.detach().numpy().copy())
        return (x * self.weight * scale).sum(1, keepdim=True)


def test_a_graph_that_took_numbers_for_constants_is_found_out() -> None:
    gan = GAN(mlp_generator(4, 2, (5,)), Remembering(), data=ring(n=64), batch_size=8, compile="eager")
    F, z = gan.oracle().draw(0), gan.initial()
    with pytest.warns(RuntimeWarning, match="computed eagerly"):
        v = F(z)
    torch.testing.assert_close(v, gan.variant(compile=False).oracle().draw(0)(z), atol=0, rtol=0)


def test_what_cannot_be_compiled_goes_on_eagerly_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*args: Any, **kw: Any) -> Any:
        raise RuntimeError("no C++ compiler")

    gan = tiny(compile=True)
    monkeypatch.setattr(torch, "compile", no_compiler)
    with pytest.warns(RuntimeWarning, match=r"eagerly; RuntimeError: no C\+\+ compiler"):
        result = train(gan, ADAM, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = train(gan, ADAM, 2)
    assert torch.equal(result.z, again.z)


def test_dropout_goes_on_eagerly_because_its_masks_are_drawn_anew() -> None:
    D = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    gan = GAN(mlp_generator(4, 2, (5,)), D, data=ring(n=64), batch_size=8, compile="eager")
    with pytest.warns(RuntimeWarning, match="dropout"):
        v = gan.oracle().draw(0)(gan.initial())
    assert torch.equal(v, gan.variant(compile=False).oracle().draw(0)(gan.initial()))


def test_layers_put_into_another_mode_get_a_graph_of_their_own() -> None:
    D = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
    gan = GAN(mlp_generator(4, 2, (5,)), D, data=ring(n=64), batch_size=8, compile="eager")
    z, F = gan.initial(), gan.oracle().draw(0)
    first = F(z)
    D.eval()
    for net in gan.networks:
        net.read_modes()
    eager = F.eager((0, 1), z)
    torch.testing.assert_close(F(z), eager, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(first, eager)


@pytest.mark.parametrize(("given", "error"), [("fast", ValueError), (2, TypeError), (None, TypeError)])
def test_unknown_backends_are_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="compile is"):
        tiny(compile=given)


@pytest.mark.slow
def test_inductor_gives_the_eager_gradients() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what torch's compiler imports
        assert_same_field(tiny(compile=True, **GAMES["wgan_gp"]), atol=1e-5, rtol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("autocast", [None, "bfloat16"])
def test_replayed_graphs_give_the_eager_gradients_and_keep_old_ones(game: str, autocast: str | None) -> None:
    gan = tiny(compile=True, device="cuda", autocast=autocast, **GAMES[game])
    near = {"atol": 1e-4, "rtol": 1e-4} if autocast is None else {"atol": 0.05, "rtol": 0.05}
    assert_same_field(gan, **near)
    z, (F, E) = gan.initial(), (gan.oracle().draw(k) for k in (1, 2))
    v = F(z)
    kept, cost = v.clone(), F.first_costs[0]
    assert cost is not None
    before = float(cost)
    E(z + 0.1)
    assert torch.equal(v, kept)
    assert float(cost) == before
    assert train(gan, ADAM, 20).status == "finished"


# --- mixed precision


@pytest.mark.parametrize("autocast", ["bfloat16", "float16"])
@pytest.mark.parametrize("game", [*GAMES, "r2"])
def test_half_precision_gradients_are_near_those_of_float32(game: str, autocast: str) -> None:
    settings = {"penalty": R2(0.1)} if game == "r2" else GAMES[game]
    gan = tiny(autocast=autocast, **settings)
    v, w = (g.oracle().draw(0)(g.initial()) for g in (gan, gan.variant(autocast=None)))
    assert v.dtype == torch.float32
    for p in gan.players:
        off = float((v[p.slice] - w[p.slice]).norm() / w[p.slice].norm())
        assert 0 < off < (0.03 if autocast == "bfloat16" else 0.004)


def test_norms_of_half_precision_slopes_do_not_overflow() -> None:
    # ∇D = 300 in every of 2 entries: its square, 90000, is beyond float16
    D = nn.Linear(2, 1)
    with torch.no_grad():
        D.weight.fill_(300.0)
    gan = GAN(mlp_generator(4, 2, (5,)), D, data=ring(n=64), autocast="float16", penalty=R2(2.0), loss="wasserstein")
    F, plain = (g.oracle().draw(0) for g in (gan, gan.variant(penalty=None)))
    cost, without = (float(f.all_costs(gan.initial())[1].detach()) for f in (F, plain))
    assert cost - without == pytest.approx(2 * 300.0**2, rel=1e-3)


def test_float16_keeps_gradients_of_costs_of_1e_5() -> None:
    # a discriminator that is sure: costs of 1e-5 whose gradients, a part of it for every row, are below 6e-8
    gan = tiny(autocast="float16", loss="saturating")
    z = gan.initial()
    bias = gan.dim - 1
    z[bias] = -13.0
    v, w = (g.oracle().draw(0).part(0, z) for g in (gan, gan.variant(autocast=None)))
    assert 0 < float(w.abs().max()) < 1e-6
    assert float((v - w).norm() / w.norm()) < 0.02


def test_training_in_bfloat16_follows_float32_at_first() -> None:
    runs = [train(tiny(autocast=kind), ADAM, 20) for kind in (None, "bfloat16")]
    start = tiny().initial()
    apart = float((runs[1].z - runs[0].z).norm() / (runs[0].z - start).norm())
    assert 0 < apart < 0.3


# --- passes of the generator


@pytest.mark.parametrize("penalty", [None, R1(0.1), R2(0.1), GradientPenalty()])
def test_alternating_moves_share_the_pass_of_the_generator_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, penalty: Any
) -> None:
    gan = tiny(penalty=penalty)
    runs = []
    for keeps in (False, True):
        monkeypatch.setattr(BatchField, "keeps_samples", keeps)
        runs.append(train(gan, ADAM, 5).z)
    assert torch.equal(*runs)


def test_the_generator_runs_once_per_alternating_step_and_anew_where_it_has_moved() -> None:
    class Keeping(GANField):
        keeps_samples = True

    gan = tiny()
    calls: list[int] = []
    gan.generator.register_forward_hook(lambda *args: calls.append(1))
    z, F = gan.initial(), Keeping(gan, gan.batch(8, stream(0)))
    E = GANField(gan, F.sample)
    w = z + F.part(1, z)
    shared = F.part(0, w)
    assert len(calls) == 1
    assert torch.equal(shared, E.part(0, w))
    calls.clear()
    F.part(1, z)
    moved = z.clone()
    moved[0] += 1
    assert torch.equal(F.part(0, moved), E.part(0, moved))
    F.part(1, z)
    z[0] += 1  # in place: what was kept is no longer a pass at z
    assert torch.equal(F.part(0, z), E.part(0, z))
