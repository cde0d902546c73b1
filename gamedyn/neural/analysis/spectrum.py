"""The leading eigenvalues of a GAN's game Jacobian.

    J = Dv(z),   Jx = λx                                                                   (1)

Re λ says how fast the players settle, Im λ how fast they turn around each other.  Small games are solved
densely; large ones by the Krylov-Schur method on products with J itself, so its vectors are right eigenvectors.
"""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn.games.transformed import unwrap
from gamedyn.neural.analysis.kinks import kinked_parts
from gamedyn.stability.jacobian import GameJacobian
from gamedyn.stability.rotation.rotation import mean_imaginary_share
from gamedyn.stability.spectra.eigenvalues import Eigenvalues
from gamedyn.stability.spectra.spectra import dense_eigenvalues

__all__ = ["DENSE_LIMIT", "ORDERS", "Spectrum", "spectrum"]

DENSE_LIMIT = 800  # up to this many parameters the whole spectrum takes seconds
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
        "dense" (all of J, by rows), or the iteration with the size of its space.
    norm : float
        ‖J‖₂: exact when dense, else a lower bound, the norm of J in the space.
    field_norm : float
        ‖v‖ at the point: eigenvalues decide about stability only where it is 0.
    products : int
        Products with J or Jᵀ spent.
    dim : int
    tolerance : float
    dtype, name : str
    step : int, optional
        The training step at which it was taken.
    conditions : ndarray `(m,)` or None
        κ(λ), where asked for: beyond 1e4 an eigenvalue is ill-conditioned.
    kinks : tuple of str
        Layers and settings found at whose kinks v jumps, as "ReLU in generator".  J leaves these jumps out.
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
    conditions: np.ndarray | None = None
    kinks: tuple[str, ...] = ()

    @property
    def imaginary_share(self) -> float:
        """Mean of |Im λ| / |λ| over these eigenvalues: 0 for a pure potential game, 1 for pure rotation."""
        return mean_imaginary_share(self.eigenvalues)

    @property
    def missing(self) -> int:
        """How many of the wanted eigenvalues were not found, or not to the tolerance."""
        return max(0, self.wanted - int(self.converged.sum()))

    def to_json(self) -> str:
        """All of it as text, for a file."""
        arrays = ("eigenvalues", "residuals", "converged", "conditions")
        record = {key: value for key, value in vars(self).items() if key not in arrays}
        record["real"], record["imag"] = self.eigenvalues.real.tolist(), self.eigenvalues.imag.tolist()
        record["residuals"], record["converged"] = self.residuals.tolist(), self.converged.tolist()
        record["conditions"] = None if self.conditions is None else self.conditions.tolist()
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str) -> Spectrum:
        """The inverse of `to_json`."""
        record = json.loads(text)
        eigenvalues = np.array(record.pop("real")) + 1j * np.array(record.pop("imag"))
        residuals, converged = np.array(record.pop("residuals")), np.array(record.pop("converged"), dtype=bool)
        conditions = record.pop("conditions", None)
        record["conditions"] = None if conditions is None else np.array(conditions)
        record["kinks"] = tuple(record.pop("kinks", ()))
        return cls(eigenvalues, residuals, converged, **record)

    def __repr__(self) -> str:
        where = "" if self.step is None else f" at step {self.step}"
        relation = "=" if self.method == "dense" else ">="
        lines = [
            f"Spectrum of J{where}, {self.name}, d = {self.dim:,}: {self.wanted} of {ORDERS[self.which]}",
            f"  {self.method}, {self.dtype}, {self.products} products; ‖J‖ {relation} {self.norm:.4g}, "
            f"‖v‖ = {self.field_norm:.3g}; imaginary share {self.imaginary_share:.3f}",
        ]
        kappas = np.full(len(self.eigenvalues), np.nan) if self.conditions is None else self.conditions
        rows = zip(self.eigenvalues, self.residuals, self.converged, kappas, strict=True)
        for value, residual, good, kappa in list(rows)[:20]:
            known = "" if np.isnan(kappa) else f"   κ {kappa:.1e}"
            note = "" if good else "   NOT CONVERGED"
            lines.append(
                f"  {value.real:+12.5e} {value.imag:+12.5e}i   |λ| {abs(value):.4e}   "
                f"residual {residual:.1e}{known}{note}"
            )
        if len(self.eigenvalues) > 20:
            lines.append(f"  ... and {len(self.eigenvalues) - 20} more")
        if self.kinks:
            note = f"J leaves out the kinks of {', '.join(self.kinks)}"
            lines.append(f"  {textwrap.shorten(note, 118, placeholder=' ...')}")
        if self.missing:
            lines.append(
                f"  {self.missing} of the {self.wanted} wanted eigenvalues did not converge; "
                "raise maxiter or basis, or take 'LM'"
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
    products: str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Spectrum:
    """Leading eigenvalues of the game Jacobian J = Dv at z, on the evaluation sample.

    J is the derivative of v at z.  Where the networks have kinks (ReLU, leaky ReLU, maxima, `MinibatchDiscrimination`)
    or the loss has (hinge), v jumps wherever a row of the sample crosses one.  J leaves the jumps out, and they do not
    average out as rows grow: over a step v may change otherwise than J says, by tens of per cent.  `Spectrum.kinks`
    names what was found, and `gamedyn.neural.kinks` measures it; with tanh, softplus, silu or gelu there is nothing.

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
        Of the analysis: z and the data are cast to it.  float32 costs a good half of the time.
    dense_limit : int
        Up to this d all of J is formed: d² numbers, d products.
    maxiter : int
        Restarts of the iteration.
    step : int, optional
        Recorded in the result.
    products : {"auto", "retained", "recorded", "compiled"}
        How products with J are made; see `gamedyn.games.products.RetainedJacobian`.
    checkpoint : path, optional
        The iteration is saved there after every restart, and goes on from there if the file exists; it is removed once
        all have converged.
    **options
        `tolerance`, `basis`, `conditions`, `start`, `seed` and `report` of `GameJacobian.eigenvalues`.

    Raises
    ------
    ValueError
        Bad arguments; two evaluations of v differ, or v is not finite, so that there is no J.

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
    unknown = set(options) - {"tolerance", "basis", "conditions", "verify", "start", "seed", "report"}
    if unknown:
        raise TypeError(f"spectrum has no argument {', '.join(sorted(unknown))}; see its docstring")
    z = torch.as_tensor(unwrap(gan)[0].initial() if z is None else z).detach().to(dtype)
    if z.shape != (gan.dim,):
        raise ValueError(f"z has shape {tuple(z.shape)}; '{gan.name}' needs a vector ({gan.dim},)")
    field = gan.field("neural")
    J = GameJacobian.of(field, z, products)
    if gan.dim <= max(dense_limit, k + 2):
        found = dense_eigenvalues(J.dense_array(), k, which, precision=torch.finfo(dtype).eps)
    else:
        found = _resumable(J, k, which, checkpoint, restarts=maxiter, **options)
    with torch.no_grad():
        field_norm = float(field(z).norm())
    return Spectrum(
        eigenvalues=np.asarray(found.values, dtype=complex),
        residuals=found.residuals,
        converged=found.converged,
        wanted=k,
        which=which,
        method=found.method,
        norm=found.norm,
        field_norm=field_norm,
        products=found.products,
        dim=gan.dim,
        tolerance=found.tolerance,
        dtype=str(dtype).removeprefix("torch."),
        name=gan.name,
        step=step,
        conditions=found.conditions,
        kinks=kinked_parts(gan),
    )


def _resumable(J: GameJacobian, k: int, which: str, checkpoint: Any, **options: Any) -> Eigenvalues:
    """The iteration, with its state in a file as long as it runs."""
    if checkpoint is None:
        return J.eigenvalues(k, which, **options)
    from gamedyn.stability.spectra.krylov_store import load_state, save_state

    path, report = Path(checkpoint), options.pop("report", None)

    def kept(search: Any) -> None:
        save_state(path, search.snapshot())
        if report is not None:
            report(search)

    state = load_state(path) if path.exists() else None
    found = J.eigenvalues(k, which, state=state, report=kept, **options)
    if found.converged.all():  # else a later call goes on from the file
        path.unlink(missing_ok=True)
    return found
