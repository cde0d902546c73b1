"""How the eigenvalues of a Jacobian too large for all of them are distributed, from products with random vectors.

    μ_u = Σ_k (uᵀy_k)² δ(λ_k),   E μ_u = (1/d) Σ_k δ(λ_k)   for u uniform on the sphere, S y_k = λ_k y_k      (1)

Of a symmetric operator, S or a player's own Hessian block, m Lanczos steps from u give the Gauss rule of μ_u: its
moments up to 2m - 1 are exact, its mass left of a point lies between sharp bounds, and the mean over several u, with
its spread, estimates the density.  For J itself there is no such theorem: see `RitzCloud`.

References
----------
.. [1] S. Ubaru, J. Chen, Y. Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, SIAM J. Matrix Anal.
   Appl. 38 (2017) 1075-1099.
.. [2] B. Ghorbani, S. Krishnan, Y. Xiao, An investigation into neural net optimization via Hessian eigenvalue density,
   ICML (2019), arXiv:1901.10159.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gamedyn.stability.density.density_results import RitzCloud, SpectralDensity
from gamedyn.stability.density.gauss_quadrature import GaussRule
from gamedyn.stability.jacobian import DENSE_DIMENSION, GameJacobian
from gamedyn.stability.nonnormal.nonnormal import jacobian_of, linear_map
from gamedyn.stability.spectra.spectra import torch_products

__all__ = ["RitzCloud", "SpectralDensity", "spectral_density"]

PROBES = 8
STREAM = 20240711  # keeps the probes apart from what a caller draws with the same seed


def spectral_density(
    M: Any,
    z: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    part: str | int = "symmetric",
    probes: int | None = None,
    steps: int = 60,
    seed: int = 0,
) -> SpectralDensity | RitzCloud:
    """The distribution of the eigenvalues of S, of a player's own block, or a picture of that of J.

    Parameters
    ----------
    M : game or Field with z, GameJacobian or matrix `(d, d)` without
        A matrix is J.
    z : `(d,)`, optional
    params : mapping, optional
        Values of the game's parameters.
    part : {"symmetric", "full"} or a player by name or number
        S = (J + Jᵀ)/2; J itself; or ∂v_i/∂z_i of one player, its Hessian where it has a cost (else its symmetric part).
    probes : int, optional
        Random vectors u, at least 2.  By default 8, and all eigenvalues instead where d <= 600 (for S and blocks).
    steps : int
        m, products per probe (twice that for S); m + 1 vectors of length d are held.
    seed : int
        Of the probes.

    Returns
    -------
    SpectralDensity, or RitzCloud for "full"

    Raises
    ------
    ValueError
        Too few probes or steps, a part that is not there, a game without its point, or products that are not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((1000, 1000)) / 1000**0.5
    >>> spectral_density(A, probes=8, steps=40)  # a semicircle from -√2 to √2
    SpectralDensity of S, d = 1,000: 8 probes of 40 Lanczos steps, 640 products
      eigenvalues reach from -1.4 to 1.41 or further; left of zero 0.5... [0.4..., 0.5...] of them
      beyond 1e-3 of the largest modulus: negative 0.5... [0.4..., 0.5...], positive 0.4... [0.4..., 0.5...]
      mean -0.0009... [-0.03..., 0.03...], root mean square 0.707 [0.69..., 0.71...]; 95 % intervals
    """
    _require_count("steps", steps, 1)
    if probes is not None:
        _require_count("probes", probes, 2)
    J = _operator(M, z, params)
    if part == "full":
        return _cloud(J, PROBES if probes is None else probes, int(steps), seed)
    A, name, doubled = _symmetric_part(J, part, seed)
    if probes is None and A.dim <= DENSE_DIMENSION:
        matrix = A.dense_array()
        values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
        rule = GaussRule(values, np.full(A.dim, 1 / A.dim))
        return SpectralDensity((rule,), A.dim, name, 0, A.dim, seed)
    return _lanczos_density(A, name, PROBES if probes is None else probes, int(steps), seed, doubled)


def _lanczos_density(A: GameJacobian, name: str, probes: int, steps: int, seed: int, doubled: int) -> SpectralDensity:
    from gamedyn.stability.density.lanczos import lanczos

    product, _, like = torch_products(A)
    rules, spent = [], 0
    for k in range(probes):
        diagonal, side, invariant = lanczos(product, _probe(like, seed, k), steps)
        rules.append(GaussRule.of(diagonal, side, invariant=invariant))
        spent += doubled * len(diagonal)
    return SpectralDensity(tuple(rules), A.dim, name, steps, spent, seed)


def _cloud(J: GameJacobian, probes: int, steps: int, seed: int) -> RitzCloud:
    from gamedyn.stability.density.lanczos import arnoldi

    product, _, like = torch_products(J)
    found = [arnoldi(product, _probe(like, seed, k), steps) for k in range(probes)]
    matrices = tuple(H[: H.shape[1]] for H, _ in found)
    left = np.array([0.0 if invariant else H[-1, -1] for H, invariant in found])
    return RitzCloud(matrices, left, J.dim, steps, sum(len(H) for H in matrices), seed)


def _symmetric_part(J: GameJacobian, part: str | int, seed: int) -> tuple[GameJacobian, str, int]:
    """The operator, its name, and how many products with J or Jᵀ one of its products takes."""
    if part == "symmetric":
        return J.symmetric, "S", 2
    if part not in {name for k, p in enumerate(J.players) for name in (k, p.name)}:
        known = f"its players are {[p.name for p in J.players]}" if J.players else "it knows no players"
        raise ValueError(f"part={part!r} is neither 'symmetric' nor 'full' nor a player of this Jacobian; {known}")
    block = J.block(part)
    named = next(p.name for k, p in enumerate(J.players) if part in (k, p.name))
    product, transposed, like = torch_products(block)
    u = _probe(like, seed, 0)
    image = product(u).clone()
    apart, size = float((image - transposed(u)).norm()), float(image.norm())
    precision = 1e-7 if str(like.dtype) == "torch.float64" else 1e-3
    if apart <= precision * size:
        return block, f"the block of '{named}'", 1
    return block.symmetric, f"the symmetric part of the block of '{named}'", 2


def _operator(M: Any, z: Any, params: Any) -> GameJacobian:
    """J, also of a matrix or operator of any size, and knowing whose coordinates are which."""
    if z is None and not isinstance(M, GameJacobian):
        given = linear_map(M, params=params, kind="jacobian").operator
        if np.iscomplexobj(given) or np.issubdtype(given.dtype, np.complexfloating):
            raise ValueError("the matrix is complex, and a game Jacobian is real; give its real form")
        d, backward = given.shape[0], given.T if isinstance(given, np.ndarray) else given.H
        dense = given.copy if isinstance(given, np.ndarray) else None
        return GameJacobian(lambda u: given @ u, lambda u: backward @ u, d, "array", np.zeros(d), dense=dense)
    J = jacobian_of(M, z, params)
    if J.players or z is None:
        return J
    return GameJacobian(J.product, J.transposed, J.dim, J.world, J.zero, dense=J.to_dense, players=M.players)


def _probe(like: Any, seed: int, k: int) -> Any:
    """The k-th Gaussian vector of a seed; its direction is uniform."""
    import torch

    u = np.random.default_rng((STREAM, seed, k)).standard_normal(len(like))
    return torch.from_numpy(u).to(like)


def _require_count(what: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        why = ", so that their spread gives an interval" if what == "probes" else ""
        raise ValueError(f"{what}={value!r} must be an int of at least {least}{why}")
