"""One look at a game during training: leading eigenvalues, rotation, the path and the field at one point.

    J = Dv(z),   Jx = λx,   ‖A‖_F/‖J‖_F,   cos = ⟨-v(z), z - z⁻⟩ / (‖v(z)‖ ‖z - z⁻‖)                  (1)

z⁻ is the point of the look before.  The Krylov space starts from the sum of the last eigenvectors, real and imaginary
parts, and a little noise, by which it finds directions that have become leading since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gamedyn.games.field import Field
from gamedyn.stability.jacobian import GameJacobian
from gamedyn.stability.points import enter
from gamedyn.stability.rotation.rotation import mean_imaginary_share, rotation_angle
from gamedyn.stability.rotation.split_norms import SplitNorms, dense_norms, probed_norms
from gamedyn.stability.spectra.eigenvalues import Eigenvalues
from gamedyn.stability.spectra.spectra import dense_eigenvalues

__all__ = ["Look", "MonitorRecord"]

DENSE = 64  # up to here all of J is formed
NOISE = 0.1  # of the start, in units of the last eigenvectors' sum
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-6}  # of ‖Jx - λx‖ / ‖J‖
_EMPTY = np.zeros(0)


@dataclass(frozen=True, eq=False, repr=False)
class MonitorRecord:
    """One line of a monitor's file.

    Attributes
    ----------
    step : int
    skipped : str
        Why nothing was measured ("budget"), else empty; of several due steps in a row the first has a record.
    nonfinite : str
        What was not finite, else empty; eigenvalues, rotation and path are then missing.
    eigenvalues : ndarray `(m,)`, complex
        The leading ones of J in the order of `which`; k + 1 where a conjugate pair would be split.
    backward_errors : ndarray `(m,)`
        ‖Jx - λx‖ / ‖J‖ of each.
    which : str
        "LM", "LR", "SR" or "LI".
    missing : int
        How many of the k did not converge.
    antisymmetric_share : float
        ‖A‖_F/‖J‖_F in [0, 1] from random probes; NaN where rotation was not asked for.
    imaginary_share : float
        Mean of |Im λ|/|λ| in [0, 1] of these eigenvalues.
    angle : float
        Largest |arg λ| of these eigenvalues, in radians.
    path_cosine : float
        cos of (1) in [-1, 1]: 1 where the flow goes on in the direction that training came from, 0 where it is at right
        angles to it, -1 where it goes back.  NaN at the first look, and where v = 0 or the point has not moved.
    field_norms : dict of str to float
        ‖vᵢ‖ of each player.
    products : int
        With J and Jᵀ.
    seconds : float
        Of this look.
    time_share : float
        Time of all looks up to this one over that of training and looks.
    skipped_before : int
        Due steps that were skipped since the look before.
    """

    step: int
    skipped: str = ""
    nonfinite: str = ""
    eigenvalues: np.ndarray = field(default_factory=lambda: _EMPTY.astype(complex))
    backward_errors: np.ndarray = field(default_factory=lambda: _EMPTY)
    which: str = "LM"
    missing: int = 0
    antisymmetric_share: float = math.nan
    imaginary_share: float = math.nan
    angle: float = math.nan
    path_cosine: float = math.nan
    field_norms: Mapping[str, float] = field(default_factory=dict)
    products: int = 0
    seconds: float = math.nan
    time_share: float = math.nan
    skipped_before: int = 0

    @property
    def is_measured(self) -> bool:
        """Whether the look was taken and all of it was finite."""
        return not (self.skipped or self.nonfinite)

    @property
    def scalars(self) -> dict[str, float]:
        """The finite numbers of this record by the names that TensorBoard shows."""
        values = self.eigenvalues
        found = {f"field/norm_{name}": norm for name, norm in self.field_norms.items()}
        if len(values):
            found["eigen/real_min"], found["eigen/real_max"] = float(values.real.min()), float(values.real.max())
            found["eigen/modulus_max"] = float(np.abs(values).max())
            found["eigen/imag_max"] = float(np.abs(values.imag).max())
        found |= {
            "rotation/antisymmetric_share": self.antisymmetric_share,
            "rotation/imaginary_share": self.imaginary_share,
            "rotation/angle": self.angle,
            "path/cosine": self.path_cosine,
            "monitor/seconds": self.seconds,
            "monitor/time_share": self.time_share,
        }
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: eigenvalues as pairs, null for what is missing; a skipped step has its reason alone."""
        if self.skipped:
            return {"step": self.step, "skipped": self.skipped}
        record = {name: value for name, value in vars(self).items() if name not in ("skipped", "nonfinite")}
        record["eigenvalues"] = [[value.real, value.imag] for value in self.eigenvalues.tolist()]
        record["backward_errors"] = self.backward_errors.tolist()
        record["field_norms"] = dict(self.field_norms)
        if self.nonfinite:
            record["nonfinite"] = self.nonfinite
        return _encoded(record)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> MonitorRecord:
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            If it is no such record.
        """
        try:
            values: dict[str, Any] = dict(record)
            if isinstance(values["step"], bool) or not isinstance(values["step"], int):
                raise TypeError(f"the step is {values['step']!r}")
            pairs = np.array(values.pop("eigenvalues", []), dtype=float).reshape(-1, 2)
            values["eigenvalues"] = pairs[:, 0] + 1j * pairs[:, 1]
            values["backward_errors"] = np.array(values.pop("backward_errors", []), dtype=float)
            norms = values.get("field_norms", {})
            values["field_norms"] = {name: math.nan if norm is None else norm for name, norm in norms.items()}
            values |= {name: math.nan for name, value in values.items() if value is None}
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"no record of a monitor ({error!r})") from error

    def __repr__(self) -> str:
        if self.skipped:
            return f"step {self.step}: skipped ({self.skipped})"
        norms = ", ".join(f"{name} {norm:.3g}" for name, norm in self.field_norms.items())
        if self.nonfinite:
            return f"step {self.step}: {self.nonfinite} not finite; ‖v‖ {norms}"
        lead = f"{complex(self.eigenvalues[0]):.4g}" if len(self.eigenvalues) else "none"
        late = f", {self.missing} missing" if self.missing else ""
        return (
            f"step {self.step}: {len(self.eigenvalues)} eigenvalues ({self.which}), first {lead}{late}; "
            f"|A|/|J| {self.antisymmetric_share:.3g}, |Im λ|/|λ| {self.imaginary_share:.3g}, "
            f"path cosine {self.path_cosine:.3g}; ‖v‖ {norms}; {self.products} products"
        )


def _encoded(value: Any) -> Any:
    """Numbers that are not finite as None, which JSON has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _encoded(entry) for key, entry in value.items()}
    return [_encoded(entry) for entry in value] if isinstance(value, list) else value


