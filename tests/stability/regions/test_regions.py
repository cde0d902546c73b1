"""The exact set of stable steps, against closed forms and against computed roots."""

from __future__ import annotations

import gc
import signal
import threading
import time
import weakref

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gamedyn.stability.regions.crossings import simple_crossing
from gamedyn.stability.regions.modulus import dominant_modulus
from gamedyn.stability.regions.number_fields import RealNumberField, real_roots
from gamedyn.stability.regions.regions import polynomial_region
from gamedyn.stability.regions.schur_cohn import circle_part, jury_determinant
from gamedyn.stability.regions.stable_steps import StableSteps
from gamedyn.stability.regions.step_conditions import lienard_chipart
from gamedyn.stability.time_limit import OutOfTime, limited_time

Z = sp.Symbol("zeta")
H = sp.Symbol("h", positive=True)
HALF = sp.Rational(1, 2)
OPEN = sp.Interval.open
NONE = sp.S.EmptySet
QQ = sp.QQ


def region(expression: sp.Expr, **options: object) -> StableSteps:
    return polynomial_region(sp.Poly(expression, Z), H, **options)


def radius(expression: sp.Expr, h: sp.Expr) -> float:
    roots = np.roots([float(c) for c in sp.Poly(expression.subs(H, h), Z).all_coeffs()])
    return float(np.abs(roots).max())


OPTIMISTIC = sp.expand((Z**2 - Z) ** 2 + H**2 * (2 * Z - 1) ** 2)
TURN = Z**2 - (2 - H**2) * Z + 1

