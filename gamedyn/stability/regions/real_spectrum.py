"""Where the spectrum is real: the parameters at which an equilibrium is approached without turning.

    {h : every eigenvalue of J(h) is real},     bounded by zeros of the discriminants of the irreducible factors of
                                                det(λ - J(h))

The number of distinct real eigenvalues is counted by Sturm's theorem, in every cell at one rational value and at every
boundary point in the number field that it generates: critical damping is decided exactly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import sympy as sp

from gamedyn.stability.regions.number_fields import RealNumberField
from gamedyn.stability.regions.parameters import Ranges, pose
from gamedyn.stability.regions.regions import coefficient_field, collect, samples, sorted_roots
from gamedyn.stability.regions.schur_cohn import irreducible_factors
from gamedyn.stability.regions.step_jacobian import ZETA
from gamedyn.stability.time_limit import OutOfTime, limited_time

__all__ = ["all_roots_real", "real_spectrum"]


def real_spectrum(source: Any, z: Any = None, parameter: Ranges = "lr", *, time_limit: float = 5.0) -> sp.Set:
    """The values of one parameter at which no eigenvalue turns: all of J (of a step map: of DT) are real.

    Parameters
    ----------
    source : game, StepMap or SymPy matrix
    z : `(d,)`
        An equilibrium in exact numbers; left out with a matrix.
    parameter : str, or mapping of one name to (low, high)
        As in `stable_region`.
    time_limit : float
        Seconds.

    Returns
    -------
    Set
        Closed where eigenvalues meet: the boundary points are those of critical damping.

    Raises
    ------
    ValueError
        For several parameters, floats in the point, or other free symbols.
    TimeoutError
        If the time is up.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gamma = sp.Symbol("gamma", positive=True)
    >>> real_spectrum(gd.games.dirac_gan(penalty=gd.games.R1(gamma)), [0, 0], "gamma")
    Interval(1, oo)
    """
    problem = pose(source, z, parameter)
    if len(problem.parameters) != 1:
        raise ValueError(f"give one parameter, got {[p.name for p in problem.parameters]}; bind the others")
    (p,) = problem.parameters
    if not problem.exact:
        raise ValueError(
            f"a real spectrum is decided by exact numbers, but {problem.reason}; give integers or SymPy numbers"
        )
    try:
        with limited_time(time_limit) as clock:
            h = p.work
            numerator = sp.expand(sp.fraction(sp.together(problem.characteristic.xreplace({p.symbol: h})))[0])
            others = numerator.free_symbols - {ZETA, h}
            if others:
                raise ValueError(f"the spectrum depends on {sorted(map(str, others))} besides {p.name}; bind them")
            if not numerator.is_polynomial(ZETA, h):
                raise ValueError(f"the entries are not rational functions of {p.name}")
            domain = coefficient_field(numerator, ZETA, h)
            if isinstance(domain, str):
                raise ValueError(f"no exact answer: {domain}")
            factors = [f for f, _ in irreducible_factors(sp.Poly(numerator, ZETA, h), h, domain)]
            critical: dict[sp.Poly, None] = {}
            for f in factors:
                for value in (f.rep.LC(), *([f.rep.discriminant()] if f.degree() > 1 else [])):
                    shadow = sp.Poly(domain[h].to_sympy(value), h, domain=domain)
                    if shadow.degree() > 0:
                        critical.update((m.monic(), None) for m, _ in shadow.factor_list()[1])
            roots, values = sorted_roots(critical, p.bounds, clock)
            fields = [RealNumberField(domain, domain.from_sympy(x), x) for x in samples(values, p.bounds)]
            cells = [_all_real(factors, field) for field in fields]
            points = [_all_real(factors, root.field()) for root in roots]
            return collect(cells, points, roots, True, p.bounds)
    except OutOfTime:
        raise TimeoutError(f"no answer after {time_limit:g} s; raise time_limit") from None


def _all_real(factors: list[sp.Poly], field: RealNumberField) -> bool:
    at = [field.at(f) for f in factors]
    full = all(g.degree() == f.degree() for f, g in zip(factors, at, strict=True))
    return full and all(all_roots_real(g, field) for g in at)


def all_roots_real(f: sp.Poly, field: RealNumberField) -> bool:
    """Whether every root of a polynomial over a real field is real.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> rational = RealNumberField(sp.QQ, sp.QQ.one, sp.Integer(1))
    >>> [all_roots_real(sp.Poly(f, x, domain=sp.QQ), rational) for f in ((x - 1) ** 2 * x, x**3 - 1)]
    [True, False]
    """
    if f.degree() < 2:
        return True
    f = f.quo(f.gcd(f.diff()))
    chain = [f, f.diff()]
    while not chain[-1].is_zero:
        chain.append(-chain[-2].rem(chain[-1]))
    leads = [(field.sign(g.rep.LC()), g.degree()) for g in chain[:-1]]
    above = sum(s != t for (s, _), (t, _) in pairwise(leads))
    below = sum(s * (-1) ** m != t * (-1) ** n for (s, m), (t, n) in pairwise(leads))
    return below - above == f.degree()
