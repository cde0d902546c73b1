"""Products of a closure's field against dense Jacobians, and equations with their residuals."""

from dataclasses import dataclass

import pytest
import torch
from closure_games import Z0, as_closure, as_parameters, general_game
from conformance_table import GAMES
from torch import nn

import gamedyn as gd
from gamedyn.stability.jacobian import GameJacobian
from gamedyn.torch import ClosureField, GameOptimizer
from gamedyn.torch.solvers import conjugate_gradients


def _field(game):
    parameters = as_parameters(game, Z0)
    return ClosureField([[p] for p in parameters], as_closure(game, parameters))


def _random(n, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


GAME = {"general": general_game(), "three players": GAMES["three-players"][0]}


@pytest.mark.parametrize("name", GAME)
def test_products_are_those_of_the_dense_jacobian(name):
    game = GAME[name]
    F, G = _field(game), game.field("neural")
    z, u = _random(game.dim), _random(game.dim, 1)
    J = torch.autograd.functional.jacobian(G, z)
    S = torch.zeros_like(J)
    for p in game.players:
        S[p.slice, p.slice] = J[p.slice, p.slice]
    expected = {"jvp": J @ u, "vjp": J.T @ u, "skew": (J.T - J) @ u / 2, "cross_jvp": (J - S) @ u}
    assert (F(z) - G(z).detach()).abs().max() < 1e-14
    for operation, value in expected.items():
        assert (getattr(F, operation)(z, u) - value).abs().max() < 1e-13, operation
        assert (getattr(G, operation)(z, u) - value).abs().max() < 1e-13, operation


@pytest.mark.parametrize("i", [0, 1])
def test_gradients_and_hessian_products_are_in_all_variables(i):
    game = general_game()
    F, G = _field(game), game.field("neural")
    z, u = _random(4), _random(4, 1)
    H = torch.autograd.functional.hessian(lambda w: G.costs(w)[i], z)
    assert (F.hvp(i, z, u) - H @ u).abs().max() < 1e-13
    (g,) = torch.autograd.grad(G.costs(w := z.requires_grad_())[i], w)
    assert (F.grad(i, z.detach()) - g).abs().max() < 1e-14


def test_skew_takes_one_backward_pass_and_half_a_product_per_player():
    F = _field(general_game())
    F.skew(_random(4), _random(4, 1))
    assert (F.passes.forward, F.passes.backward, F.passes.products) == (1, 1, 2)


def test_the_field_leaves_the_parameters_where_they_were():
    F = _field(general_game())
    before = F.initial
    F.vjp(_random(4), _random(4, 1))
    assert torch.equal(F.initial, before)


@pytest.mark.parametrize(
    "transform",
    [gd.consensus(0.3), gd.symplectic_adjustment(0.4), gd.unrolled(3, 0.1), gd.stop_gradient_lookahead(2, 0.1)],
)
def test_transforms_and_their_jacobians_are_those_of_the_neural_world(transform):
    game = general_game()
    F, G = transform.field(_field(game)), transform.field(game.field("neural"))
    z, u = _random(4), _random(4, 1)
    assert (F(z) - G(z).detach()).abs().max() < 1e-13
    assert (F.jvp(z, u) - G.jvp(z, u).detach()).abs().max() < 1e-12
    assert (F.vjp(z, u) - G.vjp(z, u).detach()).abs().max() < 1e-12


def test_solve_and_resolvent_are_those_of_the_neural_world():
    game = general_game()
    F, G = _field(game), game.field("neural")
    z, u = _random(4), _random(4, 1)
    for cross in (False, True):
        assert (F.solve(z, 0.3, u, cross=cross) - G.solve(z, 0.3, u, cross=cross)).abs().max() < 1e-13
    assert (F.resolvent(0.05, z) - G.resolvent(0.05, z)).abs().max() < 1e-13
    assert F.solves[-1].solver.startswith("Newton")
    assert F.solves[-1].residual < 1e-14


# large systems -----------------------------------------------------------------------------------------------

N, M = 80, 70


@dataclass(frozen=True)
class Competitive:
    """z+ = z - lr (I + lr J_off)⁻¹ v(z)."""

    lr: float

    def init(self, F, z):
        return ()

    def step(self, F, z, memory):
        return F.point(z - self.lr * F.solve(z, self.lr, F(z), cross=True)), memory


def _large(opposite):
    x, y = nn.Parameter(_random(N, 2)), nn.Parameter(_random(M, 3))
    A = _random(N * M, 4).view(N, M) / 8

    def closure():
        f = torch.sin(x) @ A @ y + (x**2).sum() / 3 - (y**2).sum() / 5
        return (f, -f) if opposite else (f, -2 * f + (y**2).sum())

    return x, y, closure


@pytest.mark.parametrize(("opposite", "solver"), [(True, "conjugate gradients"), (False, "GMRES")])
@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.5, 2.0)])
def test_large_cross_systems_are_solved_for_one_player(opposite, solver, scales):
    lr = 0.4
    x, y, closure = _large(opposite)
    F = ClosureField([[x], [y]], closure)
    z = F.initial
    J = torch.stack([F.jvp(z, e) for e in torch.eye(N + M, dtype=torch.float64)], dim=1)
    J[:N, :N] = 0
    J[N:, N:] = 0
    S = torch.cat([torch.full((n,), s, dtype=torch.float64) for n, s in zip((N, M), scales, strict=True)])
    expected = z - lr * torch.linalg.solve(torch.eye(N + M, dtype=torch.float64) + lr * S[:, None] * J, S * F(z))
    opt = GameOptimizer([{"params": [p], "lr": lr * s} for p, s in zip((x, y), scales, strict=True)], Competitive(lr))
    opt.step(closure)
    assert (torch.cat([x, y]) - expected).abs().max().item() < 1e-10
    # a scaled system is not symmetric after elimination
    assert opt.last_solve.solver == (solver if scales == (1.0, 1.0) else "GMRES")
    assert opt.last_solve.residual <= 1e-12
    assert opt.residuals == [opt.last_solve.residual]