class NotFinite(ArithmeticError):
    """A product with J is not finite."""


class Look:
    """Measures at one point after the other, each starting from what the last one found.

    Parameters
    ----------
    k : int
    which : str
    rotation, path_angle : bool
    probes : int
        Pairs of products for ‖A‖_F/‖J‖_F.
    tolerance : float, optional
        ‖Jx - λx‖ / ‖J‖ of an eigenvalue that has converged; 1e-6 in float64, 1e-5 in float32.
    seed : int
    warm : bool
        Whether the search starts from the last eigenvectors.
    """

    def __init__(
        self,
        k: int,
        which: str,
        *,
        rotation: bool = True,
        path_angle: bool = True,
        probes: int = 4,
        tolerance: float | None = None,
        seed: int = 0,
        warm: bool = True,
    ) -> None:
        import scipy.linalg  # noqa: F401  # loaded now, so that the first look does not pay for it

        self.k, self.which, self.seed, self.warm = k, which, seed, warm
        self.rotation, self.path_angle, self.probes, self.tolerance = rotation, path_angle, probes, tolerance
        self._start: np.ndarray | None = None
        self._previous: Any = None

    def at(self, step: int, game: Any, z: Any, params: Mapping[str, Any] | None = None) -> MonitorRecord:
        """The record of a point `(d,)`; a point that is not finite gives one that says so.

        Raises
        ------
        ValueError
            If z does not have the game's dimension or is in half precision, or two evaluations of v differ.
        """
        F, z = _entered(game, z, params)
        with np.errstate(all="ignore"):
            v, J = _opened(F, z)
            norms = {p.name: _size(v[p.slice]) for p in F.players}
            found: dict[str, Any] = {"field_norms": norms, "which": self.which}
            if lost := _lost(F.players, z, v):
                return MonitorRecord(step, nonfinite=lost, **found)
            counted = _Counted(J)
            try:
                found |= self._spectral(counted.operator)
            except NotFinite:
                return MonitorRecord(step, nonfinite="a product with J", **found)
            if self.path_angle:
                found["path_cosine"] = self._cosine(z, v)
        return MonitorRecord(step, products=counted.products, **found)

    def _spectral(self, J: GameJacobian) -> dict[str, Any]:
        """Eigenvalues and rotation."""
        k = min(self.k, J.dim)
        found: dict[str, Any] = {}
        norms: SplitNorms | None = None
        if J.dim <= max(DENSE, k + 2):
            matrix = J.dense_array()
            norms, values = dense_norms(matrix), dense_eigenvalues(matrix, k, self.which, precision=_precision(J))
        else:
            # first: it takes products of both kinds, which share a graph until those with J are recorded
            if self.rotation:
                norms = probed_norms(J, self.probes, self.seed)
            values = self._searched(J, k)
        if self.rotation and norms is not None:
            found["antisymmetric_share"] = norms.share
            found["imaginary_share"] = mean_imaginary_share(values.values)
            angles = rotation_angle(values.values)
            found["angle"] = float(np.nanmax(angles)) if np.isfinite(angles).any() else math.nan
        found["eigenvalues"], found["backward_errors"] = np.asarray(values.values), values.backward_errors
        found["missing"] = max(0, k - int(values.converged.sum()))
        return found

    def _searched(self, J: GameJacobian, k: int) -> Eigenvalues:
        """Leading eigenvalues from products, starting near the last ones."""
        tolerance = TOLERANCES[_type(J)] if self.tolerance is None else self.tolerance
        start = np.random.default_rng(self.seed).standard_normal(J.dim) / math.sqrt(J.dim)
        if self._start is not None and len(self._start) == J.dim:
            start = self._start / np.linalg.norm(self._start) + NOISE * start
        values = J.eigenvalues(k, self.which, start=start, tolerance=tolerance, seed=self.seed)
        if self.warm:
            self._start = _sum_of_parts(values, J.dim)
        return values

    def _cosine(self, z: Any, v: Any) -> float:
        before, self._previous = self._previous, z.copy() if isinstance(z, np.ndarray) else z.detach().clone()
        if before is None or before.shape != z.shape:
            return math.nan
        moved, flow = _double(z - before), -_double(v)
        length = float(moved.norm()) * float(flow.norm())
        return min(1.0, max(-1.0, float(moved @ flow) / length)) if length > 0 else math.nan


