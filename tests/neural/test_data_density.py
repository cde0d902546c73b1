"""True densities: against scipy, closed forms and integrals, and against the samples that they are said to be of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from gamedyn.neural.data import (
    Dataset,
    GaussianMixture,
    gaussians_1d,
    grid,
    line,
    mixture,
    parallel_lines,
    ring,
    spiral,
    swiss_roll,
)

PLANE: list[Callable[..., Dataset]] = [ring, grid, line, spiral, swiss_roll, parallel_lines]


def on_grid(data: Dataset, spacing: float) -> torch.Tensor:
    """log p on a square grid that reaches five std beyond every sample."""
    assert data.log_density is not None
    assert data.std is not None
    reach = float(data.x.abs().max()) + 5.0 * data.std
    axis = torch.arange(-reach, reach, spacing, dtype=torch.float64)
    return data.log_density(torch.cartesian_prod(axis, axis))


def test_mixture_matches_scipy_and_stays_finite_far_away() -> None:
    means, w, std = np.array([[0.0, 1.0, 2.0], [-1.0, 0.5, 0.0]]), np.array([0.8, 0.2]), 0.3
    data = mixture(means.tolist(), std, (8, 2), n=10)
    assert data.log_density is not None
    x = torch.randn((40, 3), generator=torch.Generator().manual_seed(0)) * torch.tensor(10.0).pow(torch.arange(3))
    parts = [multivariate_normal(mu, std**2).logpdf(x.double().numpy()) for mu in means]
    expected = logsumexp(np.stack(parts, 1) + np.log(w), axis=1)
    assert expected.min() < -1e4  # beyond where p itself is a float
    np.testing.assert_allclose(data.log_density(x).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("make", PLANE)
def test_density_integrates_to_one_and_samples_have_its_entropy(make: Callable[..., Dataset]) -> None:
    data = make(std=0.15, n=3_000, seed=1)
    spacing = 0.075  # half a std: the sum over a grid is then the integral to 1e-30
    log_p = on_grid(data, spacing)
    p = log_p.exp()
    assert float(p.sum()) * spacing**2 == pytest.approx(1.0, abs=1e-9)
    minus_entropy = float((p * log_p).sum()) * spacing**2
    assert data.log_density is not None
    samples = data.log_density(data.x)
    assert abs(samples.mean() - minus_entropy) < 4.5 * samples.std() / len(data) ** 0.5


def test_density_on_the_line_is_the_mixture_of_its_normals() -> None:
    data = gaussians_1d((-2.0, 2.0), std=0.5, n=10)
    assert data.log_density is not None
    x = np.linspace(-4, 4, 50)
    expected = (norm(-2, 0.5).pdf(x) + norm(2, 0.5).pdf(x)) / 2
    np.testing.assert_allclose(data.log_density(torch.from_numpy(x)[:, None]).exp(), expected, rtol=1e-12)


@pytest.mark.parametrize("std", [0.003, 0.1, 3.0])
def test_quadrature_along_segments_is_their_closed_form(std: float) -> None:
    """U[0, 1] plus N(0, std²) has the density Φ(y / std) - Φ((y - 1) / std)."""
    theta = 0.7
    data = parallel_lines(theta, std, n=10)
    assert data.log_density is not None
    g = torch.Generator().manual_seed(0)
    x = data.x.double() + 6 * std * (2 * torch.rand((10, 2), generator=g, dtype=torch.float64) - 1)
    u, y = x.numpy().T
    along = np.where(  # the difference of the smaller tails, which does not cancel
        y > 0.5, norm.sf((y - 1) / std) - norm.sf(y / std), norm.cdf(y / std) - norm.cdf((y - 1) / std)
    )
    across = (norm(0, std).pdf(u) + norm(theta, std).pdf(u)) / 2
    np.testing.assert_allclose(data.log_density(x).exp().numpy(), along * across, rtol=1e-9)


def test_score_of_one_gaussian_is_linear() -> None:
    x = torch.tensor([[1.0, -2.0], [0.5, 0.0]], dtype=torch.float64, requires_grad=True)
    (score,) = torch.autograd.grad(GaussianMixture(torch.tensor([[0.5, 1.0]]), 0.2)(x).sum(), x)
    torch.testing.assert_close(score, -(x.detach() - torch.tensor([0.5, 1.0])) / 0.04, rtol=1e-12, atol=0)


def test_many_points_are_the_same_as_few() -> None:
    data = spiral(std=0.03, n=3_000)
    assert data.log_density is not None
    assert torch.equal(data.log_density(data.x)[-7:], data.log_density(data.x[-7:]))
    assert data.log_density(data.x[:0]).shape == (0,)


@pytest.mark.parametrize("make", PLANE)
def test_without_noise_there_is_no_density(make: Callable[..., Dataset]) -> None:
    assert make(std=0.0, n=10).log_density is None


def test_noise_too_thin_for_the_quadrature_leaves_the_density_unknown() -> None:
    assert spiral(std=1e-6, n=10).log_density is None
    assert spiral(std=1e-3, n=10).log_density is not None


def test_density_stays_with_the_data_and_is_float64() -> None:
    data = ring(n=50)
    part, rest = data.split(20, torch.Generator().manual_seed(0))
    for same in (part, rest, data.to(dtype=torch.float64), replace(data, name="other")):
        assert same.log_density is data.log_density
    assert data.log_density is not None
    assert data.log_density(data.x).dtype == torch.float64


def test_densities_that_cannot_be_are_refused() -> None:
    means = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="std is 0"):
        GaussianMixture(means, 0.0)
    with pytest.raises(ValueError, match=r"it must be \(k, d\)"):
        GaussianMixture(torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match="positive with sum 1"):
        GaussianMixture(means, 1.0, torch.tensor([0.5, 0.6]))
    with pytest.raises(ValueError, match=r"weights have shape \(3,\)"):
        GaussianMixture(means, 1.0, torch.ones(3) / 3)
    with pytest.raises(ValueError, match=r"it must be \(m, 3\)"):
        GaussianMixture(means, 1.0)(torch.zeros(5, 2))
