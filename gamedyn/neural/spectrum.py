"""The leading eigenvalues of a GAN's game Jacobian.

    J = Dv(z),   Jx = λx                                                                   (1)

Re λ says how fast the players settle, Im λ how fast they turn around each other.  Small games are solved
densely; large ones by Arnoldi's method on products with J itself, so the vectors it finds are right eigenvectors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn.games.products import RetainedJacobian
from gamedyn.games.transformed import unwrap

__all__ = ["DENSE_LIMIT", "ORDERS", "Spectrum", "spectrum"]

DENSE_LIMIT = 800  # up to this many parameters the whole spectrum takes seconds
NORM_STEPS = 8
ORDERS = {
    "LM": "largest modulus",
    "LR": "largest real part",
    "SR": "smallest real part",
    "LI": "largest imaginary part",
}


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """Eigenvalues of J at one point, and how far they can be trusted.

    Attributes
    ----------
    eigenvalues : ndarray `(m,)`, complex
        The leading ones in the order of `which`; conjugate pairs are never split, so m may be `wanted` + 1, and it is
        smaller where the iteration did not find all.
    residuals : ndarray `(m,)`
        ‖Jx - λx‖ for the unit eigenvectors x, from products of their own.
    converged : ndarray `(m,)`, bool
        Whether the residual is below `tolerance` ‖J‖.
    wanted : int
    which : str
        A key of `ORDERS`.
    method : str
        "dense" (all of J, by rows) or "Arnoldi on J".
    norm : float
        ‖J‖₂: exact when dense, else a lower bound from a few power steps.
    field_norm : float
        ‖v‖ at the point: eigenvalues decide about stability only where it is 0.
    products : int
        Products with J or Jᵀ spent.
    dim : int
    tolerance : float
    dtype, name : str
    step : int, optional
        The training step at which it was taken.
    """

    eigenvalues: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    wanted: int
    which: str
    method: str
    norm: float
    field_norm: float
    products: int
    dim: int
    tolerance: float
    dtype: str
    name: str
    step: int | None = None

    @property
    def imaginary_share(self) -> float:
        """Mean of |Im λ| / |λ| over these eigenvalues: 0 for a pure potential game, 1 for pure rotation."""
        sizes = np.abs(self.eigenvalues)
        seen = sizes > 0
        return float(np.mean(np.abs(self.eigenvalues.imag[seen]) / sizes[seen])) if seen.any() else float("nan")

    @property
    def missing(self) -> int:
        """How many of the wanted eigenvalues were not found, or not to the tolerance."""
        return max(0, self.wanted - int(self.converged.sum()))

    def to_json(self) -> str:
        """All of it as text, for a file."""
        record = {
            key: value for key, value in vars(self).items() if key not in ("eigenvalues", "residuals", "converged")
        }
        record["real"], record["imag"] = self.eigenvalues.real.tolist(), self.eigenvalues.imag.tolist()
        record["residuals"], record["converged"] = self.residuals.tolist(), self.converged.tolist()
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str) -> Spectrum:
        """The inverse of `to_json`."""
        record = json.loads(text)
        eigenvalues = np.array(record.pop("real")) + 1j * np.array(record.pop("imag"))
        residuals, converged = np.array(record.pop("residuals")), np.array(record.pop("converged"), dtype=bool)
        return cls(eigenvalues, residuals, converged, **record)

    def __repr__(self) -> str:
        where = "" if self.step is None else f" at step {self.step}"
        relation = "=" if self.method == "dense" else ">="
        lines = [
            f"Spectrum of J{where}, {self.name}, d = {self.dim:,}: {self.wanted} of {ORDERS[self.which]}",
            f"  {self.method}, {self.dtype}, {self.products} products; ‖J‖ {relation} {self.norm:.4g}, "
            f"‖v‖ = {self.field_norm:.3g}; imaginary share {self.imaginary_share:.3f}",
        ]
        for value, residual, good in list(zip(self.eigenvalues, self.residuals, self.converged, strict=True))[:20]:
            note = "" if good else "   NOT CONVERGED"
            lines.append(
                f"  {value.real:+12.5e} {value.imag:+12.5e}i   |λ| {abs(value):.4e}   residual {residual:.1e}{note}"
            )
        if len(self.eigenvalues) > 20:
            lines.append(f"  ... and {len(self.eigenvalues) - 20} more")
        if self.missing:
            lines.append(
                f"  {self.missing} of the {self.wanted} wanted eigenvalues did not converge; raise maxiter or take 'LM'"
            )
        return "\n".join(lines)


def spectrum(
    gan: Any,
    z: Tensor | None = None,
    k: int = 10,
    which: str = "LM",
    *,
    dtype: torch.dtype = torch.float64,
    dense_limit: int = DENSE_LIMIT,
    maxiter: int = 300,
    step: int | None = None,
) -> Spectrum:
    """Leading eigenvalues of the game Jacobian J = Dv at z, on the evaluation sample.

    Parameters
    ----------
    gan : GAN
        Or a transformed one, or any game that supplies the neural world.
    z : Tensor, optional
        `(d,)`; by default the modules' present parameters, `gan.initial()`.
    k : int
        How many; one more where the last is half of a conjugate pair.
    which : {"LM", "LR", "SR", "LI"}
        Largest modulus, largest or smallest real part, largest imaginary part.  "LM" converges best; under "LI" the
        iteration can pass over eigenvalues close to the real axis once the few far from it are found.
    dtype : torch.dtype
        Of the analysis: z and the data are cast to it.
    dense_limit : int
        Up to this d all of J is formed: d² numbers, d products.
    maxiter : int
        Restarts of the Arnoldi iteration.
    step : int, optional
        Recorded in the result.

    Raises
    ------
    ValueError
        Bad arguments; or two evaluations of v differ, so that there is no J.

    References
    ----------
    .. [1] Berard, Gidel, Almahairi, Vincent, Lacoste-Julien (2020), A closer look at the optimization landscapes of
       generative adversarial networks, ICLR, arXiv:1906.04848.

    Examples
    --------
    >>> from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring
    >>> gan = GAN(mlp_generator(2, 2, (4,)), mlp_discriminator(2, (4,)), data=ring(n=64))
    >>> s = spectrum(gan, k=4)
    >>> s.method, s.dim, s.missing
    ('dense', 39, 0)
    """
    if which not in ORDERS:
        raise ValueError(
            f"which is {which!r}; use one of {', '.join(f'{key} ({what})' for key, what in ORDERS.items())}"
        )
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= gan.dim:
        raise ValueError(f"k is {k!r}; it must be an int from 1 to d = {gan.dim}")
    z = (unwrap(gan)[0].initial() if z is None else z).detach().to(dtype)
    field = gan.field("neural")
    refuse_random(field, z)
    J = _Counted(RetainedJacobian(field, z))
    dense = gan.dim <= max(dense_limit, k + 2)
    values, vectors, norm = _dense(J) if dense else _arnoldi(J, k, which, maxiter)
    chosen = _leading(values, k, which)
    values, vectors = values[chosen], vectors[:, chosen]
    residuals = np.array([J.residual(value, x) for value, x in zip(values, vectors.T, strict=True)])
    tolerance = 1e3 * torch.finfo(dtype).eps ** (1.0 if dense else 0.75)
    return Spectrum(
        eigenvalues=values,
        residuals=residuals,
        converged=residuals <= tolerance * max(norm, np.finfo(float).tiny),
        wanted=k,
        which=which,
        method="dense" if dense else "Arnoldi on J",
        norm=norm,
        field_norm=float(J.map.field_value.norm()),
        products=J.products,
        dim=gan.dim,
        tolerance=tolerance,
        dtype=str(dtype).removeprefix("torch."),
        name=gan.name,
        step=step,
    )


def refuse_random(field: Any, z: Tensor) -> None:
    """Evaluate v twice; a spectrum needs a function.

    Raises
    ------
    ValueError
        If the two values differ by more than rounding.
    """
    with torch.no_grad():
        once, twice = field(z), field(z)
    if not bool(once.isfinite().all()):
        raise ValueError("v is not finite at this point, so it has no Jacobian there; take an earlier snapshot")
    # some GPU kernels add in a different order each time: rounding is no randomness
    if float((once - twice).norm()) > 1e3 * torch.finfo(z.dtype).eps * max(1.0, float(once.norm())):
        raise ValueError(
            f"two evaluations of v at the same point differ by {float((once - twice).norm()):.3g}: the networks draw "
            f"random numbers or keep hidden state; call .eval() on them before a spectrum"
        )


class _Counted:
    """Products of a Jacobian with NumPy vectors, counted."""

    def __init__(self, J: RetainedJacobian) -> None:
        self.map, self.products = J, 0

    def __matmul__(self, x: np.ndarray) -> np.ndarray:
        return self._apply(self.map.jvp, x)

    def transposed(self, x: np.ndarray) -> np.ndarray:
        return self._apply(self.map.vjp, x)

    def _apply(self, product: Any, x: np.ndarray) -> np.ndarray:
        self.products += 1
        u = torch.as_tensor(np.ascontiguousarray(x)).to(self.map.field_value)
        return product(u).cpu().double().numpy()

    def residual(self, value: complex, x: np.ndarray) -> float:
        image = self @ x.real + (1j * (self @ x.imag) if np.any(x.imag) else 0)
        return float(np.linalg.norm(image - value * x) / np.linalg.norm(x))


def _dense(J: _Counted) -> tuple[np.ndarray, np.ndarray, float]:
    matrix = J.map.to_dense().cpu().double().numpy()
    J.products += J.map.dim
    values, vectors = np.linalg.eig(matrix)
    return values.astype(complex), vectors, float(np.linalg.norm(matrix, 2))


def _arnoldi(J: _Counted, k: int, which: Any, maxiter: int) -> tuple[np.ndarray, np.ndarray, float]:
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs

    d = J.map.dim
    operator: Any = LinearOperator((d, d), matvec=J.__matmul__, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(d)  # ARPACK's own start would come from hidden randomness
    wanted = min(k + 2, d - 2)  # the margin completes a conjugate pair at the end
    eps = torch.finfo(J.map.field_value.dtype).eps
    try:
        values, vectors = eigs(
            operator, wanted, which=which, v0=start, ncv=min(d, 3 * wanted + 20), maxiter=maxiter, tol=eps**0.75
        )
    except ArpackNoConvergence as failure:
        values, vectors = failure.eigenvalues, failure.eigenvectors
    return values, vectors, _norm(J, start)


def _norm(J: _Counted, x: np.ndarray) -> float:
    """A lower bound of ‖J‖₂ by power steps with JᵀJ."""
    size = 0.0
    for _ in range(NORM_STEPS):
        length = np.linalg.norm(x)
        if length == 0:
            return 0.0
        image = J @ (x / length)
        size, x = float(np.linalg.norm(image)), J.transposed(image)
    return size


def _leading(values: np.ndarray, k: int, which: str) -> np.ndarray:
    """Positions of the k first eigenvalues in an order, k + 1 where the k-th is half of a conjugate pair."""
    key = {"LM": -np.abs(values), "LR": -values.real, "SR": values.real, "LI": -np.abs(values.imag)}[which]
    scale = np.abs(values).max(initial=0.0) or 1.0
    key = np.round(key / scale, 12)  # the halves of a pair stay together, the one above the axis first
    order = np.lexsort((-values.imag, np.abs(values.imag), key))
    chosen, rest = order[:k], order[k:]
    if len(rest) and len(chosen):
        last, following = values[chosen[-1]], values[rest[0]]
        if last.imag > 0 and abs(following - last.conjugate()) <= 1e-8 * scale:
            chosen = order[: k + 1]
    return chosen
