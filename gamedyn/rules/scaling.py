"""A field with a factor per player: two time scales, and steps of the players' own."""

from __future__ import annotations

from gamedyn.games.field import DerivedField, Element, Field, Scalar, total


class ScaledField(DerivedField):
    """Every cost kept, cᵢ multiplied by scales[i].

    Parameters
    ----------
    base : Field
    scales : tuple of float or Symbol
        One factor per player, of either sign.

    Raises
    ------
    ValueError
        If there is not one factor per player.
    """

    def __init__(self, base: Field, scales: tuple[Scalar, ...]) -> None:
        super().__init__(base)
        if len(scales) != len(base.players):
            base.only(0)  # a field that cannot tell players apart says so itself
            raise ValueError(f"{len(scales)} scales {scales} for {len(base.players)} players; give one per player")
        self.scales = scales

    def _scale(self, u: Element) -> Element:
        if len(self.scales) == 1:
            return self.scales[0] * self.mask(0, u)
        if all(s == self.scales[0] for s in self.scales):
            return self.scales[0] * u
        return u + total((s - 1) * self.mask(i, u) for i, s in enumerate(self.scales) if s != 1)

    def __call__(self, z: Element) -> Element:
        return self._scale(self.base(z))

    def part(self, i: int, z: Element) -> Element:
        return self.scales[i] * self.base.part(i, z)

    def grad(self, i: int, z: Element) -> Element:
        return self.scales[i] * self.base.grad(i, z)

    def hvp(self, i: int, z: Element, u: Element) -> Element:
        return self.scales[i] * self.base.hvp(i, z, u)

    def jvp(self, z: Element, u: Element) -> Element:
        return self._scale(self.base.jvp(z, u))

    def vjp(self, z: Element, u: Element) -> Element:
        return self.base.vjp(z, self._scale(u))
