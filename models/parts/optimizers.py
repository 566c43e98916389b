"""Optimizers: the written-out update of each and how each framework constructs it.

Where the frameworks document different rules (where ε stands, whether momentum remembers the learning rate), the update's conventions
choose. Sources stand with the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.arrays import Array, Arrays
from models.parts import Namespace, Native
from models.parts import update_rules as rules
from models.parts.muon import MUON_MOMENTUM, POLYNOMIAL, SHARE, TIMES, Groups, by_shape, muon
from models.parts.update_rules import (
    ACCUMULATED,
    ADADELTA_RHO,
    AVERAGE,
    BETA_1,
    BETA_2,
    COARSE,
    EPSILON,
    FACTOR_DECAY,
    LEAST_SCALE,
    LEAST_SQUARE,
    LION_BETAS,
    MOMENTUM,
    NADAM_DECAY,
    RHO,
    UNDECIDED,
    Update,
)

if TYPE_CHECKING:
    from models.spec import Spec

__all__ = [
    "AVERAGE", "BETA_1", "BETA_2", "COARSE", "EPSILON", "MOMENTUM", "NADAM_DECAY", "OPTIMIZERS", "UNDECIDED", "Optimizer", "Update",
]  # fmt: skip


@dataclass(frozen=True)
class Optimizer:
    """The written-out update, its step size where a network names none, PyTorch's constructor, Keras's class and its arguments.

    What a framework does not have is None; PyTorch's is a list where users step several one after the other. `steps` in a row show the
    whole rule. `coupled` says that PyTorch adds a penalty to the gradient, and does not decay weights apart from it; `decays` that both
    frameworks decay weights apart from it. `core` says that it joins the core matrix, not the full one alone. `epsilon` says that it adds
    `Spec.optimizer_eps` to a root.

    Scalars are computed in the weight's own precision, so that the rule run in float32 shows what its rounding costs. Keras computes
    1 − 0.999 in float32, which is off by 6e-5 of itself.
    """

    rule: Callable[[Array, Array, Arrays, Update], Array]
    lr: float
    torch: Callable[[Namespace, Groups, Spec], Native | list[Native]] | None
    keras: Callable[[Namespace], Native] | None
    arguments: Callable[[Spec], dict[str, float | bool | list[str]]] = lambda spec: {}
    steps: int = 3
    coupled: bool = True
    decays: bool = False
    core: bool = True
    epsilon: bool = True


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(
        rules.sgd,
        lr=0.03,
        torch=lambda optim, groups, spec: optim.SGD(groups, lr=spec.learning_rate),
        keras=lambda optimizers: optimizers.SGD,
        epsilon=False,
    ),
    "momentum": Optimizer(
        rules.momentum,
        lr=0.005,
        torch=lambda optim, groups, spec: optim.SGD(groups, lr=spec.learning_rate, momentum=MOMENTUM),
        keras=lambda optimizers: optimizers.SGD,
        arguments=lambda spec: {"momentum": MOMENTUM},
        epsilon=False,
    ),
    "nesterov": Optimizer(
        rules.nesterov,
        lr=0.005,
        torch=lambda optim, groups, spec: optim.SGD(groups, lr=spec.learning_rate, momentum=MOMENTUM, nesterov=True),
        keras=lambda optimizers: optimizers.SGD,
        arguments=lambda spec: {"momentum": MOMENTUM, "nesterov": True},
        epsilon=False,
    ),
    "rmsprop": Optimizer(
        rules.rmsprop,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.RMSprop(groups, lr=spec.learning_rate, alpha=RHO, eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.RMSprop,
        arguments=lambda spec: {"rho": RHO, "epsilon": spec.optimizer_eps},
    ),
    "adagrad": Optimizer(
        rules.adagrad,
        lr=0.02,
        torch=lambda optim, groups, spec: optim.Adagrad(
            groups, lr=spec.learning_rate, initial_accumulator_value=0.1, eps=spec.optimizer_eps
        ),
        keras=lambda optimizers: optimizers.Adagrad,
        arguments=lambda spec: {"initial_accumulator_value": 0.1, "epsilon": spec.optimizer_eps},
    ),
    "adadelta": Optimizer(
        rules.adadelta,
        lr=1.0,
        torch=lambda optim, groups, spec: optim.Adadelta(groups, lr=spec.learning_rate, rho=ADADELTA_RHO, eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.Adadelta,
        arguments=lambda spec: {"rho": ADADELTA_RHO, "epsilon": spec.optimizer_eps},
    ),
    "adam": Optimizer(
        rules.adam,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.Adam(groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.Adam,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps},
    ),
    "adamw": Optimizer(
        rules.adam,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.AdamW(groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.AdamW,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps, "weight_decay": spec.decay},
        coupled=False,
        decays=True,
    ),
    "nadam": Optimizer(
        rules.nadam,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.NAdam(
            groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps, momentum_decay=1.0
        ),
        keras=lambda optimizers: optimizers.Nadam,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps},
    ),
    "adamax": Optimizer(
        rules.adamax,
        lr=0.002,
        torch=lambda optim, groups, spec: optim.Adamax(groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.Adamax,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps},
        core=False,
    ),
    "amsgrad": Optimizer(
        rules.amsgrad,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.Adam(
            groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps, amsgrad=True
        ),
        keras=lambda optimizers: optimizers.Adam,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps, "amsgrad": True},
        core=False,
    ),
    "radam": Optimizer(
        rules.radam,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.RAdam(groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps),
        keras=None,
        steps=7,
        core=False,
    ),
    "lion": Optimizer(
        rules.lion,
        lr=1e-4,
        torch=None,
        keras=lambda optimizers: optimizers.Lion,
        arguments=lambda spec: {"beta_1": LION_BETAS[0], "beta_2": LION_BETAS[1]},
        core=False,
        epsilon=False,
    ),
    "adafactor": Optimizer(
        rules.adafactor,
        lr=0.01,
        torch=lambda optim, groups, spec: optim.Adafactor(
            groups, lr=spec.learning_rate, beta2_decay=FACTOR_DECAY, eps=(LEAST_SQUARE, LEAST_SCALE), d=1.0
        ),
        keras=lambda optimizers: optimizers.Adafactor,
        arguments=lambda spec: {
            "beta_2_decay": FACTOR_DECAY,
            "epsilon_1": LEAST_SQUARE**2,
            "epsilon_2": LEAST_SCALE,
            "clip_threshold": 1.0,
        },
        coupled=False,
        core=False,
        epsilon=False,
    ),
    "lamb": Optimizer(
        rules.lamb,
        lr=0.001,
        torch=None,
        keras=lambda optimizers: optimizers.Lamb,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps},
        core=False,
    ),
    "ftrl": Optimizer(
        rules.ftrl,
        lr=0.01,
        torch=None,
        keras=lambda optimizers: optimizers.Ftrl,
        arguments=lambda spec: {"initial_accumulator_value": ACCUMULATED},
        core=False,
        epsilon=False,
    ),
    "muon": Optimizer(
        muon,
        lr=0.001,
        torch=lambda optim, groups, spec: [
            make(chosen)
            for chosen, make in zip(
                by_shape(groups),
                (
                    lambda matrices: optim.Muon(
                        matrices,
                        lr=spec.learning_rate,
                        momentum=MUON_MOMENTUM,
                        nesterov=True,
                        ns_coefficients=POLYNOMIAL,
                        ns_steps=TIMES,
                        eps=EPSILON,
                        adjust_lr_fn="match_rms_adamw",
                    ),
                    lambda others: optim.AdamW(others, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps),
                ),
                strict=True,
            )
            if chosen
        ],
        keras=lambda optimizers: optimizers.Muon,
        arguments=lambda spec: {
            "adam_beta_1": BETA_1,
            "adam_beta_2": BETA_2,
            "epsilon": spec.optimizer_eps,
            "adam_lr_ratio": 1,
            "momentum": MUON_MOMENTUM,
            "weight_decay": spec.decay,
            "adam_weight_decay": spec.decay,
            "nesterov": True,
            "ns_steps": TIMES,
            "rms_rate": SHARE,
            **dict(zip(("muon_a", "muon_b", "muon_c"), POLYNOMIAL, strict=True)),
            "exclude_layers": ["bias$"],  # a GRU's bias is a matrix of two rows in Keras
        },
        coupled=False,
        decays=True,
        core=False,
    ),
}
