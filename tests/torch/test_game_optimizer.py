"""Every method as a torch optimizer takes the steps that the step map takes, and goes through the networks as often
as it must."""

import pytest
import torch
from closure_games import Z0, general_game, optimizer_on
from conformance_table import GAMES, METHODS, STARTS
from torch import nn
from torch.nn.functional import softplus

import gamedyn as gd
from gamedyn.rules.named import methods
from gamedyn.torch import GameOptimizer, Passes

STEPS = 10
TOLERANCE = 1e-11

REFUSED = {"MultiplicativeWeights", "OptimisticMultiplicativeWeights", "MirrorProx", "SVRE"}
"""Methods that need constraints, or the mean of all batches, which a closure over networks has not."""


def _largest_gap(method, game, z0):
    opt, closure, point = optimizer_on(game, method, z0)
    T = gd.StepMap(method, game)
    s = T.start(point())
    gap = 0.0
    for k in range(STEPS):
        opt.step(closure)
        s = T(s, k)
        reference = s[: game.dim]
        gap = max(gap, float((point() - reference).abs().max() / (1 + reference.norm())) / (k + 1))
    return gap


@pytest.mark.parametrize("name", sorted(set(methods) - REFUSED))
def test_ten_steps_are_those_of_the_step_map(name):
    assert _largest_gap(gd.named(name), general_game(), Z0) < TOLERANCE


@pytest.mark.parametrize("game", ["dirac-gan", "three-players"])
@pytest.mark.parametrize("name", [n for n in METHODS if not n.startswith("variance-reduced")])
def test_wrapped_transformed_and_preconditioned_methods_are_those_of_the_step_map(name, game):
    assert _largest_gap(METHODS[name], GAMES[game][0], STARTS[1]) < TOLERANCE


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_method_that_asks_for_more_than_a_closure_is_refused(name):
    opt, closure, point = optimizer_on(general_game(), gd.named(name), Z0)
    before = point()
    with pytest.raises(gd.NotInThisWorld, match=r"constraints|mean"):
        opt.step(closure)
    assert torch.equal(point(), before)


def test_a_frozen_diagonal_has_one_weight_per_parameter():
    game = general_game()
    method = gd.Method(gd.Extragradient(0.1), gd.frozen((0.5, 1.0, 2.0, 3.0)))
    assert _largest_gap(method, game, Z0) < TOLERANCE


PASSES = {
    "Simultaneous": (1, 2, 0),
    "Alternating": (2, 2, 0),
    "Extragradient": (2, 4, 0),
    "AlternatingExtragradient": (4, 4, 0),
    "Optimistic": (1, 2, 0),
    "AlternatingOptimistic": (2, 2, 0),
    "PastExtragradient": (1, 2, 0),
    "HeavyBall": (1, 2, 0),
    "AlternatingHeavyBall": (2, 2, 0),
    "Lookahead": (5, 10, 0),
    "AlternatingLookahead": (10, 10, 0),
    "Unrolled": (6, 6, 5),  # five answers, the first at the point itself, where D's own gradient is the same
    "StopGradientLookahead": (6, 6, 0),
    "Consensus": (1, 2, 1),
    "SymplecticAdjustment": (1, 3, 2),  # c₁ - c₂ with graph, and half a product per player
    "TwoTimescale": (1, 2, 0),
    "AlternatingTwoTimescale": (2, 2, 0),
    "Adam": (1, 2, 0),
    "AlternatingAdam": (2, 2, 0),
    "ExtraAdam": (2, 4, 0),
    "OptimisticAdam": (1, 2, 0),
    "RMSProp": (1, 2, 0),
    "AlternatingRMSProp": (2, 2, 0),
    "EGPlus": (2, 4, 0),
    "ReflectedGradient": (1, 2, 0),
    "ForwardBackwardForward": (2, 4, 0),
    "Nesterov": (1, 2, 0),
    "LEAD": (1, 2, 2),  # half a product per player, for the blocks between them
    "Midpoint": (2, 4, 0),
    "Heun": (2, 4, 0),
    "RungeKutta4": (4, 8, 0),
    "NestedLookahead": (25, 50, 0),
    "AveragedExtragradient": (2, 4, 0),
    "AveragedAlternating": (2, 2, 0),
    "EAGC": (2, 4, 0),
    "EAGV": (2, 4, 0),
    "FEG": (2, 4, 0),
    "Halpern": (1, 2, 0),
    "OpponentLookahead": (1, 2, 2),
    "LOLA": (1, 2, 4),
    "SOS": (1, 2, 4),
    "Competitive": (1, 2, 8),  # dense systems of dimension 4 here: a product per column and player
    "FollowTheRidge": (1, 2, 10),
    "Stackelberg": (1, 2, 5),  # a transposed product serves all players
    "LocalSymplecticSurgery": (1, 2, 14),
    "AlignedSymplecticAdjustment": (1, 3, 3),
    "HamiltonianGradient": (1, 2, 1),
    "JacobianRegularization": (1, 2, 2),
    "GradientPenalty": (1, 2, 1),
    "AMSGrad": (1, 2, 0),
    "Sign": (1, 2, 0),
    "Clipped": (1, 2, 0),
    "LinearizedProximalPoint": (1, 2, 8),  # a dense system of dimension 4, a product per column and player
}
"""(closure runs, backward passes, products) of one step, not the first, on a game that is not zero-sum."""

