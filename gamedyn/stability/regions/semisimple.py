"""Whether the eigenvalues on the boundary of stability have full eigenspaces, which a polynomial cannot tell."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from gamedyn.stability.regions.step_jacobian import ZETA

__all__ = ["semisimple_check"]

_ON = 1e-12  # distance from the circle or the axis up to which a repeated root of 20 digits counts as on it


def semisimple_check(matrix: sp.MatrixBase, h: sp.Symbol, kind: str = "step") -> Callable[[sp.Expr], bool]:
    """Whether every repeated eigenvalue on the unit circle ("step") or the imaginary axis ("flow") is semisimple.

    Parameters
    ----------
    matrix : Matrix `(D, D)`
        In h alone.
    h : Symbol
    kind : {"step", "flow"}

    Returns
    -------
    callable
        A value of h -> bool.

    Examples
    --------
    >>> h = sp.Symbol("h", positive=True)
    >>> semisimple_check(sp.Matrix([[1, h], [0, 1]]), h)(sp.Integer(2)), semisimple_check(sp.eye(2), h)(sp.Integer(2))
    (False, True)
    """

    def on_boundary(r: sp.Expr) -> bool:
        root = complex(r)
        return abs(abs(root) - 1) < _ON if kind == "step" else abs(root.real) < _ON

    def check(value: sp.Expr) -> bool:
        at = sp.Matrix(matrix.subs(h, value))
        for factor, multiplicity in sp.factor_list(at.charpoly(ZETA).as_expr(ZETA), ZETA)[1]:
            f = sp.Poly(factor, ZETA)
            if multiplicity > 1 and any(map(on_boundary, f.nroots(n=20))):
                image = sp.zeros(*at.shape)
                for c in f.all_coeffs():
                    image = image * at + c * sp.eye(at.rows)
                if image.applyfunc(sp.simplify).rank() != at.rows - f.degree() * multiplicity:
                    return False
        return True

    return check
