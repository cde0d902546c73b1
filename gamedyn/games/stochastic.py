"""Stochastic games: oracles that give a step map a fresh field each step.

An oracle has `draw(k, world)`, the random field of step k, a pure function of (seed, k) and of the number of
the evaluation within the step.  `sampling="same"` fixes the sample for the whole step; `"independent"` draws
at each evaluation.  The samples are drawn by NumPy in every world, so that all worlds see the same stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from gamedyn.games.coefficients import map_coefficients
from gamedyn.games.field import Element, Field, NotInThisWorld
from gamedyn.games.functions import exact_number
from gamedyn.games.random_field import AverageField, RandomField, SampleAxisField, Shape, ShiftedField
from gamedyn.games.symbolic import SymbolicGame
from gamedyn.games.transformed import TransformedGame, unwrap

__all__ = ["SAMPLINGS", "AdditiveNoise", "FiniteSum", "is_independent"]

SAMPLINGS = ("same", "independent")


def is_independent(sampling: str) -> bool:
    """Whether every evaluation draws.

    Raises
    ------
    ValueError
        If `sampling` is neither "same" nor "independent".
    """
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling={sampling!r} is not one of {SAMPLINGS}: one sample per step, or one per evaluation")
    return sampling == "independent"


def _generator(seed: int, k: int, e: int) -> np.random.Generator:
    """The stream of evaluation e of step k."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(k), e)))


class _Oracle:
    """What oracles of games in formulas share: seed, sampling, transforms, the refusal of exact worlds."""

    def __init__(self, game: Any, seed: int, sampling: str) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed is {seed!r}; it must be an integer >= 0")
        self.game, self.seed, self.sampling = game, int(seed), sampling
        self.independent = is_independent(sampling)
        self._base, self._transforms = unwrap(game)
        self._fields: dict[Any, Field] = {}

    def _transformed(self, F: Field) -> Field:
        """F through the transforms of the game."""
        for transform in self._transforms:
            F = map_coefficients(transform, float).field(F)
        return F

    def _check_world(self, world: str) -> None:
        if world not in ("array", "neural"):
            raise NotInThisWorld(
                "draw", world, "samples are numbers; moments of a random step come from gd.mean_square_radius"
            )


