"""Arithmetic on one player's vectors, put off until a vector is needed.

    c₀ + Σ cⱼ aⱼ,   aⱼ a vector, a product or a quotient of two                              (1)

A rule's formulas become few passes over memory this way: z - lr · m/(√s + eps) is one `addcdiv`, and the count of
Adam's evaluations, the same number in every slot, stays a Python float.  A block is None (zero), a float (the same
in every slot) or a `Sum`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gamedyn.torch.pool import empty_like

__all__ = ["Atom", "Block", "Sum", "add", "apply", "combine", "divide", "multiply", "power", "scale", "shift"]


class Atom:
    """A vector, or a product or quotient of two that has not been computed yet.

    Attributes
    ----------
    tensor : Tensor or None
        The vector times 1/factor, once it is there.
    op, a, b : str, Any, Any
        As long as `tensor` is None: "mul" or "div" and two vectors, or "shared", a `SharedOutput` and what it is asked
        to pull back, (number, tensor) pairs and the player.
    """

    __slots__ = ("a", "b", "factor", "op", "tensor")

    def __init__(self, tensor: Tensor | None, op: str = "", a: Any = None, b: Any = None) -> None:
        self.tensor, self.op, self.a, self.b, self.factor = tensor, op, a, b, 1.0


class Sum:
    """c₀ + Σ cⱼaⱼ with at least one term; eq. (1)."""

    __slots__ = ("constant", "terms")

    def __init__(self, terms: list[tuple[float, Atom]], constant: float = 0.0) -> None:
        self.terms, self.constant = terms, constant

    @classmethod
    def of(cls, tensor: Tensor) -> Sum:
        """A vector that is there."""
        return cls([(1.0, Atom(tensor))])

    def tensor(self) -> Tensor:
        """The vector `(size,)`, computed once; not to be written to."""
        if len(self.terms) == 1 and not self.constant:
            c, atom = self.terms[0]
            if atom.tensor is not None and c * atom.factor == 1.0:
                return atom.tensor
            out = _evaluate(self)
            if atom.tensor is None:
                atom.tensor, atom.factor = out, 1 / c  # others that hold this atom find it computed
            return out
        out = _evaluate(self)
        self.terms, self.constant = [(1.0, Atom(out))], 0.0
        return out

    def resolve(self) -> None:
        """Compute what waits for the graph of a shared output, before the point that it belongs to moves."""
        for _, atom in self.terms:
            if atom.tensor is None and atom.op == "shared":
                atom.tensor = atom.a.pull(*atom.b)

    def write_over(self, target: Tensor) -> None:
        """Put the vector into `target`, in place where it is target plus something."""
        own = [k for k, (c, a) in enumerate(self.terms) if a.tensor is target and c * a.factor == 1.0]
        others = [term for k, term in enumerate(self.terms) if k not in own]
        if len(own) != 1 or any(target is x for _, a in others for x in (a.tensor, a.a, a.b)):
            target.copy_(self.tensor())
            return
        _accumulate(target, others)
        if self.constant:
            target.add_(self.constant)


Block = Sum | float | None


def _evaluate(value: Sum) -> Tensor:
    value.resolve()
    if len(value.terms) == 1 and not value.constant:
        c, atom = value.terms[0]
        if atom.tensor is not None and c * atom.factor == 1.0:
            return atom.tensor
    plain = sorted((t for t in value.terms if t[1].tensor is not None), key=lambda t: t[0] * t[1].factor != 1.0)
    products = [t for t in value.terms if t[1].tensor is None]
    if len(value.terms) == 1 and plain and value.constant and plain[0][0] * plain[0][1].factor == 1.0:
        a = plain[0][1].tensor
        assert a is not None
        return torch.add(a, value.constant, out=empty_like(a))
    if plain:
        out, rest = _first(plain, products)
    else:
        (c, atom), *rest = products
        pair = torch.mul if atom.op == "mul" else torch.div
        out = pair(atom.a, atom.b, out=empty_like(atom.a))
        if c != 1.0:
            out.mul_(c)
    _accumulate(out, rest)
    return out.add_(value.constant) if value.constant else out


def _first(plain: list[tuple[float, Atom]], products: list[tuple[float, Atom]]) -> tuple[Tensor, list[Any]]:
    """A fresh vector for the first terms, in one pass, and the terms that are left."""
    (c, atom), *rest = plain
    a, c = atom.tensor, c * atom.factor
    assert a is not None
    if c == 1.0 and not rest and products:
        (d, product), *left = products
        fused = torch.addcmul if product.op == "mul" else torch.addcdiv
        return fused(a, product.a, product.b, value=d, out=empty_like(a)), left
    if not rest:
        return torch.mul(a, c, out=empty_like(a)), products
    (d, other), *left = rest
    b, d = other.tensor, d * other.factor
    assert b is not None
    if c == 1.0:
        return torch.add(a, b, alpha=d, out=empty_like(a)), [*left, *products]
    if abs(c + d - 1.0) <= 1e-15:
        return torch.lerp(b, a, c, out=empty_like(a)), [*left, *products]
    return torch.mul(a, c, out=empty_like(a)).add_(b, alpha=d), [*left, *products]


def _accumulate(out: Tensor, terms: list[tuple[float, Atom]]) -> None:
    for c, atom in terms:
        if atom.tensor is not None:
            out.add_(atom.tensor, alpha=c * atom.factor)
        elif atom.op == "mul":
            out.addcmul_(atom.a, atom.b, value=c)
        else:
            out.addcdiv_(atom.a, atom.b, value=c)


# operations on blocks ------------------------------------------------------------------------------


def add(a: Block, b: Block) -> Block:
    """a + b."""
    if a is None:
        return b
    if b is None:
        return a
    if not isinstance(b, Sum):
        return shift(a, b)
    if not isinstance(a, Sum):
        return shift(b, a)
    terms = list(a.terms)
    for c, atom in b.terms:
        match = next((k for k, (_, other) in enumerate(terms) if _together(atom, other)), None)
        if match is None:
            terms.append((c, atom))
        elif terms[match][1] is atom:
            terms[match] = (terms[match][0] + c, atom)
        else:  # one pass through the graph for both
            d, other = terms[match]
            parts = [*((c * e, g) for e, g in atom.b[0]), *((d * e, g) for e, g in other.b[0])]
            terms[match] = (1.0, Atom(None, "shared", atom.a, (parts, atom.b[1])))
    terms = [t for t in terms if t[0] != 0.0]
    constant = a.constant + b.constant
    return Sum(terms, constant) if terms else (constant or None)


def _together(a: Atom, b: Atom) -> bool:
    """Whether two atoms are the same, or wait for the same shared output."""
    return a is b or (a.op == "shared" == b.op and a.a is b.a and a.tensor is None and b.tensor is None)


def shift(a: Block, constant: float) -> Block:
    """a + constant in every slot."""
    if isinstance(a, Sum):
        return Sum(a.terms, a.constant + constant)
    return (a or 0.0) + constant


def scale(c: float, a: Block) -> Block:
    """c a."""
    if a is None or c == 0.0:
        return None
    if c == 1.0:
        return a
    if not isinstance(a, Sum):
        return c * a
    return Sum([(c * t, atom) for t, atom in a.terms], c * a.constant)


def _single(a: Sum) -> tuple[float, Tensor]:
    """a as a number times a vector that is there."""
    if len(a.terms) == 1 and not a.constant:
        c, atom = a.terms[0]
        if atom.tensor is not None:
            return c * atom.factor, atom.tensor
    return 1.0, a.tensor()


def multiply(a: Block, b: Block) -> Block:
    """a b, componentwise."""
    if a is None or b is None:
        return None
    if not isinstance(a, Sum):
        return scale(a, b)
    if not isinstance(b, Sum):
        return scale(b, a)
    (c, x), (d, y) = _single(a), _single(b)
    return Sum([(c * d, Atom(None, "mul", x, y))])


def divide(a: Block, b: Block) -> Block:
    """a / b, componentwise."""
    if a is None:
        return None
    if not isinstance(b, Sum):
        return scale(_ratio(1.0, b or 0.0), a)
    d = 1.0
    if b.constant and len(b.terms) == 1 and b.terms[0][0] > 0:
        d, atom = b.terms[0]  # one pass less for c√s + eps
        b = Sum([(1.0, atom)], b.constant / d)
    e, y = _single(b)
    if not isinstance(a, Sum):
        return Sum.of(torch.reciprocal(y, out=empty_like(y)).mul_(a / (d * e)))
    c, x = _single(a)
    return Sum([(c / (d * e), Atom(None, "div", x, y))])


def power(a: Block, exponent: float) -> Block:
    """a ** exponent, componentwise."""
    if not isinstance(a, Sum):
        return (a or 0.0) ** exponent or None
    c, x = _single(a)
    if c < 0:
        c, x = 1.0, a.tensor()
    return scale(
        c**exponent,
        Sum.of(torch.sqrt(x, out=empty_like(x)) if exponent == 0.5 else torch.pow(x, exponent, out=empty_like(x))),
    )


def apply(fn: Callable[..., Tensor], scalar: Callable[..., float], *blocks: Block) -> Block:
    """fn of vectors, `scalar` of the slots where all blocks are the same in every slot."""
    if not any(isinstance(b, Sum) for b in blocks):
        return scalar(*((b or 0.0) for b in blocks))
    like = next(b for b in blocks if isinstance(b, Sum)).tensor()
    return Sum.of(fn(*(b.tensor() if isinstance(b, Sum) else torch.full_like(like, b or 0.0) for b in blocks)))


def combine(a: Block, size: int, like: Tensor) -> Tensor:
    """Any block as a vector `(size,)` of the type of `like`."""
    return a.tensor() if isinstance(a, Sum) else like.new_full((size,), a or 0.0)


def _ratio(a: float, b: float) -> float:
    try:
        return a / b
    except ZeroDivisionError:
        return float("inf")
