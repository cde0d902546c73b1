"""Spectrum: the eigenvalues are those of J, and what did not converge is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import gamedyn as gd
from gamedyn.games.products import RetainedJacobian, refuse_random
from gamedyn.neural import GAN, Spectrum, gaussians_1d, mlp_discriminator, mlp_generator, ring, spectrum


@pytest.fixture(scope="module")
def gan() -> GAN:
    g = mlp_generator(4, 2, (14,), activation="tanh", init="orthogonal", seed=5)
    d = mlp_discriminator(2, (12, 10), activation="tanh", init="orthogonal", seed=6)
    return GAN(g, d, data=ring(n=200, std=0.1), evaluation_size=64)


@pytest.fixture(scope="module")
def jacobian(gan: GAN) -> np.ndarray:
    return RetainedJacobian(gan.field(), gan.initial().double()).to_dense().numpy()


def test_dense_eigenvalues_are_those_of_the_jacobian(gan: GAN, jacobian: np.ndarray) -> None:
    s = spectrum(gan, k=10)
    assert (s.method, s.missing, s.dim) == ("dense", 0, gan.dim)
    assert 250 <= gan.dim <= 350
    expected = np.sort(np.abs(np.linalg.eigvals(jacobian)))[::-1][: len(s.eigenvalues)]
    np.testing.assert_allclose(np.abs(s.eigenvalues), expected, atol=1e-10)
    assert s.norm == pytest.approx(np.linalg.norm(jacobian, 2), rel=1e-12)
    assert s.residuals.max() < 1e-12


@pytest.mark.parametrize(("which", "k"), [("LM", 10), ("LR", 10), ("SR", 10), ("LI", 4)])
def test_krylov_finds_the_leading_eigenvalues_of_the_dense_spectrum(gan: GAN, which: str, k: int) -> None:
    dense, krylov = spectrum(gan, k=k, which=which), spectrum(gan, k=k, which=which, dense_limit=0)
    assert krylov.method.startswith("Krylov-Schur")
    assert krylov.missing == 0
    np.testing.assert_allclose(krylov.eigenvalues, dense.eigenvalues, rtol=0, atol=1e-6)
    assert krylov.norm <= dense.norm * (1 + 1e-12)
    assert krylov.norm > 0.9 * dense.norm


def test_conjugate_pairs_are_never_split() -> None:
    gan = GAN(
        mlp_generator(2, 2, (4,), activation="tanh"), mlp_discriminator(2, (5,), activation="tanh"), data=ring(n=64)
    )
    lengths = set()
    for k in range(1, 13):
        values = spectrum(gan, k=k).eigenvalues
        lengths.add(len(values) - k)
        for value in values:
            assert np.abs(values - value.conjugate()).min() < 1e-9
    assert lengths == {0, 1}


def test_residuals_are_those_of_right_eigenvectors(gan: GAN, jacobian: np.ndarray) -> None:
    assert np.linalg.norm(jacobian - jacobian.T) > 0.1 * np.linalg.norm(jacobian)  # left and right differ
    s = spectrum(gan, k=6, dense_limit=0)
    assert s.residuals.max() < 1e-9 * s.norm


def test_imaginary_share_is_one_for_rotation_and_zero_for_a_potential_game() -> None:
    rotation = gd.callable_game([lambda z: z[0] * z[1], lambda z: -z[0] * z[1]], sizes=[1, 1])
    bowl = gd.callable_game([lambda z: z[0] ** 2, lambda z: z[1] ** 2], sizes=[1, 1])
    z = torch.zeros(2)
    assert spectrum(rotation, z, k=2).imaginary_share == pytest.approx(1, abs=1e-15)
    assert spectrum(rotation, z, k=1).eigenvalues.tolist() == [1j, -1j]
    assert spectrum(bowl, z, k=2).imaginary_share == 0


def test_what_did_not_converge_is_said() -> None:
    g, d = mlp_generator(4, 1, (40, 40), activation="tanh"), mlp_discriminator(1, (40, 40), activation="tanh")
    gan = GAN(g, d, data=gaussians_1d(n=100))
    s = spectrum(gan, k=10, which="LI", dense_limit=0, maxiter=1)
    assert s.missing > 0
    assert f"{s.missing} of the 10 wanted eigenvalues did not converge" in repr(s)
    assert len(s.eigenvalues) == len(s.residuals) == len(s.converged)


def test_random_fields_have_no_spectrum() -> None:
    generator = torch.Generator().manual_seed(0)
    noisy = gd.callable_game(
        [lambda z: (z[0] - torch.randn((), generator=generator)) ** 2, lambda z: z[1] ** 2], sizes=[1, 1]
    )
    with pytest.raises(ValueError, match=r"differ.*eval"):
        spectrum(noisy, torch.zeros(2), k=1)
    steep = gd.callable_game([lambda z: z[0] ** 2 / 0, lambda z: z[1] ** 2], sizes=[1, 1])
    with pytest.raises(ValueError, match="not finite"):
        refuse_random(steep.field(), torch.ones(2))


def test_networks_that_turn_random_after_they_were_accepted_are_caught() -> None:
    d = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)).eval()
    gan = GAN(mlp_generator(2, 2, (4,)), d, data=ring(n=64))
    spectrum(gan, k=2)
    d.train()
    with torch.random.fork_rng(), pytest.raises(ValueError, match="eval"):
        spectrum(gan, k=2)


def test_bad_arguments_are_named(gan: GAN) -> None:
    with pytest.raises(ValueError, match="largest modulus"):
        spectrum(gan, which="XX")
    with pytest.raises(ValueError, match="from 1 to d"):
        spectrum(gan, k=0)


def test_a_checkpoint_stays_until_all_have_converged_and_serves_its_own_point_only(gan: GAN, tmp_path: Any) -> None:
    path, options = tmp_path / "state.npz", {"k": 6, "which": "SR", "dense_limit": 0, "basis": 14}
    assert spectrum(gan, maxiter=2, checkpoint=path, **options).missing > 0
    assert path.exists()
    with pytest.raises(ValueError, match="another operator"):
        spectrum(gan, gan.initial() * 1.01, checkpoint=path, **options)
    found = spectrum(gan, checkpoint=path, **options)
    assert (found.missing, path.exists()) == (0, False)
    np.testing.assert_allclose(found.eigenvalues, spectrum(gan, k=6, which="SR").eigenvalues, atol=1e-8)


def test_unknown_options_and_points_of_wrong_length_are_named(gan: GAN) -> None:
    with pytest.raises(TypeError, match="tolerence"):
        spectrum(gan, tolerence=1e-3)
    with pytest.raises(ValueError, match=r"needs a vector"):
        spectrum(gan, np.zeros(3))


def test_spectrum_survives_its_text_and_prints_on_one_screen(gan: GAN) -> None:
    s = spectrum(gan, k=40, step=7)
    again = Spectrum.from_json(s.to_json())
    np.testing.assert_array_equal(again.eigenvalues, s.eigenvalues)
    np.testing.assert_array_equal(again.residuals, s.residuals)
    assert repr(again) == repr(s)
    assert "at step 7" in repr(s)
    assert len(repr(s).splitlines()) <= 24
