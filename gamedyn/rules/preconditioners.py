"""Preconditioners: nonlinear in the field, with a state per player.

They exist in the array and the neural world.  The state advances at every evaluation of a player's
part, in the order in which the rule calls it, and the step map carries it along as memory.  A
normalised step has no Jacobian at an equilibrium; `.frozen(state)` is the diagonal that has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from gamedyn.games.field import DerivedField, Element, Field, Scalar, total
from gamedyn.rules.checks import require_decay, require_positive
from gamedyn.rules.rule import Memory
from gamedyn.rules.transforms import Transform


class Preconditioner:
    """Base of preconditioners: a frozen dataclass with `init(F, z)` and `advance(F, state, v)`.

    `init` gives the state before the first evaluation, a tuple of vectors; `advance` the direction for a
    field value and the next state, written componentwise with `+ - * / **`, `F.maximum`, `F.sign`, `F.root` and
    `F.dot`.  Nothing is written in place: a look-ahead advances copies, and differentiates through them.
    `diagonal(state)` is what multiplies v once the state stands still.
    """

    def init(self, F: Field, z: Element) -> Memory:
        """The state before the first evaluation."""
        raise NotImplementedError(f"{type(self).__name__} defines no init(F, z)")

    def advance(self, F: Field, state: Memory, v: Element) -> tuple[Element, Memory]:
        """The direction for the field value v, and the next state."""
        raise NotImplementedError(f"{type(self).__name__} defines no advance(F, state, v)")

    def move(self, F: Field, state: Memory, v: Element, movers: Sequence[int]) -> tuple[Element, Memory]:
        """The direction and the next state of some players; the others' direction is 0 and their state stays."""
        direction, new = self.advance(F, state, v)
        if len(movers) == len(F.players):
            return direction, new
        own = lambda u: total(F.mask(i, u) for i in movers)  # noqa: E731
        return own(direction), tuple(s + own(n - s) for s, n in zip(state, new, strict=True))

    def diagonal(self, state: Memory) -> Element:
        """The positive diagonal of a state, as a vector."""
        raise NotImplementedError(f"{type(self).__name__} defines no diagonal(state), so it cannot be frozen")

    def field(self, F: Field, state: Memory) -> PreconditionedField:
        """The preconditioned field, holding its state."""
        return PreconditionedField(F, self, state)

    def frozen(self, state: Memory) -> frozen:
        """The diagonal of a state (arrays or tensors), as a transform that can be analysed.

        Raises
        ------
        ValueError
            If the state has seen no gradient yet.
        """
        return frozen(tuple(self.diagonal(state).tolist()))

    def _refuse_unseen(self, unseen: bool) -> None:
        if unseen:
            raise ValueError(
                f"{type(self).__name__}.frozen: the preconditioner has seen no gradient yet, so it has no "
                f"diagonal; run some steps and pass the state at their end"
            )


@dataclass(frozen=True)
class Adam(Preconditioner):
    """The field divided by a running root mean square, with momentum.

        m ← beta1 m + (1 - beta1) v,   s ← beta2 s + (1 - beta2) v²
        v ↦ m̂ / (√ŝ + eps),   m̂ = m/(1 - beta1ᵗ),  ŝ = s/(1 - beta2ᵗ)

    Parameters
    ----------
    beta1, beta2 : float
        Decay of the first and second moment, in [0, 1).
    eps : float
        Added to the root, > 0.
    bias_correction : bool
        Whether m and s are divided by 1 - betaᵗ; t counts the evaluations of the player's part.

    Raises
    ------
    ValueError
        If a decay is a number outside [0, 1), or eps one that is not positive.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015, arXiv:1412.6980.
    """

    beta1: Scalar = 0.9
    beta2: Scalar = 0.999
    eps: Scalar = 1e-8
    bias_correction: bool = True

    def __post_init__(self) -> None:
        require_decay(self, "beta1", "beta2")
        require_positive(self, "eps")

    def init(self, F: Field, z: Element) -> Memory:
        """m, s and the count t of evaluations, all zero."""
        return (0 * z, 0 * z, 0 * z)

    def advance(self, F: Field, state: Memory, v: Element) -> tuple[Element, Memory]:
        """The direction for the field value v, and the next state."""
        m, s, t = state
        m = self.beta1 * m + (1 - self.beta1) * v
        s = self.beta2 * s + (1 - self.beta2) * (v * v)
        t = t + 1
        if not self.bias_correction:
            return m / (F.root(s) + self.eps), (m, s, t)
        return (m / (1 - self.beta1**t)) / (F.root(s / (1 - self.beta2**t)) + self.eps), (m, s, t)

    def diagonal(self, state: Memory) -> Element:
        """1/(√ŝ + eps); momentum and counts stay out of the dynamics."""
        _, s, t = state
        self._refuse_unseen(bool((t < 1).any()))
        if self.bias_correction:
            s = s / (1 - self.beta2**t)
        return 1 / (s**0.5 + self.eps)


