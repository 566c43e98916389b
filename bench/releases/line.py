"""Whose releases are examined, on which backend, beside what, and by which cases."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from bench.checks import CHECKS
from bench.metamorphic import EQUALITIES, equality_cases
from bench.versions.requirements import VersionsError, Wanted
from models.backends.registry import info

KERAS = ("3.0.1", "3.0.2", "3.0.5", "3.4.1", "3.5.0", "3.6.0", "3.7.0", "3.9.2", "3.10.0", "3.13.2", "3.14.1", "3.15.1")
OLD_TENSORFLOW = ("3.1", "tensorflow-cpu==2.16.2 numpy<2")
OLD_JAX, NEW_JAX = ("3.11", "jax==0.4.30 numpy<2"), ("4", "jax==0.10.2")
"""What Keras releases before the first number run beside, in an environment of their own."""
PARITY = (
    "norm=layer,depth=4", "norm=group,depth=4", "norm=batch,depth=4", "norm=batch,depth=4,input=shifted", "norm=rms,depth=4",
    "act=gelu,depth=4", "act=silu,depth=4", "act=selu,depth=4,lr=0.001", "act=mish,depth=4", "act=hardswish,depth=4",
    "rnn,cell=lstm", "rnn,cell=gru", "precision=mixed_bfloat16,depth=4",
)  # fmt: skip
"""Networks whose gradients are compared with the float64 reference's."""
BOTH_HAVE = ("momentum", "nesterov", "rmsprop", "adagrad", "adadelta", "adam", "adamw", "nadam", "adamax", "amsgrad")
OPTIMIZERS = {"torch": (*BOTH_HAVE, "radam"), "keras": (*BOTH_HAVE, "lion", "ftrl")}
"""By framework, optimizers whose steps are compared with their rule."""
QUICK = (
    "micro_batches_schedule", "micro_batches_average", "loss_scaling", "averaged_weights", "reported_train_on_batch",
    "reported_test_on_batch", "reported_fit", "reported_evaluate", "iterations", "steps_per_execution", "penalty_once",
    "early_stopping_again", "refused", "half_precision_norm", "function_in_function", "traces", "memory",
)  # fmt: skip
"""Equalities that some release of Keras is known to break on TensorFlow, where all of them take ten minutes a release."""
NAMES = {"tensorflow": "TensorFlow", "torch": "PyTorch", "keras": "Keras", "jax": "JAX"}


@dataclass(frozen=True)
class Line:
    """Releases of `package`, each judged on `backend`, by the equalities of `only` or by every one of the core set.

    `beside` says what else is installed for releases before a version, and `always` for all.
    """

    package: str
    backend: str
    releases: tuple[str, ...]
    title: str
    beside: tuple[tuple[str, str], ...] = ()
    always: str = ""
    only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What `--of` takes, and how the page's and the record's files begin."""
        return self.backend.replace("-", "_on_") if self.package == "keras" else self.package

    @property
    def file(self) -> str:
        """The page's name in `baselines/`."""
        return f"{self.name}_releases.md"

    @property
    def cases(self) -> list[str]:
        """Equalities, networks by their gradients, and optimizers by their steps; what this line is known for, where it names that."""
        if self.only:
            return [*self.only, *PARITY[:4]]
        framework = "torch" if self.backend == "torch" else "keras"
        equalities = [case.equality for case in equality_cases("core", [self.backend])]
        return [*equalities, *PARITY, *(f"update@optimizer={name},depth=4" for name in OPTIMIZERS[framework])]

    def named(self, release: str) -> str:
        """A release as a sentence calls it."""
        return f"{NAMES[self.package]} {release}"

    def wanted(self, release: str, device: str = "cpu") -> Wanted:
        """What a release is installed as. Raises VersionsError."""
        try:
            version = Version(release)
        except InvalidVersion:
            raise VersionsError("that is not a version number: write for instance 3.14.1.") from None
        package = "tensorflow-cpu" if self.package == "tensorflow" else self.package
        beside = next((words for before, words in self.beside if version < Version(before)), "")
        words = " ".join(filter(None, (f"{package}=={release}", self.always, beside)))
        words = words if device == "cpu" else words.replace("tensorflow-cpu", "tensorflow[and-cuda]")
        return Wanted(words, group="judge", library=info(self.backend).library)


TORCH = ("2.2.2", "2.3.1", "2.4.1", "2.5.1", "2.6.0", "2.7.1", "2.8.0", "2.9.1", "2.10.0", "2.11.0", "2.12.1", "2.13.0", "2.14.1", "2.15.0")
TENSORFLOW = ("2.16.2", "2.17.1", "2.18.1", "2.19.1", "2.20.0", "2.21.0")
JAX = ("0.4.30", "0.4.38", "0.5.3", "0.6.2", "0.7.2", "0.8.3", "0.9.2", "0.10.2")
NEWEST_KERAS = "keras==3.15.1"
LINES = {
    line.name: line
    for line in (
        Line("keras", "keras", KERAS, "Keras", (OLD_TENSORFLOW,), only=QUICK),
        Line("keras", "keras-torch", KERAS, "Keras on PyTorch"),
        Line("keras", "keras-jax", KERAS, "Keras on JAX", (OLD_JAX, NEW_JAX)),
        Line("torch", "torch", TORCH, "PyTorch", (("2.3", "numpy<2"),)),
        Line("tensorflow", "keras", TENSORFLOW, "TensorFlow", (("2.18", "numpy<2"),), NEWEST_KERAS),
        Line("jax", "keras-jax", JAX, "JAX", (("0.4.31", "numpy<2"),), NEWEST_KERAS),
    )
}
"""By name."""


def parted(case: str) -> tuple[str, str]:
    """The check and the network that a case names, gradient parity where it names no check; no network for an equality."""
    if case in EQUALITIES:
        return case, ""
    check, at, network = case.partition("@")
    return (check, network) if at and check in CHECKS else ("gradient_parity", case)
