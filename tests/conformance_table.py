"""The one table of methods and games that the tests of the core run over."""

import sympy as sp

from gamedyn.games.symbolic import Game, zero_sum
from gamedyn.rules.basic import (
    Extragradient,
    HeavyBall,
    LinearizedProximalPoint,
    Optimistic,
    PastExtragradient,
    ProximalPoint,
    Simultaneous,
)
from gamedyn.rules.method import Method
from gamedyn.rules.preconditioners import Adam, RMSProp, frozen
from gamedyn.rules.stochastic import variance_reduced
from gamedyn.rules.transforms import (
    consensus,
    stop_gradient_lookahead,
    symplectic_adjustment,
    two_timescale,
    unrolled,
)
from gamedyn.rules.wrappers import Alternating, alternating, lookahead, scheduled

LR = 0.1

RULES = {
    "simultaneous": Simultaneous(LR),
    "extragradient": Extragradient(LR),
    "optimistic": Optimistic(LR),
    "past-extragradient": PastExtragradient(LR),
    "heavy-ball": HeavyBall(LR, -0.3),
    "proximal-point": ProximalPoint(LR),
    "linearized-proximal-point": LinearizedProximalPoint(LR),
    "alternating": Alternating(LR),
    "alternating-order-steps": Alternating(LR, order=(1, 0), steps=(1, 2)),
    "alternating-optimistic": alternating(Optimistic(LR)),
    "alternating-past-extragradient": alternating(PastExtragradient(LR)),
    "alternating-heavy-ball": alternating(HeavyBall(LR, -0.3)),
    "alternating-extragradient": alternating(Extragradient(LR)),
    "alternating-proximal": alternating(ProximalPoint(LR)),
    "alternating-linearized-proximal": alternating(LinearizedProximalPoint(LR)),
    "lookahead": lookahead(Simultaneous(LR), 3, 0.5),
    "lookahead-alternating": lookahead(Alternating(LR), 2, 0.5),
    "lookahead-optimistic": lookahead(Optimistic(LR), 2, 0.5),
    "alternating-lookahead": alternating(lookahead(Simultaneous(LR), 2, 0.5)),
    "scheduled-optimistic": scheduled(Optimistic(LR), "lr", (0.1, 0.2)),
    "variance-reduced-extragradient": variance_reduced(Extragradient(LR), 3),
    "variance-reduced-alternating": variance_reduced(alternating(Optimistic(LR)), 2),
}
"""Rules, wrapped or not."""

TRANSFORMED = {
    "two-timescale": Method(Simultaneous(LR), two_timescale(3.0)),
    "alternating-two-timescale": Method(Alternating(LR), two_timescale(3.0)),
    "consensus": Method(Simultaneous(LR), consensus(0.4)),
    "alternating-consensus": Method(alternating(Extragradient(LR)), consensus(0.4)),
    "linearized-proximal-consensus": Method(LinearizedProximalPoint(LR), consensus(0.4)),
    "symplectic": Method(Simultaneous(LR), symplectic_adjustment(0.7)),
    "unrolled": Method(Simultaneous(LR), unrolled(3, 0.2)),
    "optimistic-all-unrolled": Method(Optimistic(LR), unrolled(2, 0.2, players=(0, 1))),
    "proximal-unrolled": Method(ProximalPoint(LR), unrolled(2, 0.2)),
    "consensus-of-unrolled": Method(Simultaneous(LR), consensus(0.4), unrolled(2, 0.2)),
    "stop-gradient-lookahead": Method(Simultaneous(LR), stop_gradient_lookahead(3, 0.2)),
    "scheduled-unrolled": Method(scheduled(Simultaneous(LR), "lr", (0.1, 0.2)), unrolled(2, 0.2)),
}
"""Rules on a transformed field."""

PRECONDITIONED = {
    "extragradient-adam": Method(Extragradient(LR), Adam()),
    "alternating-rmsprop": Method(Alternating(LR), RMSProp(0.9)),
    "optimistic-adam": Method(Optimistic(LR), Adam(bias_correction=False, eps=1e-2)),
    "adam-unrolled": Method(Simultaneous(LR), Adam(), unrolled(2, 0.2)),
    "scheduled-adam": Method(scheduled(Simultaneous(LR), "lr", (0.1, 0.2)), Adam()),
}
"""Rules on a normalised field: orbits only, in the array and neural worlds only."""

METHODS = RULES | TRANSFORMED | PRECONDITIONED

IMPLICIT = ("proximal-point", "alternating-proximal", "proximal-unrolled")
"""Methods that solve v's equation; in the exact world only where v is affine."""

SHALLOW = ("simultaneous", "extragradient", "optimistic", "past-extragradient", "heavy-ball", "alternating")
"""Methods whose exact step on a transcendental game is a formula of moderate size."""


def frozen_on(game):
    """Extragradient on a frozen diagonal of the game's dimension."""
    return Method(Extragradient(LR), frozen(tuple(0.5 + 0.5 * k for k in range(game.dim))))


def _f(t):
    return -sp.log(1 + sp.exp(-t))


def dirac_gan():
    """The saturating Dirac-GAN with R1 penalty 0.3; equilibrium 0."""
    theta, psi = sp.symbols("theta psi", real=True)
    payoff = _f(theta * psi) + _f(0)
    return Game([payoff, -payoff + sp.Rational(3, 20) * psi**2], players=[[theta], [psi]], name="dirac-gan")


def three_players():
    """General-sum, cross gradients that do not vanish, equilibrium away from 0."""
    costs = [
        "x**2/2 + x*y - 3*x*w/10 + x + y**2/5",
        "y**2/4 + y*w - y*x/2 + x**2/10 - w*x/3",
        "3*w**2/5 + w*x/5 - 7*w*y/10 - 3*w/10 + y*x",
    ]
    game = Game(costs, players=[["x"], ["y"], ["w"]], name="three players")
    (solution,) = sp.linsolve(list(game.field("exact").field_function.outputs), game.field("exact").symbols)
    return game, list(solution)


def _games():
    three, equilibrium = three_players()
    general = Game(
        ["x**2/2 + x*y - x*w/2 + w**2/8", "y**2/4 + w**2/3 - y*w/5 - x*y/2 + x*w"],
        players=[["x"], ["y", "w"]],
        name="general-sum",
    )
    two = zero_sum("x1*y1 + x1*y2/2 - x2*y1/4 + 3*x2*y2/4", min=["x1", "x2"], max=["y1", "y2"], name="bilinear 2x2")
    return {
        "bilinear": (zero_sum("x*y", min="x", max="y", name="bilinear"), [0, 0]),
        "bilinear-2x2": (two, [0] * 4),
        "general-sum": (general, [0] * 3),
        "three-players": (three, equilibrium),
        "dirac-gan": (dirac_gan(), [0, 0]),
    }


GAMES = _games()
"""name -> (game, an equilibrium)."""

STARTS = ([0.75, -0.5, 0.25, 0.5], [-0.3, 0.9, 0.6, -0.8], [0.1, 0.2, -1.0, 0.4])
"""Three fixed starts, cut to the dimension of the game."""