SOLVED = {"ProximalPoint", "AcceleratedProximalPoint"}
"""Methods whose counts depend on how fast an equation is solved."""


@pytest.mark.parametrize("name", sorted(set(methods) - SOLVED - REFUSED))
def test_a_step_goes_through_the_networks_exactly_as_often_as_stated(name):
    opt, closure, _ = optimizer_on(general_game(), gd.named(name))
    opt.step(closure)
    opt.step(closure)
    assert opt.passes == Passes(*PASSES[name])


def test_the_first_step_of_a_method_with_memory_runs_the_closure_no_more_often():
    opt, closure, _ = optimizer_on(general_game(), gd.Optimistic(0.1))
    opt.step(closure)
    assert opt.passes == Passes(1, 2, 0)


def test_costs_that_are_opposite_share_one_backward_pass():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 2.0))
    opt = GameOptimizer([[x], [y]], gd.Simultaneous(0.1))

    def closure():
        f = x * y
        return f, -f

    opt.step(closure)
    assert opt.passes == Passes(1, 1, 0)
    assert (x.item(), y.item()) == pytest.approx((0.8, 2.1))


def test_a_closure_may_compute_one_players_cost_alone():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 2.0))
    asked = []

    def closure(player=None):
        asked.append(player)
        costs = (x * y, -x * y)
        return costs if player is None else costs[player]

    GameOptimizer([[x], [y]], gd.Alternating(0.1)).step(closure)
    assert asked == [0, 1]
    GameOptimizer([[x], [y]], gd.Simultaneous(0.1)).step(closure)
    assert asked == [0, 1, None]


def test_step_returns_the_costs_at_the_point_without_their_graph():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 2.0))
    costs = GameOptimizer([[x], [y]], gd.Extragradient(0.1)).step(lambda: (x * y, -3 * x * y))
    assert [c.item() for c in costs] == [2.0, -6.0]
    assert not any(c.requires_grad for c in costs)


def test_a_player_that_does_not_move_has_no_cost():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 2.0))

    def closure(player=None):
        return (x * y, -x * y) if player is None else (x * y, -x * y)[player]

    costs = GameOptimizer([[x], [y]], gd.Alternating(0.1, order=(1,))).step(closure)
    assert costs[0] is None
    assert costs[1].item() == -2.0


def test_costs_that_are_not_finite_are_a_result():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 0.0))
    costs = GameOptimizer([[x], [y]], gd.Simultaneous(0.1)).step(lambda: (x / y, -x / y))
    assert costs[0].isinf()
    assert not y.isfinite()


# graphs keep parameters by reference -----------------------------------------------------------------------


