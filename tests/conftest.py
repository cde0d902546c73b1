"""Hypothesis profiles (HYPOTHESIS_PROFILE = dev, ci or nightly) and one torch thread."""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=20, deadline=None)
settings.register_profile(
    "ci", max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("nightly", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def _one_torch_thread():
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _kernel_cache(tmp_path_factory):
    """Kernels compiled by tests go to a directory of the session, never to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAMEDYN_CACHE", str(tmp_path_factory.mktemp("gamedyn_cache")))
        yield