def test_conjugate_gradients_go_through_one_cross_block_each_way_per_iteration():
    x, y, closure = _large(opposite=True)
    opt = GameOptimizer([[x], [y]], Competitive(0.4))
    opt.step(closure)
    # one product for the right-hand side and two per iteration; the other player's part comes along
    assert opt.passes.products == 2 * opt.last_solve.iterations + 1
    assert (opt.passes.forward, opt.passes.backward) == (1, 1)


def test_linear_systems_above_the_dense_limit_are_solved_by_gmres():
    lr = 0.4
    x, y, closure = _large(opposite=False)
    F = ClosureField([[x], [y]], closure)
    z = F.initial
    J = torch.stack([F.jvp(z, e) for e in torch.eye(N + M, dtype=torch.float64)], dim=1)
    expected = torch.linalg.solve(torch.eye(N + M, dtype=torch.float64) + lr * J, z)
    assert (F.solve(z, lr, z) - expected).abs().max() < 1e-10
    assert F.solves[-1].solver == "GMRES"
    assert F.solves[-1].residual <= 1e-12


def test_a_looser_tolerance_stops_earlier():
    counts = []
    for tolerance in (1e-2, 1e-12):
        x, y, closure = _large(opposite=True)
        opt = GameOptimizer([[x], [y]], Competitive(0.4), tolerance=tolerance)
        opt.step(closure)
        assert opt.last_solve.residual <= tolerance
        counts.append(opt.last_solve.iterations)
    assert counts[0] < counts[1]


def test_conjugate_gradients_end_after_as_many_steps_as_there_are_eigenvalues():
    diagonal = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64).repeat(20)
    rhs = _random(60)
    x, twice, solve = conjugate_gradients(lambda p: (diagonal * p, 2 * p), rhs, 1e-12)
    assert solve.iterations == 3
    assert (x - rhs / diagonal).abs().max() < 1e-12
    assert (twice - 2 * x).abs().max() < 1e-12


def test_conjugate_gradients_hand_on_numbers_that_are_not_finite():
    x, _, solve = conjugate_gradients(lambda p: (p, p), torch.full((3,), torch.nan), 1e-6)
    assert x.isnan().all()
    assert solve.iterations == 0


def test_scalars_of_one_vector_are_told_apart():
    x, y = (torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (1.0, 2.0))

    def closure():
        gain, score = torch.stack([x * y + x**2, 3 * y**2 + x * y])
        return gain, -score

    opt = GameOptimizer([[x], [y]], gd.Simultaneous(0.1))
    opt.step(closure)
    assert (x.item(), y.item()) == pytest.approx((1 - 0.1 * 4, 2 + 0.1 * 13))
    assert opt.passes.backward == 2


def test_costs_that_add_to_zero_by_chance_are_solved_all_the_same():
    rng = torch.Generator().manual_seed(0)
    n = 70
    A, M = (torch.randn(n, n, generator=rng, dtype=torch.float64) for _ in range(2))
    x = torch.nn.Parameter(torch.zeros(n, dtype=torch.float64))
    y = torch.nn.Parameter(torch.randn(n, generator=rng, dtype=torch.float64))
    y0 = y.detach().clone()
    opt = GameOptimizer([[x], [y]], gd.named("Competitive", lr=0.1))
    opt.step(lambda: (x @ A @ y, x @ M @ y))
    J = torch.zeros(2 * n, 2 * n, dtype=torch.float64)
    J[:n, n:], J[n:, :n] = A, M.T
    v = torch.cat([A @ y0, torch.zeros(n, dtype=torch.float64)])
    direction = torch.linalg.solve(torch.eye(2 * n, dtype=torch.float64) + 0.1 * J, v)
    expected = torch.cat([torch.zeros(n, dtype=torch.float64), y0]) - 0.1 * direction
    assert (torch.cat([x, y]).detach() - expected).abs().max() < 1e-9
    assert opt.last_solve.solver == "GMRES"


def test_a_singular_system_is_refused_with_its_reason():
    x, y = (torch.nn.Parameter(torch.tensor([v])) for v in (1.0, 2.0))
    opt = GameOptimizer([[x], [y]], gd.named("Stackelberg"))
    with pytest.raises(gd.NotInThisWorld, match="singular"):
        opt.step(lambda: ((x * y).sum(), -(x * y).sum()))


def test_an_implicit_step_much_smaller_than_its_point_is_taken():
    x, y = (torch.nn.Parameter(torch.tensor([v])) for v in (1.0, 0.5))
    opt = GameOptimizer([[x], [y]], gd.ProximalPoint(3e-7))
    opt.step(lambda: ((x**2).sum() / 2, (y**2).sum() / 2))
    assert x.item() < 1


def test_the_jacobian_of_a_closure_is_made_of_its_own_products():
    x, y = (torch.nn.Parameter(torch.tensor([v], dtype=torch.float64)) for v in (1.0, 2.0))
    F = ClosureField([[x], [y]], lambda: ((x**2 * y).sum(), -(x * y**2).sum()))
    J = GameJacobian.of(F, torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert J.to_dense().tolist() == [[4, 2], [-4, -2]]
    assert J.T.to_dense().tolist() == [[4, -4], [2, -2]]
