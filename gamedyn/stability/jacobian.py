"""The game Jacobian J = Dv at a point, as an operator: products first, dense on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column
from gamedyn.games.field import Field
from gamedyn.games.functions import exact_number
from gamedyn.maps.worlds import state_world, world_field
from gamedyn.stability.eigenvalues import ORDER, Eigenvalues, arnoldi, exact_eigenvalues, first_exact, leading

DENSE_DIMENSION = 600  # up to here eigenvalues come from the dense matrix
DENSE_BYTES = 2 * 2**30  # `to_dense` refuses beyond


class GameJacobian:
    """J = Dv(z) as a linear operator on vectors `(d,)` or blocks `(d, m)`.

    `J @ u`, `J.T @ u`, `J.symmetric` (S, the potential part), `J.antisymmetric` (A, the Hamiltonian
    part); `to_dense()` and `to_scipy()` when something else wants it.

    Parameters
    ----------
    product, transposed : callable
        u -> Ju and u -> Jᵀu, in the world's own vectors.
    dim : int
        d.
    world : str
        "exact", "array" or "neural".
    zero : vector
        Any vector of the world, for its type and device.
    dense : callable, optional
        () -> J, where there is a faster way than column by column.
    """

    def __init__(
        self,
        product: Callable[[Any], Any],
        transposed: Callable[[Any], Any],
        dim: int,
        world: str,
        zero: Any,
        *,
        dense: Callable[[], Any] | None = None,
    ) -> None:
        self._product, self._transposed, self._dense = product, transposed, dense
        self.dim, self.world, self._zero = dim, world, zero

    @classmethod
    def of(cls, field: Field, z: Any) -> GameJacobian:
        """The Jacobian of a field at z, `(d,)`.

        Raises
        ------
        ValueError
            If two evaluations of v differ (neural world): a random field has no Jacobian.
        """
        if field.world == "neural":
            from gamedyn.games.products import RetainedJacobian

            kept = RetainedJacobian(field, z)  # one graph for all products
            _refuse_random(field, z.detach(), kept.field_value)
            return cls(kept.jvp, kept.vjp, kept.dim, "neural", 0 * z.detach(), dense=kept.to_dense)
        return cls(lambda u: field.jvp(z, u), lambda u: field.vjp(z, u), len(z), field.world, 0 * z)

    @property
    def shape(self) -> tuple[int, int]:
        """(d, d)."""
        return (self.dim, self.dim)

    def __matmul__(self, u: Any) -> Any:
        """Ju for a vector `(d,)` or a block `(d, m)`."""
        if self.world == "exact":
            u = sp.ImmutableMatrix(u)
            return sp.ImmutableMatrix(sp.Matrix.hstack(*[sp.Matrix(self._product(u[:, k])) for k in range(u.cols)]))
        if getattr(u, "ndim", 1) == 1:
            return self._product(u)
        columns = [self._product(u[:, k]) for k in range(u.shape[1])]
        if self.world == "array":
            return np.stack(columns, axis=1)
        import torch

        return torch.stack(columns, dim=1)

    @property
    def T(self) -> GameJacobian:
        """Jᵀ."""
        return self._like(self._transposed, self._product, lambda matrix: matrix.T)

    @property
    def symmetric(self) -> GameJacobian:
        """S = (J + Jᵀ)/2, the potential part."""
        both = lambda u: (self._product(u) + self._transposed(u)) / 2  # noqa: E731
        return self._like(both, both, lambda matrix: (matrix + matrix.T) / 2)

    @property
    def antisymmetric(self) -> GameJacobian:
        """A = (J - Jᵀ)/2, the Hamiltonian part."""
        return self._like(
            lambda u: (self._product(u) - self._transposed(u)) / 2,
            lambda u: (self._transposed(u) - self._product(u)) / 2,
            lambda matrix: (matrix - matrix.T) / 2,
        )

    def _like(self, product: Any, transposed: Any, of_matrix: Callable[[Any], Any]) -> GameJacobian:
        """The operator made of J's products, its matrix of J's matrix."""
        known = self._dense
        dense = None if known is None else lambda: of_matrix(known())
        return GameJacobian(product, transposed, self.dim, self.world, self._zero, dense=dense)

    def to_dense(self) -> Any:
        """The matrix `(d, d)`: NumPy, SymPy (exact world) or torch (neural world).

        Raises
        ------
        MemoryError
            If it would take more than 2 GiB.
        """
        bytes_needed = 8 * self.dim**2
        if bytes_needed > DENSE_BYTES:
            raise MemoryError(
                f"a dense Jacobian of d = {self.dim} takes {bytes_needed / 2**30:.1f} GiB; "
                f"use products (J @ u), eigenvalues(k=...) or to_scipy()"
            )
        if self._dense is not None:
            return self._dense()
        if self.world == "exact":
            return self @ sp.eye(self.dim)
        if self.world == "array":
            return self @ np.eye(self.dim)
        import torch

        return self @ torch.eye(self.dim, dtype=self._zero.dtype, device=self._zero.device)

    def to_scipy(self) -> Any:
        """A `scipy.sparse.linalg.LinearOperator` of float64 (arrays) or of the tensors' precision."""
        from scipy.sparse.linalg import LinearOperator

        if self.world == "exact":
            raise TypeError("an exact Jacobian is a SymPy matrix; take to_dense(), or a float point")
        return LinearOperator(
            self.shape, matvec=self._numpy(self._product), rmatvec=self._numpy(self._transposed), dtype=np.float64
        )

    def _numpy(self, product: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
        if self.world == "array":
            return lambda u: np.asarray(product(np.ravel(u)))

        def apply(u: np.ndarray) -> np.ndarray:
            import torch

            vector = torch.as_tensor(np.ravel(u).copy(), dtype=self._zero.dtype, device=self._zero.device)
            return product(vector).detach().cpu().double().numpy()

        return apply

    def eigenvalues(self, k: int | None = None, which: str = "LM") -> Eigenvalues:
        """Eigenvalues: all of them while d is small, the leading k by a Krylov method beyond.

        Parameters
        ----------
        k : int, optional
            How many; all by default.  A conjugate pair is never split, so k + 1 may come back.
        which : {"LM", "LR", "SR", "LI"}
            Largest modulus, largest or smallest real part, largest imaginary part.

        Returns
        -------
        Eigenvalues

        Raises
        ------
        ValueError
            If `which` is unknown, k is missing where d exceeds the dense limit, or k of several eigenvalues with
            free symbols are asked for.
        """
        if which not in ORDER:
            raise ValueError(f"which={which!r} is not one of {sorted(ORDER)}")
        if self.world == "exact":
            return Eigenvalues(first_exact(exact_eigenvalues(self.to_dense()), k, which), method="exact")
        if self.dim <= DENSE_DIMENSION:
            return self._dense_eigenvalues(k, which)
        if k is None:
            raise ValueError(f"d = {self.dim} exceeds {DENSE_DIMENSION}: say how many eigenvalues, eigenvalues(k=20)")
        return self._krylov(k, which)

    def _dense_eigenvalues(self, k: int | None, which: str) -> Eigenvalues:
        matrix = self.to_dense()
        matrix = matrix if self.world == "array" else matrix.detach().cpu().double().numpy()
        values, vectors = np.linalg.eig(matrix)
        order = leading(values, which, k)
        values, vectors = values[order], vectors[:, order]
        residuals = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
        return Eigenvalues(values, residuals, vectors, "dense")

    def _krylov(self, k: int, which: str) -> Eigenvalues:
        operator = self.to_scipy()
        values, vectors, note = arnoldi(operator, k, which, max(3 * k, 40))
        if not len(values):  # a larger subspace finds what a smaller one with many restarts passes over
            values, vectors, note = arnoldi(operator, k, which, max(8 * k, 160))
        if not len(values):
            return Eigenvalues(values, np.zeros(0), vectors, "Arnoldi", note)
        order = leading(values, which, k)
        values, vectors = values[order], vectors[:, order]
        images = np.stack([operator @ v.real + 1j * (operator @ v.imag) for v in vectors.T], axis=1)
        return Eigenvalues(values, np.linalg.norm(images - vectors * values, axis=0), vectors, "Arnoldi", note)

    def __repr__(self) -> str:
        if self.world != "neural" and self.dim <= 8:
            return f"GameJacobian({self.to_dense()!s})"
        return f"GameJacobian(d = {self.dim}, {self.world})"


def _refuse_random(field: Field, z: Any, value: Any) -> None:
    """Evaluate v once more: J belongs to a function."""
    import torch

    with torch.no_grad():
        apart = float((field(z) - value).norm())
    # Some GPU kernels add in another order each time: rounding is no randomness.
    if apart > 1e3 * torch.finfo(z.dtype).eps * max(1.0, float(value.norm())):
        raise ValueError(
            f"two evaluations of v at the same point differ by {apart:.3g}: the costs draw random numbers or keep "
            f"hidden state; fix the sample (and call .eval() on networks) before taking a Jacobian"
        )


# entry points --------------------------------------------------------------------------------------


def enter(game: Any, z: Any, params: Any = None) -> tuple[Field, Any]:
    """The field of the world that z belongs to, and z in that world's type.

    Raises
    ------
    ValueError
        If z does not have the game's dimension.
    """
    world, z = state_world(z)
    if len(z) != game.dim:
        raise ValueError(f"'{game.name}' has d = {game.dim} coordinates, got a point with {len(z)}")
    if world == "array" and "array" not in game.worlds:
        import torch

        world, z = "neural", torch.as_tensor(z)
    return world_field(game, world, params), z


def field(game: Any, z: Any, params: Any = None) -> Any:
    """The joint gradient field v(z) = (∇₁c₁, …, ∇ₙcₙ).

    Parameters
    ----------
    game : game
    z : array `(d,)` or `(d, batch)`, SymPy column, or torch vector
    params : mapping, optional
        Values of the game's parameters.

    Returns
    -------
    ndarray, SymPy column or tensor of the shape of z.

    Examples
    --------
    >>> import gamedyn as gd
    >>> gd.field(gd.games.bilinear(1), [1.0, 2.0])
    array([ 2., -1.])
    """
    F, z = enter(game, z, params)
    if F.world != "neural" or z.requires_grad:
        return F(z)
    import torch

    with torch.no_grad():
        return F(z)


def jacobian(game: Any, z: Any, params: Any = None) -> GameJacobian:
    """The game Jacobian J = Dv at z.

    Parameters
    ----------
    game : game
    z : array `(d,)`, SymPy column (or list with SymPy entries), or torch vector
    params : mapping, optional

    Returns
    -------
    GameJacobian

    Examples
    --------
    >>> import gamedyn as gd
    >>> J = gd.jacobian(gd.zero_sum("x**2 + 4*x*y - y**2", min="x", max="y"), [0.0, 0.0])
    >>> J.to_dense()
    array([[ 2.,  4.],
           [-4.,  2.]])
    >>> J.antisymmetric @ [1.0, 0.0]
    array([ 0., -4.])
    """
    F, z = enter(game, z, params)
    if getattr(z, "ndim", 1) == 2 and not isinstance(z, sp.MatrixBase):
        raise ValueError(f"a Jacobian is taken at one point (d,), got shape {tuple(z.shape)}")
    return GameJacobian.of(F, z)


def as_point(z: Any) -> Any:
    """z as a SymPy column if it is exact (integers or SymPy numbers throughout), else unchanged."""
    if isinstance(z, sp.MatrixBase):
        return z
    if isinstance(z, Sequence) and all(isinstance(e, (int, sp.Expr)) and not isinstance(e, bool) for e in z):
        return column(exact_number(e) for e in z)
    return z