class AdditiveNoise(_Oracle):
    """A game whose field is seen with Gaussian noise.

        F(z) = v(z) + ξ,   ξ ~ N(0, Q)

    Every orbit of a batch has its own noise; adding orbits to a batch leaves that of the others as it is.

    Parameters
    ----------
    game : game
        With the array or the neural world, and no free parameter.
    sigma : float or array `(d,)`, optional
        Standard deviation of every component; or give `covariance`.
    covariance : array `(d, d)`, optional
        Q, symmetric and positive semidefinite.
    seed : int
    sampling : {"same", "independent"}
        One ξ for the whole step, or one per evaluation.

    Raises
    ------
    ValueError
        If neither or both of `sigma` and `covariance` are given, or Q is no covariance of d components.

    Examples
    --------
    >>> import gamedyn as gd
    >>> g = gd.games.bilinear(1)
    >>> T = gd.StepMap(gd.Extragradient(0.5), g, oracle=gd.AdditiveNoise(g, sigma=0.1, seed=3))
    >>> gd.simulate(T, [1.0, 0.0], steps=200).z.shape
    (201, 2)
    """

    def __init__(
        self, game: Any, sigma: Any = None, *, covariance: Any = None, seed: int = 0, sampling: str = "same"
    ) -> None:
        super().__init__(game, seed, sampling)
        if game.parameters:
            raise ValueError(f"'{game.name}' has parameters without a value: {list(game.parameters)}; bind them first")
        if (sigma is None) == (covariance is None):
            raise ValueError("give either sigma (standard deviations) or covariance (a matrix)")
        d = game.dim
        if sigma is not None:
            deviations = np.asarray(sigma, dtype=float)
            if deviations.shape not in ((), (d,)) or not (deviations >= 0).all():
                raise ValueError(f"sigma must be one number >= 0, or one per coordinate ({d}), got {sigma!r}")
            covariance = np.diag(np.broadcast_to(deviations**2, (d,)))
        self.covariance = _covariance(covariance, d)
        values, vectors = np.linalg.eigh(self.covariance)
        self._root = vectors * np.sqrt(np.maximum(values, 0))  # Q = root rootᵀ
        if sigma is not None:
            self._root = np.diag(np.broadcast_to(deviations, (d,)))

    @property
    def mean_game(self) -> Any:
        """The game without noise."""
        return self.game

    def noise(self, k: int, e: int = 0, batch: Shape = ()) -> np.ndarray:
        """ξ of evaluation e of step k, `(d,)` or `(d, *batch)`."""
        normal = _generator(self.seed, k, e).standard_normal((*batch, len(self._root)))
        return np.moveaxis(normal @ self._root.T, -1, 0)

    def draw(self, k: int, world: str = "neural") -> Field:
        """The field of step k."""
        self._check_world(world)
        if world not in self._fields:
            self._fields[world] = self._base.field(world)
        F = self._fields[world]

        def sample(e: int, z: Element) -> Field:
            xi = self.noise(k, e, tuple(z.shape[1:]))
            return ShiftedField(F, xi if world == "array" else z.new_tensor(xi))

        return self._transformed(RandomField(sample, lambda: F, F, independent=self.independent))

    def __repr__(self) -> str:
        return f"AdditiveNoise({self.game.name}, d = {self.game.dim}, seed {self.seed}, {self.sampling} sample)"


def _covariance(covariance: Any, d: int) -> np.ndarray:
    """A covariance of d components, checked."""
    Q = np.asarray(covariance, dtype=float)
    if Q.shape != (d, d) or not np.isfinite(Q).all():
        raise ValueError(f"the covariance must be a finite matrix ({d}, {d}), got shape {Q.shape}")
    scale = np.max(np.abs(Q), initial=0.0)
    if not np.max(np.abs(Q - Q.T), initial=0.0) <= 1e-12 * scale:
        raise ValueError("the covariance must be symmetric; give (Q + Q.T)/2")
    smallest = float(np.linalg.eigvalsh(Q)[0])
    if smallest < -1e-12 * scale:
        raise ValueError(f"the covariance must be positive semidefinite, its smallest eigenvalue is {smallest:.3g}")
    return Q


