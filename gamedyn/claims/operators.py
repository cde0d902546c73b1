"""Operator classes: what is assumed of a field v, in quadratic conditions on pairs of its points.

A condition (a, b, c) says, for two points with differences Δz and Δv = v(z) - v(z'),

    a |Δz|² + b ⟨Δz, Δv⟩ + c |Δv|² >= 0                                 (1)

The same three numbers constrain the points of a certificate and decide which matrices J belong to the
class: a linear field is a member iff a I + b (J + Jᵀ)/2 + c JᵀJ is positive semidefinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple


class Condition(NamedTuple):
    """a |Δz|² + b ⟨Δz, Δv⟩ + c |Δv|² >= 0.

    Attributes
    ----------
    a, b, c : float
        Weights of |Δz|², ⟨Δz, Δv⟩ and |Δv|².
    """

    a: float
    b: float
    c: float


class OperatorClass:
    """Base of operator classes: a frozen dataclass with `pairs`, `interpolation` and `name`.

    A class of one's own states its conditions and nothing else; `refined` and `at_equilibrium` have
    defaults.
    """

    @property
    def pairs(self) -> tuple[Condition, ...]:
        """Conditions on every pair of points, the equilibrium among them."""
        raise NotImplementedError(f"{type(self).__name__} defines no pairs")

    @property
    def at_equilibrium(self) -> tuple[Condition, ...]:
        """Conditions on z - z* and v(z) for every point z and the equilibrium z*."""
        return ()

    @property
    def interpolation(self) -> str:
        """`"exact"` if every set of points that meets the conditions belongs to a member of the class.

        Else `"necessary"`: more sets of points than those of members meet them, so that a worst case over
        them bounds that of the class from above and may exceed it.
        """
        return "necessary"

    @property
    def name(self) -> str:
        """The class in words."""
        return str(self)

    @property
    def triples(self) -> bool:
        """Whether stronger, costlier conditions on triples of points replace those on pairs."""
        return False


def _positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{owner} needs a finite {name} > 0, got {name}={value}")


@dataclass(frozen=True)
class Monotone(OperatorClass):
    """Fields that are monotone, strongly if mu > 0, and Lipschitz if L is finite.

        ⟨Δz, Δv⟩ >= mu |Δz|²,   |Δv| <= L |Δz|

    Convex-concave games have mu = 0.  The conditions are exact for L = inf; for mu and L together no exact ones
    are known, and those on pairs are necessary.

    Parameters
    ----------
    mu : float
        Strong monotonicity, 0 <= mu <= L.
    L : float
        Lipschitz constant, > 0; infinite by default.
    refined : bool
        Necessary conditions on triples of points that are stronger than those on pairs, at the cost of about
        2 n³ matrix inequalities for n evaluations.  Needs a finite L.

    Raises
    ------
    ValueError
        If mu < 0, L <= 0, mu > L, or `refined` comes without L.

    Notes
    -----
    A normal matrix with eigenvalues a ± ib is a member iff a >= mu and a² + b² <= L².

    References
    ----------
    .. [1] E. Ryu, A. Taylor, C. Bergeling, P. Giselsson, Operator splitting performance estimation (2020),
       arXiv:1812.00146.
    .. [2] A. Rubbens, J. Hendrickx, A. Taylor, A constructive approach to strengthen algebraic descriptions
       of function and operator classes (2025), arXiv:2504.14377: the conditions on triples.

    Examples
    --------
    >>> Monotone(mu=0.1, L=1.0).name
    'strongly monotone Lipschitz fields (mu = 0.1, L = 1)'
    >>> Monotone().interpolation, Monotone(L=1.0).interpolation
    ('exact', 'necessary')
    """

    mu: float = 0.0
    L: float = math.inf
    refined: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.mu < math.inf:
            raise ValueError(f"Monotone needs a finite mu >= 0, got mu={self.mu}; below 0 see NegativelyComonotone")
        if not self.L > 0:
            raise ValueError(f"Monotone needs L > 0, got L={self.L}")
        if self.mu > self.L:
            raise ValueError(f"no field is mu-strongly monotone and L-Lipschitz with mu={self.mu} > L={self.L}")
        if self.refined and math.isinf(self.L):
            raise ValueError("the refined conditions of Monotone need a finite L; without L those on pairs are exact")

    @property
    def pairs(self) -> tuple[Condition, ...]:
        monotone = Condition(-self.mu, 1.0, 0.0)
        return (monotone,) if math.isinf(self.L) else (monotone, Condition(self.L**2, 0.0, -1.0))

    @property
    def interpolation(self) -> str:
        return "exact" if math.isinf(self.L) else "necessary"

    @property
    def name(self) -> str:
        words = ["strongly monotone" if self.mu else "monotone", *(["Lipschitz"] if math.isfinite(self.L) else [])]
        values = [f"mu = {self.mu:g}"] * bool(self.mu) + [f"L = {self.L:g}"] * math.isfinite(self.L)
        return " ".join(words) + " fields" + (f" ({', '.join(values)})" if values else "")

    @property
    def triples(self) -> bool:
        return self.refined


@dataclass(frozen=True)
class Cocoercive(OperatorClass):
    """Fields that are cocoercive, and strongly monotone if mu > 0.

        ⟨Δz, Δv⟩ >= beta |Δv|²,   ⟨Δz, Δv⟩ >= mu |Δz|²

    They are 1/beta-Lipschitz and rotate by less than a right angle.  The conditions are exact for mu = 0, else
    necessary.

    Parameters
    ----------
    beta : float
        Cocoercivity β > 0.
    mu : float
        Strong monotonicity, 0 <= mu <= 1/beta.
    refined : bool
        As in `Monotone`; needs mu > 0.

    Raises
    ------
    ValueError
        If beta <= 0, mu < 0, mu > 1/beta, or `refined` comes without mu.

    Notes
    -----
    A normal matrix with eigenvalues a ± ib is a member iff a >= mu and a + ib lies in the disc whose diameter is
    the segment from 0 to 1/beta.

    References
    ----------
    .. [1] E. Ryu, A. Taylor, C. Bergeling, P. Giselsson, Operator splitting performance estimation (2020),
       arXiv:1812.00146.
    """

    beta: float
    mu: float = 0.0
    refined: bool = False

    def __post_init__(self) -> None:
        _positive("Cocoercive", beta=self.beta)
        if not 0 <= self.mu < math.inf:
            raise ValueError(f"Cocoercive needs a finite mu >= 0, got mu={self.mu}")
        if self.mu * self.beta > 1:
            raise ValueError(f"no field is mu-strongly monotone and beta-cocoercive with mu={self.mu} > 1/beta")
        if self.refined and not self.mu:
            raise ValueError("the refined conditions of Cocoercive need mu > 0; without mu those on pairs are exact")

    @property
    def pairs(self) -> tuple[Condition, ...]:
        cocoercive = Condition(0.0, 1.0, -self.beta)
        return (cocoercive, Condition(-self.mu, 1.0, 0.0)) if self.mu else (cocoercive,)

    @property
    def interpolation(self) -> str:
        return "necessary" if self.mu else "exact"

    @property
    def name(self) -> str:
        strongly = f"strongly monotone (mu = {self.mu:g}) and " if self.mu else ""
        return f"{strongly}cocoercive fields (beta = {self.beta:g})"

    @property
    def triples(self) -> bool:
        return self.refined


@dataclass(frozen=True)
class NegativelyComonotone(OperatorClass):
    """Fields that may fall short of monotonicity by a share of |Δv|², Lipschitz if L is finite.

        ⟨Δz, Δv⟩ >= -rho |Δv|²,   |Δv| <= L |Δz|

    Attracting limit cycles of simple methods exist here.  The conditions are taken as necessary: those of the
    first line are exact for set-valued operators, and a game has a single field value at every point.

    Parameters
    ----------
    rho : float
        Comonotonicity ρ > 0 (that of `Monotone` would be 0).
    L : float
        Lipschitz constant, > 0; infinite by default.

    Raises
    ------
    ValueError
        If rho <= 0 or L <= 0.

    Notes
    -----
    A normal matrix with eigenvalues a ± ib is a member iff a + ib lies outside the open disc whose diameter is the
    segment from -1/rho to 0, and a² + b² <= L².

    References
    ----------
    .. [1] E. Gorbunov, A. Taylor, S. Horváth, G. Gidel, Convergence of proximal point and extragradient-based
       methods beyond monotonicity (2023), arXiv:2210.13831.
    """

    rho: float
    L: float = math.inf

    def __post_init__(self) -> None:
        _positive("NegativelyComonotone", rho=self.rho)
        if not self.L > 0:
            raise ValueError(f"NegativelyComonotone needs L > 0, got L={self.L}")

    @property
    def pairs(self) -> tuple[Condition, ...]:
        comonotone = Condition(0.0, 1.0, self.rho)
        return (comonotone,) if math.isinf(self.L) else (comonotone, Condition(self.L**2, 0.0, -1.0))

    @property
    def name(self) -> str:
        lipschitz = "" if math.isinf(self.L) else f", L = {self.L:g}"
        return f"negatively comonotone{' Lipschitz' * bool(lipschitz)} fields (rho = {self.rho:g}{lipschitz})"


@dataclass(frozen=True)
class WeakMinty(OperatorClass):
    """Lipschitz fields with a weak Minty solution: an equilibrium z* that every field value nearly points away from.

        ⟨v(z), z - z*⟩ >= -(rho/2) |v(z)|²,   |Δv| <= L |Δz|

    The inequality is asked at the points that the method visits, so it is necessary for the class.

    Parameters
    ----------
    rho : float
        Weakness ρ >= 0; 0 is a Minty solution.
    L : float
        Lipschitz constant, finite, > 0.

    Raises
    ------
    ValueError
        If rho < 0, or L is not finite and positive.

    References
    ----------
    .. [1] J. Diakonikolas, C. Daskalakis, M. Jordan, Efficient methods for structured nonconvex-nonconcave
       min-max optimization (2021), arXiv:2011.00364.
    """

    rho: float
    L: float

    def __post_init__(self) -> None:
        if not 0 <= self.rho < math.inf:
            raise ValueError(f"WeakMinty needs a finite rho >= 0, got rho={self.rho}")
        _positive("WeakMinty", L=self.L)

    @property
    def pairs(self) -> tuple[Condition, ...]:
        return (Condition(self.L**2, 0.0, -1.0),)

    @property
    def at_equilibrium(self) -> tuple[Condition, ...]:
        return (Condition(0.0, 1.0, self.rho / 2),)

    @property
    def name(self) -> str:
        return f"Lipschitz fields with a weak Minty solution (rho = {self.rho:g}, L = {self.L:g})"


def operator_class(
    operator: OperatorClass | None = None,
    *,
    mu: float | None = None,
    L: float | None = None,
    beta: float | None = None,
    rho: float | None = None,
) -> OperatorClass:
    """The class that some constants name: `beta` a cocoercive one, `rho` a comonotone one, else a monotone one.

    Parameters
    ----------
    operator : OperatorClass, optional
        The class itself, in place of constants.
    mu, L, beta, rho : float, optional
        Strong monotonicity, Lipschitz constant, cocoercivity, negative comonotonicity.

    Raises
    ------
    ValueError
        If both a class and constants are given, or constants that no class has together.
    """
    given: dict[str, Any] = {
        n: float(v) for n, v in (("mu", mu), ("L", L), ("beta", beta), ("rho", rho)) if v is not None
    }
    if operator is not None:
        if given:
            raise ValueError(f"give operator={operator!r} or the constants {sorted(given)}, not both")
        if not isinstance(operator, OperatorClass):
            raise TypeError(f"operator={operator!r} is no operator class; give e.g. gd.claims.Monotone(mu=0.1, L=1.0)")
        return operator
    if "beta" in given and given.keys() <= {"beta", "mu"}:
        return Cocoercive(**given)
    if "rho" in given and given.keys() <= {"rho", "L"}:
        return NegativelyComonotone(**given)
    if given.keys() <= {"mu", "L"}:
        return Monotone(**given)
    raise ValueError(
        f"no operator class has the constants {sorted(given)} together: mu and L (monotone), beta and mu (cocoercive, "
        f"so 1/beta-Lipschitz) or rho and L (negatively comonotone); others go through operator="
    )
