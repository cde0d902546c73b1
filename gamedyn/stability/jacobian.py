"""The game Jacobian J = Dv at a point, as an operator: products first, dense on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.exact import column as column_of
from gamedyn.games.field import Field, Player
from gamedyn.stability.points import enter
from gamedyn.stability.spectra.eigenvalues import ORDER, Eigenvalues, exact_eigenvalues, first_exact
from gamedyn.stability.spectra.spectra import dense_eigenvalues, krylov_eigenvalues

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
    players : sequence of Player, optional
        Whose coordinates are which, for `block`.
    blocks : pair of callables, optional
        U -> JU and U -> JᵀU for blocks `(d, m)`, where there is a faster way than column by column.
    costs : mapping, optional
        What products have taken (neural world): "jvp" and "vjp" -> ProductCost.
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
        players: Sequence[Player] = (),
        blocks: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None,
        costs: Mapping[str, Any] | None = None,
    ) -> None:
        self.product, self.transposed, self._dense = product, transposed, dense
        self.dim, self.world, self.zero = dim, world, zero
        self.players, self._blocks, self.costs = tuple(players), blocks, dict(costs or {})

    @classmethod
    def of(cls, field: Field, z: Any, products: str = "auto") -> GameJacobian:
        """The Jacobian of a field at z, `(d,)`.

        Parameters
        ----------
        field : Field
        z : `(d,)`
        products : {"auto", "retained", "recorded", "compiled"}
            How the neural world makes them; see `gamedyn.games.products.RetainedJacobian`.

        Raises
        ------
        ValueError
            If two evaluations of v differ, or v is not finite (neural world): such a field has no Jacobian.
        """
        if field.world == "neural" and not field.differentiable:
            from gamedyn.games.products import refuse_random

            refuse_random(field, z.detach())
        elif field.world == "neural":
            from gamedyn.games.products import RetainedJacobian, refuse_random

            kept = RetainedJacobian(field, z, products)  # one graph for all products
            refuse_random(field, z.detach(), kept.field_value)
            return cls(
                kept.jvp,
                kept.vjp,
                kept.dim,
                "neural",
                torch_zeros(z),
                dense=kept.to_dense,
                players=field.players,
                blocks=(lambda U: kept.block("jvp", U), lambda U: kept.block("vjp", U)),
                costs=kept.costs,
            )
        players = field.players
        zero = torch_zeros(z) if field.world == "neural" else 0 * z
        return cls(lambda u: field.jvp(z, u), lambda u: field.vjp(z, u), len(z), field.world, zero, players=players)

    @property
    def shape(self) -> tuple[int, int]:
        """(d, d)."""
        return (self.dim, self.dim)

    def __matmul__(self, u: Any) -> Any:
        """Ju for a vector `(d,)` or a block `(d, m)`.

        Raises
        ------
        ValueError
            If u has another length, or is complex.
        """
        if self.world == "exact":
            u = sp.ImmutableMatrix(u)
            return sp.ImmutableMatrix(sp.Matrix.hstack(*[sp.Matrix(self.product(u[:, k])) for k in range(u.cols)]))
        u = self._vectors(u)
        if u.ndim == 1:
            return self.product(u)
        if self._blocks is not None:
            return self._blocks[0](u)
        columns = [self.product(u[:, k]) for k in range(u.shape[1])]
        if self.world == "array":
            return np.stack(columns, axis=1)
        import torch

        return torch.stack(columns, dim=1)

    def _vectors(self, u: Any) -> Any:
        """u in the type of the world, with the right length."""
        if self.world == "array":
            u = np.asarray(u)
            real = u.dtype.kind != "c"
        else:
            import torch

            u = torch.as_tensor(u)
            real = not u.is_complex()
            u = u.to(self.zero) if real else u
        if u.ndim not in (1, 2) or len(u) != self.dim or not real:
            what = f"shape {tuple(u.shape)}" + ("" if real else " and complex numbers: multiply the parts apart")
            raise ValueError(f"products need vectors ({self.dim},) or blocks ({self.dim}, m), got {what}")
        return u

    @property
    def T(self) -> GameJacobian:
        """Jᵀ."""
        swapped = None if self._blocks is None else self._blocks[::-1]
        return self._like(self.transposed, self.product, lambda matrix: matrix.T, swapped)

    @property
    def symmetric(self) -> GameJacobian:
        """S = (J + Jᵀ)/2, the potential part."""
        return self._combined(1)

    @property
    def antisymmetric(self) -> GameJacobian:
        """A = (J - Jᵀ)/2, the Hamiltonian part."""
        return self._combined(-1)

    def _combined(self, sign: int) -> GameJacobian:
        """(J ± Jᵀ)/2."""
        forward = lambda u: (self.product(u) + sign * self.transposed(u)) / 2  # noqa: E731
        backward = forward if sign == 1 else lambda u: -forward(u)
        blocks = None
        if self._blocks is not None:
            one, other = self._blocks
            whole = lambda U: (one(U) + sign * other(U)) / 2  # noqa: E731
            blocks = (whole, whole if sign == 1 else lambda U: -whole(U))
        return self._like(forward, backward, lambda matrix: (matrix + sign * matrix.T) / 2, blocks)

    def block(self, row: int | str, column: int | str | None = None) -> GameJacobian:
        """The square block of one player, or of two of the same size, ∂v_row/∂z_column.

        Parameters
        ----------
        row, column : int or str
            Players by number or name; `column` is `row` by default.

        Raises
        ------
        ValueError
            If there is no such player, or the two have different sizes: multiply by vectors padded with zeros then.
        """
        rows, columns = self._player(row), self._player(row if column is None else column)
        if rows.size != columns.size:
            raise ValueError(
                f"the block of '{rows.name}' and '{columns.name}' is {rows.size} x {columns.size}; only square blocks "
                f"are operators of this kind"
            )

        def part(product: Callable[[Any], Any], source: Player, target: Player) -> Callable[[Any], Any]:
            def apply(u: Any) -> Any:
                if self.world == "exact":
                    padded = column_of([0] * source.start + list(u) + [0] * (self.dim - source.stop))
                    return column_of(list(product(padded))[target.slice])
                padded = 0 * self.zero
                padded[source.slice] = u
                return product(padded)[target.slice]

            return apply

        start = self.zero[columns.slice] if self.world != "exact" else column_of(list(self.zero)[columns.slice])
        dense = self._dense
        return GameJacobian(
            part(self.product, columns, rows),
            part(self.transposed, rows, columns),
            rows.size,
            self.world,
            start,
            dense=None if dense is None else lambda: dense()[rows.slice, columns.slice],
        )

    def _player(self, which: int | str) -> Player:
        named = [p for k, p in enumerate(self.players) if which in (k, p.name)]
        if not named:
            raise ValueError(f"there is no player {which!r}; there are {[p.name for p in self.players]}")
        return named[0]

    def _like(self, product: Any, transposed: Any, of_matrix: Callable[[Any], Any], blocks: Any) -> GameJacobian:
        """The operator made of J's products, its matrix of J's matrix."""
        known = self._dense
        return GameJacobian(
            product,
            transposed,
            self.dim,
            self.world,
            self.zero,
            dense=None if known is None else lambda: of_matrix(known()),
            players=self.players,
            blocks=blocks,
            costs=self.costs,
        )

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

        return self @ torch.eye(self.dim, dtype=self.zero.dtype, device=self.zero.device)

    def to_scipy(self) -> Any:
        """A `scipy.sparse.linalg.LinearOperator` of float64 (arrays) or of the tensors' precision."""
        from scipy.sparse.linalg import LinearOperator

        if self.world == "exact":
            raise TypeError("an exact Jacobian is a SymPy matrix; take to_dense(), or a float point")
        return LinearOperator(
            self.shape, matvec=self._numpy(self.product), rmatvec=self._numpy(self.transposed), dtype=np.float64
        )

    def _numpy(self, product: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
        if self.world == "array":
            return lambda u: np.asarray(product(np.ravel(u)))

        def apply(u: np.ndarray) -> np.ndarray:
            import torch

            vector = torch.as_tensor(np.ravel(u).copy(), dtype=self.zero.dtype, device=self.zero.device)
            return product(vector).detach().cpu().double().numpy()

        return apply

    def eigenvalues(self, k: int | None = None, which: str = "LM", **options: Any) -> Eigenvalues:
        """Eigenvalues: all of them while d is small, the leading k by a Krylov method beyond.

        A Krylov space of one start holds one eigenvector of a multiple eigenvalue; the others come by rounding and
        restarts, so that copies may be missing.  The condition of such a value is that of the vectors found.

        Parameters
        ----------
        k : int, optional
            How many; all by default.  A conjugate pair is never split, so k + 1 may come back.
        which : {"LM", "LR", "SR", "LI"}
            Largest modulus, largest or smallest real part, largest imaginary part.
        tolerance : float, optional
            Of the Krylov method: ‖Jx - λx‖ / ‖J‖ at which a pair has converged; 1e-12 in float64, 1e-6 in float32.
        basis : int, optional
            Vectors held at once; 3k + 20 for "LM", 4k + 20 for the others.  More vectors need fewer products.
        restarts : int
            At most (300).
        conditions : bool
            Left eigenvectors and κ(λ) as well, by as many products again with Jᵀ; dense ones always come with them.
        verify : bool
            Residuals from products of their own (k of them) rather than the iteration's estimates.
        start : vector `(d,)`, optional
            The first vector, for instance the sum of eigenvectors at a point nearby; else random, of `seed` (0).
        state : KrylovState, optional
            Of an earlier search with the same k and basis, `result.state()`, to go on from.
        report : callable, optional
            report(search) after every restart; `search.snapshot()` is a state to save.

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
        if k is None and self.dim > DENSE_DIMENSION:
            raise ValueError(f"d = {self.dim} exceeds {DENSE_DIMENSION}: say how many eigenvalues, eigenvalues(k=20)")
        if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= self.dim):
            raise ValueError(f"k is {k!r}; it must be an int from 1 to d = {self.dim}")
        plain = set(options) <= {"conditions"}
        if k is None or (self.dim <= DENSE_DIMENSION and plain) or self.dim <= k + 2:
            return dense_eigenvalues(self.dense_array(), k, which, precision=self.precision)
        return krylov_eigenvalues(self, int(k), which, **options)

    def dense_array(self) -> np.ndarray:
        """The matrix `(d, d)` as float64, of an array or a neural Jacobian."""
        matrix = self.to_dense()
        return np.asarray(matrix if self.world == "array" else matrix.detach().cpu().double().numpy(), dtype=float)

    @property
    def precision(self) -> float:
        """Relative precision of the numbers in products."""
        if self.world == "array":
            return float(np.finfo(float).eps)
        import torch

        return float(torch.finfo(self.zero.dtype).eps)

    def __repr__(self) -> str:
        if self.world != "neural" and self.dim <= 8:
            return f"GameJacobian({self.to_dense()!s})"
        return f"GameJacobian(d = {self.dim}, {self.world})"


def torch_zeros(z: Any) -> Any:
    """A zero vector like z, which may hold infinities."""
    import torch

    return torch.zeros_like(z.detach())


def jacobian(game: Any, z: Any, params: Any = None, *, products: str = "auto") -> GameJacobian:
    """The game Jacobian J = Dv at z.

    Parameters
    ----------
    game : game
    z : array `(d,)`, SymPy column (or list with SymPy entries), or torch vector
    params : mapping, optional
    products : {"auto", "retained", "recorded", "compiled"}
        How the neural world makes products: see `gamedyn.games.products.RetainedJacobian`.

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
    return GameJacobian.of(F, z, products)