@dataclass(frozen=True)
class RMSProp(Preconditioner):
    """The field divided by a running root mean square.

        s ← decay s + (1 - decay) v²
        v ↦ v / (√s + eps)

    Parameters
    ----------
    decay, eps : float
        In [0, 1), and added to the root, > 0.

    Raises
    ------
    ValueError
        If a decay is a number outside [0, 1), or eps one that is not positive.

    References
    ----------
    .. [1] T. Tieleman, G. Hinton, Lecture 6.5, RMSProp (2012).
    """

    decay: Scalar = 0.99
    eps: Scalar = 1e-8

    def __post_init__(self) -> None:
        require_decay(self, "decay")
        require_positive(self, "eps")

    def init(self, F: Field, z: Element) -> Memory:
        """s, zero."""
        return (0 * z,)

    def advance(self, F: Field, state: Memory, v: Element) -> tuple[Element, Memory]:
        """The direction for the field value v, and the next state."""
        (s,) = state
        s = self.decay * s + (1 - self.decay) * (v * v)
        return v / (F.root(s) + self.eps), (s,)

    def diagonal(self, state: Memory) -> Element:
        """1/(√s + eps)."""
        (s,) = state
        self._refuse_unseen(bool((s == 0).all()))
        return 1 / (s**0.5 + self.eps)


@dataclass(frozen=True)
class AMSGrad(Preconditioner):
    """Adam divided by the largest second moment so far, so that no coordinate's step ever grows again.

        m ← beta1 m + (1 - beta1) v,   s ← beta2 s + (1 - beta2) v²,   ŝ ← max(ŝ, s)
        v ↦ (m / (1 - beta1ᵗ)) / (√(ŝ / (1 - beta2ᵗ)) + eps)

    Parameters
    ----------
    beta1, beta2, eps, bias_correction
        As in `Adam`, errors too; the original has no bias correction, torch has it.

    References
    ----------
    .. [1] S. J. Reddi, S. Kale, S. Kumar, On the convergence of Adam and beyond, ICLR 2018, arXiv:1904.09237.
    """

    beta1: Scalar = 0.9
    beta2: Scalar = 0.999
    eps: Scalar = 1e-8
    bias_correction: bool = True

    def __post_init__(self) -> None:
        require_decay(self, "beta1", "beta2")
        require_positive(self, "eps")

    def init(self, F: Field, z: Element) -> Memory:
        """m, s, the largest s so far and the count t of evaluations, all zero."""
        return (0 * z, 0 * z, 0 * z, 0 * z)

    def advance(self, F: Field, state: Memory, v: Element) -> tuple[Element, Memory]:
        """The direction for the field value v, and the next state."""
        m, s, largest, t = state
        m = self.beta1 * m + (1 - self.beta1) * v
        s = self.beta2 * s + (1 - self.beta2) * (v * v)
        largest, t = F.maximum(largest, s), t + 1
        if not self.bias_correction:
            return m / (F.root(largest) + self.eps), (m, s, largest, t)
        root = F.root(largest / (1 - self.beta2**t))
        return (m / (1 - self.beta1**t)) / (root + self.eps), (m, s, largest, t)

    def diagonal(self, state: Memory) -> Element:
        """1/(√ŝ + eps); momentum and counts stay out of the dynamics."""
        _, _, largest, t = state
        self._refuse_unseen(bool((t < 1).any()))
        if self.bias_correction:
            largest = largest / (1 - self.beta2**t)
        return 1 / (largest**0.5 + self.eps)


@dataclass(frozen=True)
class Sign(Preconditioner):
    """The sign of every component.

        v ↦ sign(v)

    No state.  Near an equilibrium the step keeps its size, so nothing settles below lr; there is no diagonal to
    freeze.

    References
    ----------
    .. [1] J. Bernstein, Y. Wang, K. Azizzadenesheli, A. Anandkumar, signSGD: compressed optimisation for non-convex
       problems, ICML 2018, arXiv:1802.04434.
    """

    def init(self, F: Field, z: Element) -> Memory:
        """No state."""
        return ()

    def advance(self, F: Field, state: Memory, v: Element) -> tuple[Element, Memory]:
        """The direction for the field value v."""
        return F.sign(v), state

    def frozen(self, state: Memory) -> NoReturn:
        """There is none.

        Raises
        ------
        ValueError
            Always: a sign is no multiple of v.
        """
        raise ValueError("Sign has no diagonal: its direction does not depend on the size of v. Freeze RMSProp or Adam")


