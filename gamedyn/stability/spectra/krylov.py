"""Leading eigenvalues of a large real matrix from products with it: the Krylov-Schur method.

    A V = V S + v bᵀ        V orthonormal, S = VᵀAV quasi-triangular, v ⊥ V                  (1)
    ‖Ax - λx‖ = |bᵀy|       for x = Vy, Sy = λy, |y| = 1

The space is extended by Arnoldi steps to m vectors, the Schur form is reordered so that the wanted part comes first,
and (1) is cut off behind it: a restart loses nothing of what is kept.  V lies in one array on the device of the
products and in their precision; S is small and in double precision.

From 1e5 unknowns on, reading V is what costs beside the products.  A second pass of Gram-Schmidt is therefore made only
where orthogonality would be lost beyond √ε: (1) holds to rounding whatever V is, and semi-orthogonal vectors serve as
well as orthogonal ones.

References
----------
.. [1] G. W. Stewart, A Krylov-Schur algorithm for large eigenproblems, SIAM J. Matrix Anal. Appl. 23 (2001) 601-614.
.. [2] H. D. Simon, The Lanczos algorithm with partial reorthogonalization, Math. Comp. 42 (1984) 115-142.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from gamedyn.stability.spectra.eigenvalues import leading

__all__ = ["KrylovSchur", "KrylovState"]

COLUMNS = 1 << 15  # of V that are rotated at a time
CHECK = 8  # Arnoldi steps between two looks at the Ritz values
SMALL_RESTARTS = 8  # from here on more of the space is kept, which non-normal matrices need
_RESTARTS = 300


@dataclass
class KrylovState:
    """Equation (1) between two restarts: what a run goes on from.

    Attributes
    ----------
    basis : Tensor `(p + 1, d)`
        The rows of Vᵀ, then v.
    rayleigh : ndarray `(p + 1, p)`
        S, then bᵀ.
    products, restarts : int
        Spent so far.
    norm : float
        Largest ‖S‖₂ met, a lower bound of ‖A‖₂.
    """

    basis: Tensor
    rayleigh: np.ndarray
    products: int = 0
    restarts: int = 0
    norm: float = 0.0


@dataclass
class KrylovSchur:
    """The iteration for the k leading eigenvalues of A.

    Parameters
    ----------
    product : callable
        u `(d,)` -> Au `(d,)`; may return its own buffer.
    like : Tensor `(d,)`
        For type, device and dimension.
    k : int
    which : {"LM", "LR", "SR", "LI"}
    basis : int
        m, the vectors held at most, besides one.
    tolerance : float
        An eigenpair has converged when ‖Ax - λx‖ <= tolerance ‖A‖, ‖A‖ by its lower bound in the space.
    start : Tensor `(d,)`, optional
        The first vector; normal random numbers of `seed` by default.
    seed : int
    state : KrylovState, optional
        To go on from.

    Attributes
    ----------
    values : ndarray `(k,)`, complex
        Ritz values in the order asked for; k + 1 where the k-th is half of a pair.
    estimates : ndarray `(k,)`
        |bᵀy|.
    """

    product: Callable[[Tensor], Tensor]
    like: Tensor
    k: int
    which: str
    basis: int
    tolerance: float
    start: Tensor | None = None
    seed: int = 0
    state: KrylovState | None = None
    values: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=complex))
    estimates: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _small: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=complex))

    def __post_init__(self) -> None:
        d = len(self.like)
        if isinstance(self.basis, bool) or int(self.basis) != self.basis or self.basis < min(self.k + 3, d):
            raise ValueError(
                f"basis is {self.basis!r}; {self.k} eigenvalues need an int of at least {self.k + 3} vectors"
            )
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance!r}; it must be between 0 and 1")
        self.basis = min(int(self.basis), d)
        self._V = torch.empty((self.basis + 1, d), dtype=self.like.dtype, device=self.like.device)
        self._H = np.zeros((self.basis + 1, self.basis))
        self._generator = torch.Generator().manual_seed(self.seed)
        self._eps = torch.finfo(self.like.dtype).eps
        self._level = self._eps  # an estimate of max |VᵀV - I|
        if self.state is None:
            self._V[0] = self._first()
            self._size, self._products, self._restarts, self._norm = 0, 0, 0, 0.0
        else:
            self._resume(self.state)

    def run(self, restarts: int = _RESTARTS, report: Callable[[KrylovSchur], None] | None = None) -> KrylovSchur:
        """Iterate until the wanted eigenvalues have converged, or to the last restart.

        `report` is called after every restart, with this object, whose `snapshot()` is then whole.
        """
        first = self._restarts
        while True:
            m = self._expand()
            T, Q = self._schur(m)
            late = self._restarts + 1 - first >= restarts
            done = bool(self.converged.all()) or late or m == len(self.like)
            self._restart(T, Q, m, len(self.values) if done else self._keep(m))
            if report is not None:
                report(self)
            if done:
                return self

    @property
    def converged(self) -> np.ndarray:
        """Which of `values` have."""
        return np.asarray(self.estimates <= self.tolerance * max(self._norm, np.finfo(float).tiny))

    @property
    def norm(self) -> float:
        """The lower bound of ‖A‖₂."""
        return self._norm

    @property
    def products(self) -> int:
        """Products made."""
        return self._products

    @property
    def restarts(self) -> int:
        """Restarts made."""
        return self._restarts

    def vector(self, i: int) -> tuple[Tensor, Tensor | None]:
        """Real and imaginary part `(d,)` of the i-th Ritz vector, of norm 1; None for a real one."""
        y = self._small[:, i]
        rows = self._V[: len(y)]
        real = _combination(rows, y.real)
        imag = _combination(rows, y.imag) if np.any(np.abs(y.imag) > 0) else None
        size = float((real.double().square().sum() + (0 if imag is None else imag.double().square().sum())).sqrt())
        return real / size, None if imag is None else imag / size

    def snapshot(self) -> KrylovState:
        """A copy of where the iteration stands."""
        p = self._size
        return KrylovState(
            self._V[: p + 1].clone(), self._H[: p + 1, :p].copy(), self._products, self._restarts, self._norm
        )

    # the steps ------------------------------------------------------------------------------------------

    def _first(self) -> Tensor:
        u = self.start
        if u is None or not float(u.norm()) > 0:
            u = torch.randn(len(self.like), generator=self._generator, dtype=torch.float64)
        u = u.to(self.like)
        return u / u.norm()

    def _resume(self, state: KrylovState) -> None:
        if not isinstance(state, KrylovState):
            raise TypeError(f"state is {type(state).__name__}; give result.state() or load_state(path)")
        p = state.rayleigh.shape[1]
        if state.basis.shape != (p + 1, len(self.like)) or p >= self.basis:
            raise ValueError(
                f"the state holds {tuple(state.basis.shape)} numbers; this iteration needs fewer than {self.basis} "
                f"vectors of {len(self.like)}. Go on with the settings that the state was made with"
            )
        if state.basis.dtype != self.like.dtype:
            raise ValueError(
                f"the state is of {state.basis.dtype}, this search of {self.like.dtype}; use the same type"
            )
        self._V[: p + 1] = state.basis.to(self._V)
        self._H[: p + 1, :p] = state.rayleigh
        self._size, self._products, self._restarts, self._norm = p, state.products, state.restarts, state.norm
        column = torch.as_tensor(state.rayleigh[:, 0]).to(self._V)
        apart = float((self.product(self._V[0]) - self._V[: p + 1].T @ column).norm())
        self._products += 1
        if not apart <= self._eps**0.5 * max(self._norm, float(column.norm())):
            raise ValueError(
                f"the state belongs to another operator: A V = V S + v bᵀ is off by {apart:.2g} of {self._norm:.2g}; "
                f"remove it to begin anew, or go on at the point that it was made at"
            )

    def _expand(self) -> int:
        """Arnoldi steps up to m vectors, or until the wanted have converged; the number of vectors."""
        begin, closed = self._size, False
        for j in range(begin, self.basis):
            w = self.product(self._V[j])
            self._products += 1
            self._H[: j + 1, j], self._H[j + 1, j] = self._orthogonalise(w, j)
            size = self._size = j + 1
            # where the space closed, all its values have converged, and copies of them are still to be found
            limit = max(self.tolerance, 1e3 * self._eps) * max(self._norm, float(np.abs(self._H[: j + 1, j]).max()))
            closed = closed or (bool(self._H[j + 1, j] <= limit) and size < len(self.like))
            if size == self.basis or (size > self.k + 2 and (size - begin) % CHECK == 0 and not closed):
                self._ritz(size)
                if self.converged.all():
                    break
        return self._size

    def _orthogonalise(self, w: Tensor, j: int) -> tuple[np.ndarray, float]:
        """w - VVᵀw as the row j + 1 of V, scaled to 1; the coefficients and the length."""
        V, place = self._V[: j + 1], self._V[j + 1]
        before = float(w.norm())
        h = V @ w
        torch.addmv(w, V.T, h, alpha=-1, out=place)
        total, size = h.double(), float(place.norm())
        # what V lacks in orthogonality comes back, enlarged by |Vᵀw| / |w - VVᵀw|
        level = (self._level * float(h.norm()) + self._eps * before) / max(size, 1e-300)
        if not level <= self._eps**0.5:
            h = V @ place
            place.addmv_(V.T, h, alpha=-1)
            total, size = total + h.double(), float(place.norm())
            level = self._eps
        self._level = max(self._level, level)
        if size <= 10 * self._eps * before or size == 0.0:  # the space is invariant: go on in a new direction
            if j + 1 < len(self.like):
                self._fresh(j)
            else:
                place.zero_()
            size = 0.0
        else:
            place /= size
        if not np.isfinite(size):
            raise ValueError("a product with the operator is not finite; its point may lie outside the domain of v")
        return total.cpu().numpy(), size

    def _fresh(self, j: int) -> None:
        V, place = self._V[: j + 1], self._V[j + 1]
        place.copy_(torch.randn(len(self.like), generator=self._generator, dtype=torch.float64))
        for _ in range(3):
            place.addmv_(V.T, V @ place, alpha=-1)
            place /= place.norm()

    def _schur(self, m: int) -> tuple[np.ndarray, np.ndarray]:
        from scipy.linalg import schur

        T, Q = schur(self._H[:m, :m], output="real")
        self._norm = max(self._norm, float(np.linalg.norm(self._H[: m + 1, :m], 2)))
        return T, Q

    def _ritz(self, m: int) -> None:
        """The wanted Ritz values, with their estimates."""
        values, Y = np.linalg.eig(self._H[:m, :m])
        self._norm = max(self._norm, float(np.abs(values).max()))
        chosen = leading(values.astype(complex), self.which, self.k)
        self.values = values[chosen].astype(complex)
        self.estimates = np.abs(self._H[m, m - 1] * Y[m - 1, chosen])

    def _keep(self, m: int) -> int:
        """How many vectors stay: the wanted ones, and few of the others, as a small space is cheap to orthogonalise in;
        more of them where that does not get there.
        """
        share = 0.2 if self._restarts < SMALL_RESTARTS else 0.5 if self._restarts < 3 * SMALL_RESTARTS else 0.65
        rest = m - len(self.values)
        return min(m - 2, len(self.values) + max(2, int(share * rest)))

    def _restart(self, T: np.ndarray, Q: np.ndarray, m: int, keep: int) -> None:
        """Cut (1) off behind the `keep` first eigenvalues, one more where a pair would be split."""
        from scipy.linalg.lapack import dtrsen

        values = _diagonal_values(T)
        chosen = leading(values, self.which, keep)
        select = np.zeros(m, dtype=np.int32)
        select[chosen] = 1
        for k in np.flatnonzero(np.diag(T, -1)):  # a block of the Schur form is taken whole
            select[k] = select[k + 1] = max(select[k], select[k + 1])
        p = int(select.sum())
        if p < m:
            T, Q, *_, info = dtrsen(select, T, Q, job=b"N", lwork=max(1, m), liwork=1)
            if info:
                raise np.linalg.LinAlgError(
                    "the Schur form could not be reordered: eigenvalues too close to tell apart"
                )
        border = self._H[m, m - 1] * Q[m - 1, :p]
        self._rotate(Q[:, :p], m)
        if m < len(self.like) or self._H[m, m - 1]:
            self._V[p] = self._V[m]
        self._H[:] = 0.0
        self._H[:p, :p], self._H[p, :p] = T[:p, :p], border
        self._size = p
        self._restarts += 1
        small, Y = np.linalg.eig(T[:p, :p])
        order = leading(small.astype(complex), self.which, self.k)
        self._small = Y[:, order].astype(complex)
        self.values, self.estimates = small[order].astype(complex), np.abs(border @ Y[:, order])

    def _rotate(self, Q: np.ndarray, m: int) -> None:
        """V ← QᵀV, some columns at a time, in place."""
        p = Q.shape[1]
        small = torch.as_tensor(np.ascontiguousarray(Q.T)).to(self._V)
        for columns in torch.split(self._V, COLUMNS, dim=1):
            columns[:p] = small @ columns[:m]
        gram = self._V[:p] @ self._V[:p].T
        gram.diagonal().sub_(1)
        self._level = max(self._eps, float(gram.abs().max()))


def _combination(rows: Tensor, y: np.ndarray) -> Tensor:
    return rows.T @ torch.as_tensor(np.ascontiguousarray(y)).to(rows)


def _diagonal_values(T: np.ndarray) -> np.ndarray:
    """The eigenvalues of a real Schur form in the order of its diagonal."""
    values = np.diag(T).astype(complex)
    for k in np.flatnonzero(np.diag(T, -1)):
        pair = np.linalg.eigvals(T[k : k + 2, k : k + 2])
        values[k : k + 2] = sorted(pair, key=lambda v: -v.imag)
    return values