class FiniteSum(_Oracle):
    """A game that is the average of n samples, seen one mini-batch at a time.

        v(z) = (1/n) Σⱼ v(z; aⱼ),   F(z) = mean of v(z; aⱼ) over the batch_size samples j of the batch

    Sample j gives the game's parameters their j-th values.  Batches are drawn uniformly with replacement; in the
    array world every orbit draws its own, in the neural world one batch serves the whole state.

    Parameters
    ----------
    game : SymbolicGame, transformed or not
    samples : mapping
        Name of a parameter -> its n values `(n,)`.  Every other parameter must be bound.
    seed : int
    batch_size : int
        Samples per evaluation.
    sampling : {"same", "independent"}
        One batch for the whole step, or one per evaluation.

    Raises
    ------
    ValueError
        If a name is no parameter of the game, a parameter has no value, or lengths differ.

    Examples
    --------
    >>> import gamedyn as gd
    >>> g = gd.zero_sum("a*x*y", min="x", max="y")
    >>> oracle = gd.FiniteSum(g, {"a": [0.5, 1.5]}, seed=1)
    >>> oracle.mean_game
    mean of 2 samples of game: 2 players, d = 2
      x (x): min x*y
      y (y): min -x*y
    """

    def __init__(
        self,
        game: Any,
        samples: Mapping[str, Any],
        *,
        seed: int = 0,
        batch_size: int = 1,
        sampling: str = "same",
    ) -> None:
        super().__init__(game, seed, sampling)
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}; it must be an integer >= 1")
        self.batch_size = int(batch_size)
        self.samples = {name: np.asarray(values, dtype=float) for name, values in samples.items()}
        self._check_samples()
        self.n = len(next(iter(self.samples.values())))

    def _check_samples(self) -> None:
        unknown = [name for name in self.samples if name not in self._base.parameters]
        if unknown or not self.samples:
            have = list(self._base.parameters) or "none"
            raise ValueError(
                f"samples names {list(self.samples)}; the free parameters of '{self._base.name}' are {have}"
            )
        absent = [name for name in self.game.parameters if name not in self.samples]
        if absent:
            raise ValueError(f"the parameters {absent} have neither samples nor a value; bind them first")
        shapes = {name: values.shape for name, values in self.samples.items()}
        if len(set(shapes.values())) > 1 or any(len(s) != 1 or s[0] < 1 for s in shapes.values()):
            raise ValueError(f"samples must be arrays (n,) of one length n >= 1, got shapes {shapes}")
        bad = [name for name, values in self.samples.items() if not np.isfinite(values).all()]
        if bad:
            raise ValueError(f"the samples of {bad} are not all finite")

    @property
    def mean_game(self) -> Any:
        """The game whose field is the average of the n fields, in formulas."""
        base: SymbolicGame = self._base
        symbols = {name: base.parameter_symbol(name) for name in self.samples}

        def mean(formulas: Any) -> Any:
            if formulas is None:
                return None
            rows = [{symbols[m]: exact_number(float(v[j])) for m, v in self.samples.items()} for j in range(self.n)]
            return tuple(sp.Add(*(e.xreplace(row) for row in rows)) / self.n for e in formulas)

        name = f"mean of {self.n} samples of {base.name}"
        game = replace(base, costs=mean(base.costs), components=mean(base.components), quadratics=None, name=name)
        return TransformedGame(game, self._transforms) if self._transforms else game

    def indices(self, k: int, e: int = 0, batch: Shape = ()) -> np.ndarray:
        """The samples of evaluation e of step k, `(*batch, batch_size)`."""
        return _generator(self.seed, k, e).integers(self.n, size=(*batch, self.batch_size))

    def sample_field(self, world: str, j: int) -> Field:
        """The field of sample j, without the game's transforms."""
        if (world, j) not in self._fields:
            values = {name: float(v[j]) for name, v in self.samples.items()}
            self._fields[world, j] = self._base.field(world, values)
        return self._fields[world, j]

    def draw(self, k: int, world: str = "neural") -> Field:
        """The field of step k."""
        self._check_world(world)

        def sample(e: int, z: Element) -> Field:
            if world == "array":
                return self._array_field(self.indices(k, e, tuple(z.shape[1:])))
            fields = [self.sample_field(world, int(j)) for j in self.indices(k, e)]
            return fields[0] if len(fields) == 1 else AverageField(fields)

        like = self.sample_field(world, 0)
        return self._transformed(RandomField(sample, lambda: self._mean(world), like, independent=self.independent))

    def _array_field(self, indices: np.ndarray) -> Field:
        """The average over the last axis of some samples."""
        values = {name: v[indices] for name, v in self.samples.items()}
        if indices.shape[-1] == 1:
            return self._base.field("array", {name: v[..., 0] for name, v in values.items()})
        return SampleAxisField(self._base.field("array", values))

    def _mean(self, world: str) -> Field:
        if world == "array":
            return self._array_field(np.arange(self.n))
        return AverageField([self.sample_field(world, j) for j in range(self.n)])

    def __repr__(self) -> str:
        return (
            f"FiniteSum({self.game.name}, d = {self.game.dim}, n = {self.n}, batch_size {self.batch_size}, "
            f"seed {self.seed}, {self.sampling} sample)"
        )