class _Counted:
    """A Jacobian whose products are counted and must be finite."""

    def __init__(self, J: GameJacobian) -> None:
        self.products = 0
        self._dense = J.to_dense
        self.operator = GameJacobian(
            self._finite(J.product), self._finite(J.transposed), J.dim, J.world, J.zero, dense=self._matrix
        )

    def _finite(self, product: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counted(u: Any) -> Any:
            self.products += 1
            image = product(u)
            if not math.isfinite(_size(image)):
                raise NotFinite
            return image

        return counted

    def _matrix(self) -> Any:
        matrix = self._dense()
        self.products += len(matrix)
        if not math.isfinite(_size(matrix)):
            raise NotFinite
        return matrix


def _entered(game: Any, z: Any, params: Mapping[str, Any] | None) -> tuple[Field, Any]:
    """The field, and z in the type of its world."""
    z = z.detach() if isinstance(z, Tensor) else np.asarray(z, dtype=float)
    if isinstance(z, Tensor) and z.dtype not in TOLERANCES:
        raise ValueError(f"the point is of type {z.dtype}; eigenvalues need float32 or float64: give z.float()")
    if not isinstance(game, Field):
        return enter(game, z, params)
    if params:
        raise ValueError(f"a field has its parameters already, got params={dict(params)}; give them to game.field")
    d = game.players[-1].stop
    if z.shape != (d,):
        raise ValueError(f"the field has d = {d} coordinates, got a point of shape {tuple(z.shape)}")
    return game, z


def _opened(F: Field, z: Any) -> tuple[Any, GameJacobian]:
    """v(z), and J there from one graph, or by the field's own products where its values keep no history."""
    if F.world != "neural":
        return F(z), GameJacobian.of(F, z)
    with torch.enable_grad():
        v = F(z.clone().requires_grad_())
    if not bool(v.isfinite().all()):
        return v.detach(), GameJacobian(lambda u: u, lambda u: u, len(z), F.world, 0 * z)  # never multiplied
    return v.detach(), GameJacobian.of(F, z, products="retained")  # a look is too short for recorded passes


def _lost(players: Any, z: Any, v: Any) -> str:
    """Whose numbers are not finite."""
    lost = []
    for what, vector in (("the parameters", z), ("v", v)):
        finite = [math.isfinite(_size(vector[p.slice])) for p in players]
        lost += [f"{what} of {p.name}" for p, ok in zip(players, finite, strict=True) if not ok]
    return ", ".join(lost)


def _size(u: Any) -> float:
    """‖u‖, summed in double precision."""
    if isinstance(u, Tensor):
        return float(torch.linalg.vector_norm(u.detach(), dtype=torch.float64))
    return float(np.linalg.norm(np.asarray(u, dtype=float)))


def _double(u: Any) -> Tensor:
    """A vector as a float64 tensor where it lies."""
    return u.detach().double() if isinstance(u, Tensor) else torch.as_tensor(np.asarray(u, dtype=float))


def _type(J: GameJacobian) -> torch.dtype:
    dtype: torch.dtype = J.zero.dtype if J.world == "neural" else torch.float64
    return dtype


def _precision(J: GameJacobian) -> float:
    return float(torch.finfo(_type(J)).eps)


def _sum_of_parts(values: Eigenvalues, d: int) -> np.ndarray | None:
    """Σ Re x + Im x over the eigenvectors x."""
    if values.right is None or not len(values):
        return None
    total = np.zeros(d)
    for i in range(len(values)):
        x = values.right(i)
        total += x.real + x.imag
    return total if 0 < np.linalg.norm(total) < math.inf else None