class _Leaf(nn.Module):
    """A convolution: its graph keeps the weight itself, where a linear layer keeps a transposed view."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn((2, 1, 3), generator=generator, dtype=torch.float64))

    def forward(self, x):
        return nn.functional.conv1d(x, self.weight)


def test_derivatives_at_a_point_are_taken_with_the_values_of_that_point():
    # the adjoint of an unrolled step comes back to points that the parameters have left
    first, second = _Leaf(0), _Leaf(1)
    data = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(1, 1, 12)

    def costs(a, b):
        u = torch.tanh(nn.functional.conv1d(data, a))
        w = nn.functional.conv1d(u, b.repeat(1, 2, 1)).pow(3)
        return w.mean() + (a * b).sum(), -w.mean() + (b**4).sum() + (a * b**2).sum()

    method = gd.Method(gd.Simultaneous(0.1), gd.unrolled(3, 0.05))
    opt = GameOptimizer([first.parameters(), second.parameters()], method)
    game = gd.callable_game(lambda z: costs(z[:6].view(2, 1, 3), z[6:].view(2, 1, 3)), sizes=[6, 6])
    T = gd.StepMap(method, game)
    s = T.start(torch.cat([first.weight.detach().reshape(-1), second.weight.detach().reshape(-1)]))
    for k in range(3):
        opt.step(lambda: costs(first.weight, second.weight))
        s = T(s, k)
    gap = (torch.cat([first.weight.reshape(-1), second.weight.reshape(-1)]) - s).abs().max()
    assert gap.item() < 1e-12


def test_torch_really_differentiates_at_what_a_parameter_holds_now():
    # the trap that the test above guards against, without the optimizer
    p = nn.Parameter(torch.tensor(2.0))
    cost = p**2
    p.data = torch.tensor(3.0)
    (g,) = torch.autograd.grad(cost, p)
    assert g.item() == 6.0


def test_a_graph_from_before_the_step_is_refused_by_torch():
    x, y = (nn.Parameter(torch.tensor(v)) for v in (1.0, 2.0))
    opt = GameOptimizer([[x], [y]], gd.Simultaneous(0.1))
    old = x * y
    opt.step(lambda: (x * y, -x * y))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        old.backward()


def _contraction(step, x, y, steps=200):
    radius = (x.item() ** 2 + y.item() ** 2) ** 0.5
    for _ in range(steps):
        step()
    return ((x.item() ** 2 + y.item() ** 2) ** 0.5 / radius) ** (1 / steps)


def _unit_parameters():
    return [nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (1.0, 0.0)]


def test_optimism_keeps_its_own_copy_of_the_last_gradient():
    x, y = _unit_parameters()
    opt = GameOptimizer([[x], [y]], gd.Optimistic(0.1))

    def step():
        opt.zero_grad(set_to_none=False)
        opt.step(lambda: (x * y, -x * y))

    assert _contraction(step, x, y, 2000) == pytest.approx(0.99494, abs=2e-5)


def test_optimism_that_keeps_the_gradient_by_reference_is_plain_descent():
    # what two published optimizers do; .grad is overwritten in place, so the "last" gradient is the present one
    x, y = _unit_parameters()
    last = {}

    def step():
        for p in (x, y):
            if p.grad is not None:
                p.grad.zero_()
        (x * y).backward()
        y.grad.neg_()
        with torch.no_grad():
            for p in (x, y):
                before = last.get(p, torch.zeros_like(p))
                p.add_(p.grad, alpha=-0.2).add_(before, alpha=0.1)
                last[p] = p.grad

    # 200 steps, as published: the first has no last gradient, after it the growth is that of descent, 1.00499
    assert _contraction(step, x, y) == pytest.approx(1.00506, abs=3e-5)


# networks --------------------------------------------------------------------------------------------------


def _networks(norm=False):
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 8), *([nn.BatchNorm1d(8)] if norm else []), nn.Tanh(), nn.Linear(8, 2)).double()
    D = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    return G, D


def _gan_closure(G, D):
    draws = torch.Generator().manual_seed(1)
    real, noise = (torch.randn((16, n), generator=draws, dtype=torch.float64) for n in (2, 4))

    def closure():
        fake = D(G(noise))
        return softplus(-fake).mean(), softplus(-D(real)).mean() + softplus(fake).mean()

    return closure


def _flat(*networks):
    return torch.cat([p.detach().reshape(-1) for net in networks for p in net.parameters()])


def test_simultaneous_adam_is_torch_adam():
    ours, theirs = _networks(), _networks()
    opt = GameOptimizer([n.parameters() for n in ours], gd.Method(gd.Simultaneous(0.01), gd.Adam(0.5, 0.9)))
    others = [torch.optim.Adam(n.parameters(), lr=0.01, betas=(0.5, 0.9)) for n in theirs]
    closure, reference = _gan_closure(*ours), _gan_closure(*theirs)
    for _ in range(20):
        opt.step(closure)
        costs = reference()
        for net, cost in zip(theirs, costs, strict=True):
            parameters = list(net.parameters())
            for p, g in zip(parameters, torch.autograd.grad(cost, parameters, retain_graph=True), strict=True):
                p.grad = g
        for other in others:
            other.step()
    assert (_flat(*ours) - _flat(*theirs)).abs().max() < 1e-12


def test_grad_is_neither_used_nor_left_behind():
    G, D = _networks()
    opt = GameOptimizer([G.parameters(), D.parameters()], gd.named("ExtraAdam", 0.01))
    opt.step(_gan_closure(G, D))
    assert all(p.grad is None for net in (G, D) for p in net.parameters())
    marks = [torch.full_like(p, 7.0) for net in (G, D) for p in net.parameters()]
    for p, mark in zip([*G.parameters(), *D.parameters()], marks, strict=True):
        p.grad = mark
    opt.step(_gan_closure(G, D))
    assert all((m == 7.0).all() for m in marks)


def test_running_statistics_of_batch_norm_move_at_every_evaluation():
    G, D = _networks(norm=True)
    opt = GameOptimizer([G.parameters(), D.parameters()], gd.Extragradient(0.01))
    opt.step(_gan_closure(G, D))
    assert G[1].num_batches_tracked.item() == opt.passes.forward == 2
    G.eval()
    opt.step(_gan_closure(G, D))
    assert G[1].num_batches_tracked.item() == 2


def test_dropout_draws_anew_at_every_evaluation_unless_seeded():
    masks = []

    class Drop(nn.Dropout):
        def forward(self, x):
            y = super().forward(x)
            masks.append((y != 0).tolist())
            return y

    x, y, drop = nn.Parameter(torch.ones(20)), nn.Parameter(torch.ones(20)), Drop(0.5)
    opt = GameOptimizer([[x], [y]], gd.Extragradient(0.01))

    def closure(seed=None):
        if seed is not None:
            torch.manual_seed(seed)
        f = (drop(x) * y).sum()
        return f, -f

    torch.manual_seed(0)
    opt.step(closure)
    assert masks[0] != masks[1]
    opt.step(lambda: closure(seed=3))
    assert masks[2] == masks[3]


def test_the_unrolled_gradient_is_that_of_finite_differences_and_not_the_stopped_one():
    game, steps, lr = general_game(), 4, 0.2
    opt, closure, point = optimizer_on(game, gd.Method(gd.Simultaneous(1.0), gd.unrolled(steps, lr)))
    costs = game.field("neural").costs
    z0 = point()

    def cost_after_answers(x):
        z = torch.cat([x, z0[2:]])
        for _ in range(steps):
            w = z.clone().requires_grad_()
            (g,) = torch.autograd.grad(costs(w)[1], w)
            z = torch.cat([z[:2], z[2:] - lr * g[2:]])
        return float(costs(z)[0])

    h = 1e-5
    basis = torch.eye(2, dtype=torch.float64) * h
    slopes = torch.tensor(
        [(cost_after_answers(z0[:2] + e) - cost_after_answers(z0[:2] - e)) / (2 * h) for e in basis],
        dtype=torch.float64,
    )
    opt.step(closure)
    assert ((z0 - point())[:2] - slopes).abs().max() < 1e-8
    stopped, closure, point = optimizer_on(game, gd.Method(gd.Simultaneous(1.0), gd.stop_gradient_lookahead(steps, lr)))
    stopped.step(closure)
    assert ((z0 - point())[:2] - slopes).abs().max() > 1e-2


def test_one_unrolled_step_contracts_a_bilinear_game_and_its_stopped_variant_does_not():
    rates = {}
    for transform in (gd.unrolled(1, 0.1), gd.stop_gradient_lookahead(1, 0.1)):
        x, y = _unit_parameters()
        opt = GameOptimizer([[x], [y]], gd.Method(gd.Simultaneous(0.1), transform))
        rates[type(transform).__name__] = _contraction(
            lambda o=opt, a=x, b=y: o.step(lambda: (a * b, -a * b)), x, y, 2000
        )
    assert rates["unrolled"] == pytest.approx(0.994987, abs=1e-4)
    assert rates["stop_gradient_lookahead"] == pytest.approx(1.0, abs=1e-3)