CLOSED_FORMS = {
    "simultaneous": ((Z - 1) ** 2 + H**2, NONE, NONE),
    "alternating": (TURN, NONE, OPEN(0, 2)),
    "extragradient": ((Z - (1 - H**2)) ** 2 + H**2, OPEN(0, 1), sp.FiniteSet(1)),
    "optimistic": (OPTIMISTIC, OPEN(0, 1 / sp.sqrt(3)), sp.FiniteSet(1 / sp.sqrt(3))),
    "proximal point": ((1 + H**2) * Z**2 - 2 * Z + 1, OPEN(0, sp.oo), NONE),
    "negative momentum": ((Z - 1) ** 2 * (Z + HALF) ** 2 + H**2 * Z**3, OPEN(0, 1), sp.FiniteSet(1)),
    "gradient on 1/2 +- i sqrt 2": ((Z - 1 + H / 2) ** 2 + 2 * H**2, OPEN(0, HALF * 8 / 9), sp.FiniteSet(HALF * 8 / 9)),
    "gradient on sqrt 2 +- i": (
        (Z - 1 + sp.sqrt(2) * H) ** 2 + H**2,
        OPEN(0, 2 * sp.sqrt(2) / 3),
        sp.FiniteSet(2 * sp.sqrt(2) / 3),
    ),
    "gradient on 1 +- i root4 of 2": (
        (Z - 1 + H) ** 2 + sp.sqrt(2) * H**2,
        OPEN(0, 2 * sp.sqrt(2) - 2),
        sp.FiniteSet(2 * sp.sqrt(2) - 2),
    ),
    "no root depends on the step": (Z - HALF, OPEN(0, sp.oo), NONE),
    "identity": (Z - 1, NONE, OPEN(0, sp.oo)),
    "nilpotent": (Z**3, OPEN(0, sp.oo), NONE),
    "nilpotent part beside a gradient step": (Z**2 * (Z - 1 + H), OPEN(0, 2), sp.FiniteSet(2)),
    "two windows": (Z - (H - 1) * (H - 3), sp.Union(OPEN(2 - sp.sqrt(2), 2), OPEN(2, 2 + sp.sqrt(2))), None),
    "pole": (Z - 1 / (H - 2) ** 2, sp.Union(OPEN(0, 1), OPEN(3, sp.oo)), sp.FiniteSet(1, 3)),
    "windows of a product": (
        (Z - (H - 2) ** 2 + 1) * (Z - (H - 2) ** 2 / 2),
        sp.Union(OPEN(2 - sp.sqrt(2), 2), OPEN(2, 2 + sp.sqrt(2))),
        sp.FiniteSet(2),
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_the_set_of_stable_steps_is_the_closed_form(name: str) -> None:
    expression, stable, neutral = CLOSED_FORMS[name]
    found = region(expression)
    assert found.kind == "exact"
    assert found.stable == stable
    if neutral is not None:
        assert found.neutral == neutral


def test_a_double_root_on_the_circle_is_not_neutral_unless_the_matrix_is_semisimple() -> None:
    assert region(TURN**2).neutral == NONE
    assert region(TURN**2, semisimple_check=lambda h: True).neutral == sp.Interval.Lopen(0, 2)
    assert region((Z - 1) ** 2, semisimple_check=lambda h: True).neutral == OPEN(0, sp.oo)


def test_neutral_steps_exclude_those_where_roots_of_two_factors_meet_on_the_circle() -> None:
    # 2 - h**2 = 2 - h at h = 1
    found = region(TURN * (Z**2 - (2 - H) * Z + 1))
    assert found.neutral == sp.Union(OPEN(0, 1), OPEN(1, 2))


def test_neutral_steps_exclude_those_where_roots_of_one_factor_meet_on_the_circle() -> None:
    # zeta + 1/zeta = h/2 +- sqrt(h) (h - 1), equal at h = 1
    w = sp.Symbol("w")
    trace = sp.expand((w - H / 2) ** 2 - H * (H - 1) ** 2)
    found = region(sp.expand(Z**2 * trace.subs(w, Z + 1 / Z)))
    assert not found.neutral.contains(1)
    assert found.neutral.contains(sp.Rational(99, 100))
    assert found.neutral.contains(sp.Rational(101, 100))


def test_a_neutral_factor_beside_a_contracting_one_is_neutral_where_that_contracts() -> None:
    assert region(TURN * (Z - 1 + 2 * H)).neutral == sp.Interval.Lopen(0, 1)
    assert region((Z - 1) * (Z - 1 + H)).neutral == sp.Interval.Lopen(0, 2)


def test_common_roots_at_a_boundary_point_are_not_neutral() -> None:
    # At h = 2 both factors have the root -1.
    found = region((Z - 1 + H) * (Z - 1 + H**2 / 2))
    assert found.stable == OPEN(0, 2)
    assert found.neutral == NONE


def test_a_boundary_beyond_radicals_is_an_exact_root() -> None:
    found = region(Z - (H**3 + H) / 3)
    end = found.stable.sup
    assert isinstance(end, sp.CRootOf)
    assert sp.minimal_polynomial(end, H) == H**3 + H - 3
    assert found.contains(end - sp.Rational(1, 10**9))
    assert not found.contains(end + sp.Rational(1, 10**9))


def test_boundaries_over_a_number_field_are_roots_of_the_characteristic_polynomial_on_the_circle() -> None:
    expression = Z**3 - sp.sqrt(2) * H * Z**2 / 5 + H**2 * Z / 3 - H / 5
    found = region(expression)
    assert found.kind == "exact"
    assert radius(expression, found.stable.sup) == pytest.approx(1, abs=1e-12)
    assert radius(expression, found.stable.sup * sp.Rational(99, 100)) < 1


def test_polynomials_of_high_degree_are_scanned_and_labelled() -> None:
    expression = sp.expand(OPTIMISTIC**2 * (Z - HALF) + H**3 * sp.Rational(1, 10**6))
    found = region(expression)
    assert found.kind == "numeric"
    assert "degree 9" in found.reason
    assert "numeric" in repr(found)
    assert radius(expression, found.stable.sup) == pytest.approx(1, abs=1e-8)


def test_a_scan_finds_the_ends_to_ten_digits() -> None:
    found = region(Z**2 - (2 - 2 * H**2 * 1.0) * Z + (1 - H**2) ** 2 + H**2)
    assert found.kind == "numeric"
    assert "floats" in found.reason
    assert float(found.stable.sup) == pytest.approx(1, rel=1e-9)


def test_an_exceeded_time_limit_falls_back_to_a_scan() -> None:
    handler = signal.getsignal(signal.SIGALRM)
    found = region(OPTIMISTIC, time_limit=1e-5)
    assert found.kind == "numeric"
    assert float(found.stable.sup) == pytest.approx(1 / np.sqrt(3), rel=1e-9)
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_time_limit_that_ends_inside_a_callback_of_the_collector_is_kept_afterwards() -> None:
    def slow(phase: str, info: object) -> None:
        spin(0.05)

    def work() -> None:
        with limited_time(0.02):
            gc.collect()
            gc.callbacks.remove(slow)
            spin(5)

    began = time.monotonic()
    gc.callbacks.append(slow)
    with pytest.raises(OutOfTime):
        work()
    assert slow not in gc.callbacks
    assert time.monotonic() - began < 4


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_time_limit_that_ends_while_an_object_is_finalised_is_kept_afterwards() -> None:
    class Thing:
        pass

    def work() -> None:
        thing = Thing()
        weakref.finalize(thing, spin, 0.05)
        with limited_time(0.02):
            del thing
            spin(5)

    began = time.monotonic()
    with pytest.raises(OutOfTime):
        work()
    assert time.monotonic() - began < 4


def test_a_time_limit_inside_another_ends_first_and_leaves_the_other_running() -> None:
    began = time.monotonic()
    ends = []

    def work() -> None:
        with limited_time(0.5):
            try:
                with limited_time(0.05):
                    spin(5)
            except OutOfTime:
                ends.append(time.monotonic() - began)
            spin(5)

    with pytest.raises(OutOfTime):
        work()
    ends.append(time.monotonic() - began)
    assert len(ends) == 2
    assert 0.05 <= ends[0]
    assert 0.5 <= ends[1] < 4
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_outside_the_main_thread_the_clock_ends_the_work_where_it_is_asked() -> None:
    ended: list[bool] = []

    def work() -> None:
        try:
            with limited_time(0.02) as clock:
                while True:
                    clock.check()
        except OutOfTime:
            ended.append(True)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(5)
    assert ended == [True]


def test_the_answer_is_the_same_in_another_thread() -> None:
    answers: list[StableSteps] = []
    worker = threading.Thread(target=lambda: answers.append(region(OPTIMISTIC)))
    worker.start()
    worker.join()
    assert answers[0].stable == OPEN(0, 1 / sp.sqrt(3))


def test_exact_and_numeric_answers_contain_the_same_steps() -> None:
    exact, scanned = region(Z - (H - 1) * (H - 3)), region(Z - (H - 1) * (H - 3), max_degree=0)
    assert scanned.kind == "numeric"
    for h in np.linspace(0.05, 4, 40) + 1e-3:
        assert exact.contains(h) == scanned.contains(h)


# --- free symbols -----------------------------------------------------------------------------------------------------

A, B, G = sp.symbols("a b g", positive=True)


def test_a_gradient_step_on_a_complex_pair_is_stable_below_twice_re_over_modulus_squared() -> None:
    found = region((Z - 1 + H * A) ** 2 + H**2 * B**2)
    assert found.kind == "conditions"
    assert found.conditions == (sp.Lt(H, 2 * A / (A**2 + B**2)),)
    assert found.stable == OPEN(0, 2 * A / (A**2 + B**2))


def test_symbols_without_assumptions_count_as_real() -> None:
    a, b = sp.symbols("a b")
    found = region((Z - 1 + H * a) ** 2 + H**2 * b**2)
    assert sp.Lt(H, 2 * a / (a**2 + b**2)) in found.conditions
    assert found.contains(0.5, {a: 1, b: 1})
    assert not found.contains(1.5, {a: 1, b: 1})
    assert not found.contains(0.5, {a: -1, b: 1})
    assert not found.contains(0.5, {a: 0, b: 0})


def test_consensus_on_xy_is_stable_below_2g_over_1_plus_g_squared() -> None:
    assert region((Z - 1 + G * H) ** 2 + H**2).conditions == (sp.Lt(H, 2 * G / (1 + G**2)),)


def test_no_conditions_help_a_reciprocal_factor() -> None:
    found = region(Z**2 - (2 - A * H**2) * Z + 1)
    assert found.stable == NONE
    assert found.reason


def test_heavy_ball_conditions_are_the_classical_ones() -> None:
    found = region(Z**2 - (1 + A - G * H) * Z + A)
    assert set(found.conditions) == {sp.Lt(H, sp.factor(2 * (1 + A) / G)), sp.Gt(1 - A, 0)}


def test_undecided_symbols_and_large_factors_are_refused() -> None:
    found = region((Z - 1 + G * H) ** 2 + H**2)
    with pytest.raises(ValueError, match="Give values"):
        found.contains(0.5)
    with pytest.raises(ValueError, match="max_degree"):
        region(Z**3 - A * Z - H, max_degree=2)
    with pytest.raises(ValueError, match="complex conjugate"):
        region(Z - 1 + sp.I * H)
    with pytest.raises(ValueError, match="rational functions"):
        region(Z - sp.sqrt(H))
    with pytest.raises(TypeError, match=r"sympy\.Poly"):
        polynomial_region(Z - H, H)


small = st.integers(-6, 6)


@given(st.lists(small, min_size=1, max_size=3), st.tuples(small, small, st.integers(1, 12)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_conditions_hold_iff_the_computed_roots_are_inside(c: list[int], point: tuple[int, int, int]) -> None:
    a = sp.Symbol("a")
    expression = Z ** len(c) + sum((sp.Rational(ci, 9) + a * H * (i + 1) / 4) * Z**i for i, ci in enumerate(c))
    expression += a**2 * H / 5
    at = {a: sp.Rational(point[0], 5)}
    h = sp.Rational(point[2], 8)
    rho = radius(expression.subs(at), h)
    assume(abs(rho - 1) > 1e-6)
    assert region(sp.expand(expression)).contains(h, at) == (rho < 1)


# --- against computed roots -------------------------------------------------------------------------------------------


@st.composite
def jacobians(draw: st.DrawFn) -> sp.Matrix:
    """Rational matrices of size 2 or 3, shifted towards stability so that windows are common."""
    n = draw(st.integers(2, 3))
    entries = draw(st.lists(small, min_size=n * n, max_size=n * n))
    return sp.Matrix(n, n, entries) / 3 + draw(st.integers(0, 3)) * sp.eye(n)


@given(
    jacobians(), st.sampled_from(["gradient", "extragradient"]), st.lists(st.floats(1e-3, 3), min_size=8, max_size=8)
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_step_is_stable_iff_the_computed_spectral_radius_is_below_one(
    J: sp.Matrix, extragradient: bool, steps: list[float]
) -> None:
    step_matrix = sp.eye(J.rows) - H * J + (H**2 * J * J if extragradient else sp.zeros(J.rows))
    p = step_matrix.charpoly(Z)
    found = polynomial_region(sp.Poly(p.as_expr(), Z), H, time_limit=20)
    assert found.kind == "exact"
    J_array = np.array(J.tolist(), dtype=float)
    for h in steps:
        T = np.eye(J.rows) - h * J_array + (h**2 * J_array @ J_array if extragradient else 0)
        rho = np.abs(np.linalg.eigvals(T)).max()
        if abs(rho - 1) > 1e-3:
            assert found.contains(h) == (rho < 1)
            assert sp.Rational(repr(h)) not in found.neutral


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6), st.integers(7, 40))
@settings(max_examples=150, deadline=None)
def test_both_criteria_agree_with_the_computed_roots(coefficients: list[int], scale: int) -> None:
    f = sp.Poly([1] + [sp.Rational(c, scale) for c in coefficients], Z, domain=QQ)
    rho = np.abs(np.roots([float(c) for c in f.all_coeffs()])).max() if any(coefficients) else 0.0
    assume(abs(rho - 1) > 1e-5)
    field = RealNumberField(QQ, QQ.one, sp.Integer(1))
    part = circle_part(f, field)
    assert (part is not None and part.degree() == 0) == (rho < 1)
    assert all(q > 0 for q in lienard_chipart(f)) == (rho < 1)


@given(st.lists(st.fractions(-2, 2, max_denominator=7), min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_jury_determinant_is_the_product_of_one_minus_pairs_of_roots(roots: list) -> None:
    zs = [sp.Rational(r.numerator, r.denominator) for r in roots]
    f = sp.Poly(3 * sp.prod([Z - z for z in zs]), Z, domain=QQ)
    pairs = sp.prod([1 - a * b for i, a in enumerate(zs) for b in zs[i + 1 :]])
    assert QQ.to_sympy(jury_determinant(f)) == 3 ** (len(zs) - 1) * pairs


@given(st.lists(st.sampled_from(["1", "-1", "3/5", "0", "-4/5"]), min_size=1, max_size=3, unique=True), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_circle_part_is_exactly_the_factor_on_the_circle(cosines: list[str], outside: bool) -> None:
    circle = sp.prod([Z**2 - 2 * sp.Rational(c) * Z + 1 for c in cosines])
    inside = (Z - sp.Rational(1, 3)) * (3 * Z**2 + Z + 1) * Z
    pair = (Z - 2) * (Z - HALF) if outside else 1
    field = RealNumberField(QQ, QQ.one, sp.Integer(1))
    part = circle_part(sp.Poly(sp.expand(circle * inside * pair), Z, domain=QQ), field)
    if outside:
        assert part is None
    else:
        assert sp.expand(part.as_expr() - circle) == 0


@pytest.mark.parametrize("expression", [Z - 1 + H**2, OPTIMISTIC, Z**3 - H * Z**2 / 2 + H**2 * Z / 3 - HALF])
def test_the_quick_and_the_exact_decision_at_a_boundary_agree(expression: sp.Expr) -> None:
    end = region(expression).stable.sup
    m = sp.Poly(sp.minimal_polynomial(end, H), H, domain=QQ).monic()
    root = next(r for r in real_roots(m) if r.value == end)
    f = sp.Poly(expression, Z, domain=QQ[H])
    field = root.field()
    part = circle_part(field.at(f), field)
    assert simple_crossing(f, root) == "circle"
    assert part is not None
    assert part.degree() in (1, 2)


# --- modulus ----------------------------------------------------------------------------------------------------------


def test_the_dominant_modulus_of_known_steps() -> None:
    assert dominant_modulus(sp.Poly((Z - 1) ** 2 + H**2, Z)) == sp.sqrt(1 + H**2)
    extragradient = dominant_modulus(sp.Poly((Z - (1 - H**2)) ** 2 + H**2, Z))
    assert sp.simplify(extragradient**2 - (1 - H**2) ** 2 - H**2) == 0
    assert dominant_modulus(sp.Poly((Z**2 - sp.sqrt(2) * Z + 2) * (Z - 1), Z)) == sp.sqrt(2)
    assert dominant_modulus(sp.Poly((Z**2 + 1) * (Z**3 - Z - 1), Z)) == sp.CRootOf(Z**3 - Z - 1, 0)
    optimistic = dominant_modulus(sp.Poly((Z**2 - Z) ** 2 + (2 * Z - 1) ** 2 / 100, Z))
    assert sp.simplify(optimistic - sp.sqrt(sp.Rational(1, 2) + sp.sqrt(6) / 5)) == 0
    cubic = sp.Poly(Z**3 + Z**2 + 5 * Z + 1, Z)  # the product of its roots is -1
    assert float(dominant_modulus(cubic) ** 2 * cubic.real_roots()[0]) == pytest.approx(-1, abs=1e-14)
    assert dominant_modulus(sp.Poly(Z**3, Z)) == 0
    assert dominant_modulus(sp.Poly(Z**3 - H * Z - 1, Z)) is None


def test_symbolic_moduli_come_back_as_their_maximum() -> None:
    found = dominant_modulus(sp.Poly((Z - H) * (Z**2 + G), Z))
    assert found == sp.Max(H, sp.sqrt(G))


# --- printing ---------------------------------------------------------------------------------------------------------


def test_an_answer_prints_its_kind_its_intervals_and_its_neutral_steps() -> None:
    text = repr(region(OPTIMISTIC))
    assert "exact" in text
    assert "sqrt(3)/3 [0.577350]" in text
    assert "neutral" in text
    assert "no step" in repr(region((Z - 1) ** 2 + H**2))
    assert region(OPTIMISTIC).latex().startswith("h \\in")
    assert "\\frac" in region((Z - 1 + G * H) ** 2 + H**2).latex()
