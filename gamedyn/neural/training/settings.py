"""A training run as plain names and numbers: what a file can hold and a command line can say.

    settings -> GAN, method          `RunSettings(...).gan()`, `.rule()`
    settings <-> JSON                `.write(path)`, `read_settings(path)`                   (1)

A file of settings is data: names are looked up in tables, types and ranges are checked, nothing is executed.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from gamedyn.neural.data import Dataset
    from gamedyn.neural.gan import GAN
    from gamedyn.neural.penalties import Penalty
    from gamedyn.rules.method import Method

__all__ = ["PENALTIES", "RunSettings", "read_settings", "settings_for"]

FORMAT = "gamedyn gan settings 1"
NAMED_DATA = ("digits", "ring", "grid", "mnist")
PENALTIES = {"R1": 0.1, "R2": 0.1, "GradientPenalty": 10.0, "DRAGAN": 10.0, "WeightClipping": 0.01}
"""The penalties that a name gives, with the weight where none is said."""

_CHOICES: dict[str, tuple[str | None, ...]] = {
    "preconditioner": ("adam", "rmsprop", "none"),
    "network": ("mlp", "dcgan"),
    "sampling": ("same", "independent"),
    "autocast": (None, "bfloat16", "float16"),
}
_POSITIVE = ("every", "checkpoint_every")
_COUNTS = {"steps": 10**9, "batch": 2**20, "n_d": 1000, "width": 4096, "latent": 4096}  # what a file can ask for
_BELOW_ONE = ("beta1", "beta2", "average", "replay")
LARGEST_RATE = 3e38  # float32 ends at 3.4e38
SNAPSHOTS, PENALTY_NAMES, DCGAN_WIDTH = 10_000, 16, 256  # at most


@dataclass(frozen=True)
class RunSettings:
    """All that decides a run of `gamedyn gan train`.

    Parameters
    ----------
    data : str
        "digits", "ring", "grid", "mnist" (from the directory $GAMEDYN_MNIST), or a path that `from_directory` reads.
    loss : str
        A name in `LOSSES`.
    penalty : tuple of str
        "NAME" or "NAME:WEIGHT", names and default weights in `PENALTIES`.
    method : str
        A name in `gamedyn.rules.named.methods`.  Where players take turns, the discriminator goes first.
    lr, lr_d : float
        Step sizes of the generator and of the discriminator, 1e-3; `settings_for` makes lr_d equal to lr.
    n_d : int
        Steps of the discriminator for one of the generator.
    preconditioner : {"adam", "rmsprop", "none"} or None
        None: the method's own if it has one, else Adam.
    beta1, beta2 : float or None
        Of Adam, by default 0.5 and 0.999; of a method with an Adam of its own, by default that one's (0.9 and 0.999);
        beta2 is the decay of RMSProp, by default 0.99.
    unroll : int
        Answers of the discriminator that the generator looks ahead, in steps of the preconditioner.
    steps, batch, seed : int
    network : {"mlp", "dcgan"}
    width, latent : int
        Of the hidden layers (mlp) or channels of the finest map (dcgan), and of z.
    instance_noise : float
        Standard deviation, 0 for none.
    spectral_norm : bool
        Whether the discriminator's layers are divided by their norms.
    average, replay : float
        Decay of the average of the iterates, and share of old samples shown to the discriminator; 0 for none.
    sampling : {"same", "independent"}
        One batch per step ("same" here; `settings_for` takes "independent" for n_d > 1), or one per evaluation.
    every, checkpoint_every : int
        Steps between snapshots, and between checkpoints.
    device : str
    autocast : {None, "bfloat16", "float16"}
    compile : bool

    Raises
    ------
    TypeError, ValueError
        With the setting, what it is, and what it may be.
    """

    data: str
    batch: int
    steps: int
    every: int
    checkpoint_every: int
    network: str
    width: int
    latent: int
    lr: float = 1e-3
    lr_d: float = 1e-3
    n_d: int = 1
    loss: str = "non_saturating"
    penalty: tuple[str, ...] = ()
    method: str = "Alternating"
    preconditioner: str | None = None
    beta1: float | None = None
    beta2: float | None = None
    unroll: int = 0
    seed: int = 0
    instance_noise: float = 0.0
    spectral_norm: bool = False
    average: float = 0.0
    replay: float = 0.0
    sampling: str = "same"
    device: str = "cpu"
    autocast: str | None = None
    compile: bool = False

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, _checked(f.name, str(f.type), getattr(self, f.name)))
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if value not in allowed and not (name == "preconditioner" and value is None):
                _refuse(name, value, f"one of {', '.join(str(a) for a in allowed if a)}")
        for names, low, high, what in (
            (_POSITIVE, 0, math.inf, "a positive number"),
            (("lr", "lr_d"), 0, LARGEST_RATE, f"a positive number below {LARGEST_RATE:g}"),
            *(((name,), 0, most + 1, f"a number from 1 to {most}") for name, most in _COUNTS.items()),
            (("unroll",), -1, 1001, "a number from 0 to 1000"),
            (("instance_noise",), -1e-300, math.inf, "a number >= 0"),
            (("seed",), -1, 2**31, "a number from 0 to 2147483647"),
            (_BELOW_ONE, -1e-300, 1, "a number from 0 to below 1"),
        ):
            for name in names:
                value = getattr(self, name)
                if value is not None and not low < value < high:
                    _refuse(name, value, what)
        self._check_together()

    def _check_together(self) -> None:
        """Refuse what would only end by the memory of the machine, and other devices."""
        if self.steps > SNAPSHOTS * self.every:
            _refuse("every", self.every, f"at least {-(-self.steps // SNAPSHOTS)}, for {self.steps} steps")
        if self.network == "dcgan" and self.width > DCGAN_WIDTH:
            _refuse("width", self.width, f"at most {DCGAN_WIDTH} channels of the finest map")
        if len(self.penalty) > PENALTY_NAMES:
            _refuse("penalty", f"{len(self.penalty)} names", f"at most {PENALTY_NAMES}")
        if not re.fullmatch(r"cpu|mps|cuda(:\d{1,3})?", self.device):
            _refuse("device", self.device, "cpu, cuda, cuda:N or mps")

    # what they build ------------------------------------------------------------------------------------------

    def dataset(self) -> Dataset:
        """The data."""
        from gamedyn.neural import data as library

        if self.data == "mnist":
            folder = os.environ.get("GAMEDYN_MNIST")
            if not folder:
                raise ValueError(
                    "data 'mnist' needs its files: set GAMEDYN_MNIST to the directory that holds "
                    "train-images-idx3-ubyte and its labels (.gz or not); nothing is downloaded"
                )
            return library.mnist(folder)
        if self.data in NAMED_DATA:
            found: Dataset = getattr(library, self.data)()
            return found
        if not Path(self.data).exists():
            raise ValueError(f"data {self.data!r} is neither a directory nor one of {', '.join(NAMED_DATA)}")
        return library.from_directory(self.data)

    def penalties(self) -> list[Penalty]:
        """The penalties."""
        return [_penalty(text) for text in self.penalty]

    def gan(self, data: Dataset | None = None) -> GAN:
        """The GAN, before training; `data` spares reading them again."""
        from gamedyn.neural.gan import GAN
        from gamedyn.neural.networks.defaults import default_networks
        from gamedyn.neural.penalties.instance_noise import InstanceNoise

        data = self.dataset() if data is None else data
        generator, discriminator = default_networks(
            data, self.network, width=self.width, latent=self.latent, seed=self.seed, spectral_norm=self.spectral_norm
        )
        more: dict[str, Any] = {"compile": True} if self.compile else {}
        return GAN(
            generator,
            discriminator,
            loss=self.loss,
            penalty=self.penalties(),
            instance_noise=InstanceNoise(self.instance_noise) if self.instance_noise else None,
            data=data,
            batch_size=self.batch,
            autocast=self.autocast,
            device=self._device(),
            seed=self.seed,
            **more,
        )

    def rule(self) -> Method:
        """The method: rule, preconditioner and unrolling.

        Raises
        ------
        ValueError
            If they do not go together, or not with networks; the message names the setting.
        """
        from gamedyn.neural.training.settings_method import method_of

        return method_of(self)

    def _device(self) -> torch.device:
        import torch

        kind = self.device.split(":")[0]
        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]
        if not there:
            raise ValueError(f"device is {self.device!r}, which torch does not find on this machine; use cpu")
        return torch.device(self.device)

    # as text --------------------------------------------------------------------------------------------------

    def write(self, path: str | os.PathLike[str]) -> None:
        """A JSON file, whole or not at all."""
        from gamedyn.neural.training.files import sync_folder, write_whole

        path = Path(path)
        write_whole(path, (json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n").encode())
        sync_folder(path.parent)


def settings_for(data: str = "digits", **given: Any) -> RunSettings:
    """Settings with good defaults for the data; what is None counts as not given.

    Examples
    --------
    >>> settings_for("ring", penalty=("R1:0.5",)).gan()
    GAN(non_saturating GAN + R1(gamma=0.5) on ring, d = 9,795: generator 5,378, discriminator 4,417; latent 16, ...)
    """
    given = {name: value for name, value in given.items() if value is not None}
    cloud, network = data in ("ring", "grid"), given.get("network", "mlp")
    if data not in NAMED_DATA:
        data = str(Path(data).absolute())
    steps, n_d = given.get("steps", 5000 if cloud else 3000), given.get("n_d", 1)
    usable = isinstance(steps, int) and steps > 0
    filled = {
        "batch": 128 if cloud else 64,
        "steps": steps,
        "every": max(1, steps // 10) if usable else 1,
        "checkpoint_every": max(1, steps // 10) if usable else 1,
        "network": network,
        "width": 8 if network == "dcgan" else 64 if cloud else 128,
        "latent": 32 if network == "dcgan" or data == "mnist" else 16,
        "lr_d": given.get("lr", 1e-3),
        "sampling": "independent" if isinstance(n_d, int) and n_d > 1 else "same",
    }
    return RunSettings(data=data, **{**filled, **given})


def read_settings(path: str | os.PathLike[str]) -> RunSettings:
    """Read a file of `RunSettings.write`.

    Raises
    ------
    ValueError
        If it is no such file: other names, types or values than settings have.
    """
    path = Path(path)
    try:
        if path.stat().st_size > 2**20:
            raise ValueError("it is larger than any settings")
        record = json.loads(path.read_text("utf-8"))
        if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        known = {f.name for f in fields(RunSettings)}
        if unknown := sorted(set(record) - known):
            raise ValueError(f"there are no settings {', '.join(map(repr, unknown[:5]))}")
        if missing := sorted(known - set(record)):
            raise ValueError(f"{', '.join(missing[:5])} are missing")
        if not isinstance(record["penalty"], list):
            _refuse("penalty", record["penalty"], "a list of names")
        return RunSettings(**{**record, "penalty": tuple(record["penalty"])})
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} holds no settings of a run ({str(error)[:200]}); give the directory of a run of "
            "`gamedyn gan train`"
        ) from error


def _refuse(name: str, value: Any, needed: str) -> None:
    raise ValueError(
        f"{name} is {str(value)[:60]!r}; give {needed}"
        if isinstance(value, str)
        else f"{name} is {str(value)[:60]}; give {needed}"
    )


def _checked(name: str, kind: str, value: Any) -> Any:
    """The value in its type; kind is its annotation."""
    if value is None:
        if "None" in kind:
            return None
        _refuse(name, value, f"a value ({kind})")
    base = kind.split(" |")[0]
    if base.startswith("tuple"):
        if not isinstance(value, tuple | list) or not all(isinstance(v, str) for v in value):
            _refuse(name, value, "names")
        return tuple(value)
    if base == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    expected = {"str": str, "int": int, "float": float, "bool": bool}[base]
    if not isinstance(value, expected) or (expected is not bool and isinstance(value, bool)):
        _refuse(name, value, {"str": "a name", "int": "an integer", "float": "a number", "bool": "true or false"}[base])
    if base == "float" and not math.isfinite(value):
        _refuse(name, value, "a finite number")
    return value


def _penalty(text: str) -> Penalty:
    """ "R1:0.5" as R1(0.5)."""
    from gamedyn.neural import penalties as library

    name, _, weight = text.partition(":")
    if name not in PENALTIES:
        raise ValueError(f"there is no penalty {name[:40]!r}; the penalties are {', '.join(PENALTIES)}, as in R1:0.1")
    try:
        value = float(weight) if ":" in text else PENALTIES[name]
    except ValueError:
        raise ValueError(
            f"penalty {text[:40]!r} has no number behind the colon; write {name}:{PENALTIES[name]}"
        ) from None
    penalty: Penalty = getattr(library, name)(value)
    return penalty