@dataclass(frozen=True)
class Clip(Preconditioner):
    """The field, no longer than a bound: every player's part by its norm, or every component by its value.

        v ↦ Σ Pᵢv min(1, bound/‖Pᵢv‖)        by="norm"
        v ↦ min(max(v, -bound), bound)       by="value"

    No state.  Inactive near an equilibrium, where the method without it is what has a Jacobian.

    Parameters
    ----------
    bound : float
        Largest norm of a player's part, or largest component; > 0.
    by : {"norm", "value"}

    Raises
    ------
    ValueError
        If the bound is a number that is not positive, or `by` is neither.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks, ICML 2013,
       arXiv:1211.5063.
    """

    bound: Scalar
    by: str = "norm"

    def __post_init__(self) -> None:
        if self.by not in ("norm", "value"):
            raise ValueError(f"Clip: by={self.by!r} is neither 'norm' nor 'value'")
        require_positive(self, "bound")

    def init(self, F: Field, z: Element) -> Memory:
        """No state."""
        return ()

    def advance(self, F: Field, state: Memory, v: Element) -> tuple[Element, Memory]:
        """The direction for the field value v."""
        ceiling = 0 * v + self.bound
        if self.by == "value":
            return -1 * F.maximum(-1 * F.maximum(v, -1 * ceiling), -1 * ceiling), state
        parts = [F.mask(i, v) for i in range(len(F.players))]
        # the larger of the squares, so that the root is never taken at 0
        return total(p * (ceiling / F.maximum(F.dot(p, p), ceiling * ceiling) ** 0.5) for p in parts), state

    def frozen(self, state: Memory) -> NoReturn:
        """There is none.

        Raises
        ------
        ValueError
            Always: near an equilibrium clipping does nothing.
        """
        raise ValueError("Clip does nothing near an equilibrium; analyse the method without it")


class PreconditionedField(DerivedField):
    """A field with a memory: every evaluation of a player's part advances that player's state."""

    def __init__(self, base: Field, preconditioner: Any, state: Memory) -> None:
        super().__init__(base)
        self.preconditioner = preconditioner
        self.state = state

    @property
    def present(self) -> Field:
        """The field as the preconditioner evaluates it now, in its present state."""
        return self.base.informed(self.preconditioner, self.state)

    def __call__(self, z: Element) -> Element:
        direction, self.state = self.preconditioner.advance(self.base, self.state, self.present(z))
        return direction

    def part(self, i: int, z: Element) -> Element:
        direction, self.state = self.preconditioner.move(self.base, self.state, self.present.part(i, z), (i,))
        return direction

    def only(self, i: int) -> Field:
        return PreconditionedPart(self, i)

    def derivative(self, fn: Any, z: Element, u: Element) -> NoReturn:
        raise self._refusal("derivative")

    def pullback(self, fn: Any, z: Element, u: Any) -> NoReturn:
        raise self._refusal("pullback")

    def invert(self, fn: Any, rhs: Element, *, linear: bool) -> NoReturn:
        raise self._refusal("invert")

    def expected(self) -> NoReturn:
        raise self._refusal_of_samples("expected")

    def fixed(self) -> NoReturn:
        raise self._refusal_of_samples("fixed")

    def _refusal_of_samples(self, operation: str) -> Exception:
        return self.missing(
            operation,
            f"{type(self.preconditioner).__name__} normalises after the sample is drawn, so a difference of two "
            f"directions is no estimate; run the rule without the preconditioner, or on its .frozen(state)",
        )

    def _refusal(self, operation: str) -> Exception:
        name = type(self.preconditioner).__name__
        return self.missing(
            operation,
            f"the step of {name} is normalised and has no Jacobian at an equilibrium; analyse {name}.frozen(state)",
        )


class PreconditionedPart(DerivedField):
    """Player i of a preconditioned field; it advances the parent's state."""

    def __init__(self, parent: PreconditionedField, player: int) -> None:
        super().__init__(parent)
        self.parent, self.player = parent, player

    @property
    def is_whole(self) -> bool:
        return False

    def __call__(self, z: Element) -> Element:
        return self.parent.part(self.player, z)


@dataclass(frozen=True)
class frozen(Transform):
    """A constant positive diagonal: a preconditioner whose state stands still.

        v ↦ diag(weights) v

    Parameters
    ----------
    weights : tuple of float
        One weight per coordinate.
    """

    weights: tuple[float, ...]

    def field(self, F: Field) -> Field:
        """The transformed field."""
        return FrozenField(F, self.weights)

    def move(self, F: Field, state: Memory, v: Element, movers: Sequence[int]) -> tuple[Element, Memory]:
        """The steps of a look-ahead, as of a preconditioner."""
        return F.diagonal(self.weights, v), state


class FrozenField(DerivedField):
    """diag(weights) v."""

    def __init__(self, base: Field, weights: tuple[float, ...]) -> None:
        super().__init__(base.informed(frozen(weights), ()))
        self.weights = weights

    def __call__(self, z: Element) -> Element:
        return self.diagonal(self.weights, self.base(z))

    def jvp(self, z: Element, u: Element) -> Element:
        return self.diagonal(self.weights, self.base.jvp(z, u))

    def vjp(self, z: Element, u: Element) -> Element:
        return self.base.vjp(z, self.diagonal(self.weights, u))
