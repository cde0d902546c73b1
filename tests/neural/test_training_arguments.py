"""What training is given: taken as it is, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gamedyn as gd
from gamedyn.neural import GAN, mlp_discriminator, mlp_generator, ring, train
from gamedyn.neural.training import Replay

DOUBLE = torch.float64


def small(dtype: torch.dtype = DOUBLE) -> GAN:
    g = mlp_generator(3, 2, (8,), activation="tanh", seed=3)
    d = mlp_discriminator(2, (8,), activation="tanh", seed=4)
    return GAN(g, d, data=ring(n=100, seed=1), batch_size=16, evaluation_size=32, dtype=dtype)


def test_bad_arguments_are_named() -> None:
    gan = small()
    for game in (gd.games.bilinear(1), gd.two_timescale(2.0)(gd.games.bilinear(1))):
        with pytest.raises(TypeError, match="no GAN"):
            train(game, gd.Simultaneous(0.1), 3)
    for kw, words in (
        ({"steps": 0}, "at least 1"),
        ({"steps": 2, "every": 0}, "at least 1"),
        ({"steps": 2, "spectrum_at": (3,)}, "no steps of this run"),
        ({"steps": 2, "z0": torch.zeros(3)}, "z0 has shape"),
        ({"steps": 2, "batch_size": 1000}, "at most 100"),
        ({"steps": 2, "sampling": "each"}, "sampling='each'"),
        ({"steps": 2, "average": 1.0}, "average is 1.0"),
        ({"steps": 2, "checkpoint_every": 1}, "give out=DIR"),
        ({"steps": 2, "resume": True}, "give out=DIR"),
        ({"steps": 2, "log_every": 0}, "log_every is 0"),
        ({"steps": 2, "replay": Replay(3)}, "the buffer holds 3"),
        ({"steps": 2, "replay": Replay(30, 0.01)}, "another share or batch size"),
        ({"steps": None}, "steps is None"),
        ({"steps": True}, "steps is True"),
        ({"steps": 2, "average": "0.9"}, "average is '0.9'"),
        ({"steps": 2, "replay": Replay(30, 0.3), "accumulate": 4}, r"5 old.* = 4.*use a share of 0.25, 0.5, 0.75$"),
    ):
        with pytest.raises(ValueError, match=words):
            train(gan, gd.Simultaneous(0.1), **kw)
    for kw, words in (
        ({"z0": [1] * gan.dim}, "z0 has numbers of type torch.int64"),
        ({"z0": ["a"]}, "z0 is of type list"),
        ({"spectrum_at": 10}, "spectrum_at is 10; give a sequence"),
        ({"spectrum_at": [1.5]}, "must be ints"),
        ({"monitor": 3}, "monitor is 3; give Monitor"),
        ({"callback": 3}, "callback is 3; give a function"),
        ({"progress": "yes"}, "progress is 'yes'"),
        ({"resume": "yes", "out": "run"}, "resume is 'yes'"),
        ({"out": 3}, "out is 3; give the path"),
    ):
        with pytest.raises(TypeError, match=words):
            train(gan, gd.Simultaneous(0.1), 2, **kw)
    with pytest.raises(NotADirectoryError, match="is a file; give a folder"):
        train(gan, gd.Simultaneous(0.1), 2, out=__file__)
    with pytest.raises(TypeError, match="no rule"):
        train(gan, "adam", 3)
    with pytest.raises(TypeError, match="give Replay"):
        train(gan, gd.Simultaneous(0.1), 3, replay=100)  # type: ignore[arg-type]
    for wrong in ((0, 0.5), (10, 1.0), (10, 0.0), (1.5, 0.5)):
        with pytest.raises(ValueError, match="Replay: "):
            Replay(*wrong)  # type: ignore[arg-type]


def test_numbers_of_numpy_and_arrays_are_taken_as_they_are() -> None:
    gan = small()
    z0 = gan.initial() + 0.1
    ours = train(gan, gd.Simultaneous(0.1), np.int64(3), every=np.int32(1), z0=z0.numpy(), spectrum_at=np.array([0]))  # type: ignore[arg-type]
    theirs = train(gan, gd.Simultaneous(0.1), 3, every=1, z0=z0, spectrum_at=(0,))
    assert torch.equal(ours.snapshots, theirs.snapshots)
    assert len(ours.spectra) == 1


def test_old_samples_are_shared_out_to_parts_of_a_batch_by_the_shares_that_are_offered() -> None:
    for share in (0.25, 0.5, 0.75):
        result = train(small(), gd.Simultaneous(0.1), 3, replay=Replay(30, share), accumulate=4)
        assert result.status == "finished"


def test_pauses_are_those_of_a_list_and_need_none() -> None:
    from gamedyn.neural import Monitor
    from gamedyn.neural.training.pauses import Pauses

    for steps, every, gap, looks in (
        (23, 5, 4, {"every": 3}),
        (20, None, None, {"steps": (0, 7, 20, 99)}),
        (3, 9, 9, {}),
    ):
        monitor = Monitor(**looks) if looks else None  # type: ignore[arg-type]
        pauses = Pauses(steps, every, (2, 0), monitor, gap, checkpoints=True)
        tenth = max(1, steps // 10)
        expected = {
            "snapshots": {*range(0, steps, every or tenth), steps},
            "checkpoints": {*range(gap or tenth, steps, gap or tenth), steps},
            "spectra": {0, 2},
            "looks": set() if monitor is None else set(monitor.stops(steps)),
        }
        for name, listed in expected.items():
            assert {s for s in range(-2, steps + 9) if s in getattr(pauses, name)} == listed, name
        met, at = [], pauses.after(0)
        while at is not None:
            met.append(at)
            at = pauses.after(at + 1)
        assert met == sorted(set().union(*expected.values()))
    endless = Pauses(10**15, 1, (), None, 1, checkpoints=True)
    assert endless.after(10**14) == 10**14
    assert 10**15 + 1 not in endless.snapshots
