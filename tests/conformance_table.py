"""The one table of methods and games that the tests of the core run over."""

import sympy as sp

from gamedyn.games.symbolic import Game, zero_sum
from gamedyn.rules.anchored import EAGC, EAGV, FEG, AcceleratedProximalPoint, halpern
from gamedyn.rules.averaging import averaged, exponential_average
from gamedyn.rules.basic import (
    Extragradient,
    HeavyBall,
    LinearizedProximalPoint,
    Optimistic,
    PastExtragradient,
    ProximalPoint,
    Simultaneous,
)
from gamedyn.rules.integrators import Heun, Midpoint, RungeKutta4
from gamedyn.rules.method import Method
from gamedyn.rules.momentum import LEAD, Nesterov
from gamedyn.rules.opponent import competitive, lola, opponent_lookahead, sos
from gamedyn.rules.penalties import gradient_penalty, jacobian_regularization
from gamedyn.rules.preconditioners import Adam, AMSGrad, Clip, RMSProp, Sign, frozen
from gamedyn.rules.second_order import follow_the_ridge, local_symplectic_surgery, stackelberg
from gamedyn.rules.splitting import ForwardBackwardForward, ReflectedGradient
from gamedyn.rules.stochastic import variance_reduced
from gamedyn.rules.transforms import (
    consensus,
    hamiltonian_gradient,
    stop_gradient_lookahead,
    symplectic_adjustment,
    two_timescale,
    unrolled,
)
from gamedyn.rules.wrappers import Alternating, alternating, lookahead, per_player, scheduled

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
    "extragradient-plus": Extragradient(LR, extrapolation=2 * LR),
    "generalised-optimistic": Optimistic(LR, correction=LR / 2),
    "reflected-gradient": ReflectedGradient(LR),
    "forward-backward-forward": ForwardBackwardForward(LR),
    "nesterov": Nesterov(LR, -0.3),
    "lead": LEAD(LR, 0.2, 2 * LR),
    "midpoint": Midpoint(LR),
    "heun": Heun(LR),
    "runge-kutta-4": RungeKutta4(LR),
    "eag-c": EAGC(LR),
    "eag-v": EAGV(LR, 2.0),
    "feg": FEG(LR, 0.02),
    "halpern": halpern(Simultaneous(LR)),
    "accelerated-proximal-point": AcceleratedProximalPoint(LR),
    "alternating-eag-c": alternating(EAGC(LR)),
    "alternating-reflected": alternating(ReflectedGradient(LR)),
    "alternating-lead": alternating(LEAD(LR, 0.2)),
    "averaged-extragradient": averaged(Extragradient(LR)),
    "exponential-average-of-heavy-ball": exponential_average(HeavyBall(LR, -0.3), 0.9),
    "lookahead-nested": lookahead(lookahead(Simultaneous(LR), 2, 0.5), 2, 0.5),
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
    "consensus-full": Method(Simultaneous(LR), consensus(0.2, "full")),
    "hamiltonian": Method(Simultaneous(LR), hamiltonian_gradient()),
    "competitive": Method(Simultaneous(LR), competitive(LR)),
    "opponent-lookahead": Method(Simultaneous(LR), opponent_lookahead(LR)),
    "lola": Method(Simultaneous(LR), lola(LR)),
    "half-lola": Method(Simultaneous(LR), lola(LR, 0.5)),
    "follow-the-ridge": Method(Simultaneous(LR), follow_the_ridge()),
    "stackelberg": Method(Simultaneous(LR), stackelberg()),
    "follow-the-ridge-damped": Method(Simultaneous(LR), follow_the_ridge(0.5)),
    "stackelberg-damped": Method(Simultaneous(LR), stackelberg(0.5)),
    "local-symplectic-surgery": Method(Simultaneous(LR), local_symplectic_surgery(0.5)),
    "local-symplectic-surgery-unregularised": Method(Simultaneous(LR), local_symplectic_surgery()),
    "jacobian-regularization": Method(Simultaneous(LR), jacobian_regularization(0.4)),
    "gradient-penalty": Method(Simultaneous(LR), gradient_penalty(0.4)),
    "optimistic-competitive-two-timescale": Method(Optimistic(LR), competitive(LR), two_timescale(2.0)),
    "scheduled-unrolled": Method(scheduled(Simultaneous(LR), "lr", (0.1, 0.2)), unrolled(2, 0.2)),
}
"""Rules on a transformed field."""

ADAPTIVE = {
    "symplectic-aligned": Method(Simultaneous(LR), symplectic_adjustment(0.7, aligned=True)),
    "sos": Method(Simultaneous(LR), sos(LR)),
}
"""Transforms whose weights are inner products of fields: everywhere but on the test field."""

PRECONDITIONED = {
    "extragradient-amsgrad": Method(Extragradient(LR), AMSGrad()),
    "amsgrad-uncorrected": Method(Simultaneous(LR), AMSGrad(bias_correction=False, eps=1e-2)),
    "optimistic-sign": Method(Optimistic(0.083), Sign()),
    "alternating-clip": Method(Alternating(LR), Clip(0.3)),
    "extragradient-clip-value": Method(Extragradient(LR), Clip(0.3, by="value")),
    "extragradient-adam": Method(Extragradient(LR), Adam()),
    "alternating-rmsprop": Method(Alternating(LR), RMSProp(0.9)),
    "optimistic-adam": Method(Optimistic(LR), Adam(bias_correction=False, eps=1e-2)),
    "adam-unrolled": Method(Simultaneous(LR), Adam(), unrolled(2, 0.2)),
    "scheduled-adam": Method(scheduled(Simultaneous(LR), "lr", (0.1, 0.2)), Adam()),
}
"""Rules on a normalised field: orbits only, in the array and neural worlds only."""

METHODS = RULES | TRANSFORMED | ADAPTIVE | PRECONDITIONED

IMPLICIT = ("proximal-point", "alternating-proximal", "proximal-unrolled", "accelerated-proximal-point")
"""Methods that solve v's equation; in the exact world only where v is affine."""

SHALLOW = ("simultaneous", "extragradient", "optimistic", "past-extragradient", "heavy-ball", "alternating")
"""Methods whose exact step on a transcendental game is a formula of moderate size."""


def frozen_on(game):
    """Extragradient on a frozen diagonal of the game's dimension."""
    return Method(Extragradient(LR), frozen(tuple(0.5 + 0.5 * k for k in range(game.dim))))


def per_player_on(game):
    """A step of its own for every player, of either sign."""
    return per_player(Extragradient(LR), (1.0, -0.5, 0.25)[: len(game.players)])


def slingshot_on(game):
    """Steps that change sign from step to step."""
    n = len(game.players)
    return scheduled(per_player(Simultaneous(LR), (1.0,) * n), "scales", ((1.0, -1.0, 0.5)[:n], (-1.0, 1.0, 2.0)[:n]))


FOR_GAME = {"frozen": frozen_on, "per-player": per_player_on, "slingshot": slingshot_on}
"""Methods with a coefficient per player or coordinate: name -> game -> method."""

SINGULAR = {(m, g) for m in ("follow-the-ridge", "stackelberg") for g in ("bilinear", "bilinear-2x2")}
"""Cells that must refuse: the followers have no curvature to solve with."""


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
