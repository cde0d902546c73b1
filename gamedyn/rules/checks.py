"""What is no rule, and numbers that no rule can use: refused at construction, saying what was given and needed."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any


def require_rule(rule: Any, owner: str = "") -> None:
    """Refuse what is no rule, and a wrapper, of whatever depth, around what is none.

    Parameters
    ----------
    rule : object
    owner : str
        Name of the wrapper that it stands in; "" for the rule of a method.

    Raises
    ------
    TypeError
        If something has no `init` and `step`, or is a class that has them.
    """
    if isinstance(rule, type) or not (callable(getattr(rule, "init", None)) and callable(getattr(rule, "step", None))):
        raise TypeError(f"{owner}: {_why_no_rule(rule, owner)}" if owner else _why_no_rule(rule, owner))
    inner = getattr(rule, "rule", None)
    if inner is not None:
        require_rule(inner, type(rule).__name__)


def _why_no_rule(thing: Any, owner: str) -> str:
    if isinstance(thing, type) or (callable(thing) and hasattr(thing, "__name__")):
        return f"{thing.__name__} is no rule but what makes one; call it: {thing.__name__}(...)"
    parts = getattr(thing, "parts", None)
    is_layer = hasattr(thing, "field") and not hasattr(thing, "players")
    if parts is None and not is_layer:
        return f"{thing!r} is no rule: a rule has init(F, z) and step(F, z, memory); give e.g. Extragradient(lr=0.1)"
    kind = "a layer of methods" if parts is None else "a method, and its layers stand outside all wrappers"
    rule, *layers = [
        "rule" if parts is None else _call(parts[0]),
        *map(_call, (thing,) if parts is None else parts[1:]),
    ]
    inside = f"{owner}({rule}, ...)" if owner else rule
    return f"{thing!r} is no rule but {kind}; write Method({', '.join([inside, *layers])})"


def _call(part: Any) -> str:
    return f"{type(part).__name__}(...)"


def require_number(owner: str, name: str, value: Any, test: Callable[[Any], bool], what: str) -> None:
    """Refuse a plain number that fails a test; symbols, and what else may stand for a number, pass.

    Parameters
    ----------
    owner, name : str
        Whose coefficient it is, and how it is called.
    value : object
    test : callable
        Whether a number will do; NaN fails every comparison.
    what : str
        What is needed, with an example.

    Raises
    ------
    ValueError
        If a number fails the test.
    TypeError
        If the value is text.
    """
    if isinstance(value, str):
        raise TypeError(f"{owner}: {name} must be {what}, got the text {value!r}")
    if isinstance(value, Real) and not test(value):
        raise ValueError(f"{owner}: {name} must be {what}, got {value}")


def require_decay(part: Any, *names: str) -> None:
    """Refuse numbers outside [0, 1) in some fields of a part."""
    for name in names:
        what = "a decay in [0, 1), such as 0.9"
        require_number(type(part).__name__, name, getattr(part, name), lambda beta: 0 <= beta < 1, what)


def require_positive(part: Any, *names: str) -> None:
    """Refuse numbers that are not positive in some fields of a part."""
    for name in names:
        require_number(type(part).__name__, name, getattr(part, name), lambda x: x > 0, "a positive number")


def require_count(owner: str, name: str, value: Any, least: int) -> int:
    """A count as an `int`.

    Raises
    ------
    ValueError
        If a number is no integer, or is smaller than `least`.
    TypeError
        If the value is no number; a count cannot be a symbol.
    """
    what = f"an integer >= {least}, such as {least + 1}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{owner}: {name} must be {what}, got {value!r}")
    require_number(owner, name, value, lambda n: float(n).is_integer() and n >= least, what)
    return int(value) if isinstance(value, Integral) else int(float(value))


def require_players(owner: str, name: str, value: Any) -> tuple[int, ...]:
    """Player numbers as a tuple of `int`; whether the game has them is the game's to say.

    Raises
    ------
    TypeError
        If it is no sequence, or an entry is no integer.
    """
    what = f"{owner}: {name} lists players by their numbers, counted from 0, as in {name}=(1, 0)"
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{what}; got {value!r}")
    for entry in value:
        if isinstance(entry, bool) or not (isinstance(entry, Real) and float(entry).is_integer()):
            raise TypeError(f"{what}; got {entry!r} in {value!r}")
    return tuple(int(float(entry)) for entry in value)
