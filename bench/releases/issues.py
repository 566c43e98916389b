"""Issues of frameworks that own models show on a CPU: the gauge of each, the releases that have it, and those that do not."""

from __future__ import annotations

from dataclasses import dataclass

GAUGES = "bench/selftest/gauges"
TRACKERS = {
    "jax": "jax-ml/jax", "keras": "keras-team/keras", "pytorch": "pytorch/pytorch", "tensorflow": "tensorflow/tensorflow",
    "transformers": "huggingface/transformers",
}  # fmt: skip


@dataclass(frozen=True)
class Issue:
    """A fault that was reported: `number` in its tracker, what is `wrong`, and the model that shows it on a backend.

    `red` and `green` are sets of requirements in which the gauge must fail and pass, the former `by` this check, or with these words of the
    framework's: a model that fails otherwise shows another fault. The gauge `around` does without what is broken, and
    must pass in the last red set. `also` are other numbers of the same fault, `options` what else pytest is given.
    """

    number: str
    wrong: str
    gauge: str
    backend: str
    red: tuple[str, ...] = ()
    green: tuple[str, ...] = ()
    by: str = ""
    also: tuple[str, ...] = ()
    around: str = ""
    options: tuple[str, ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """What is run, the releases that must be red first."""
        found = [Cell(each, self.gauge, self.by) for each in self.red] + [Cell(each, self.gauge) for each in self.green]
        return found + ([Cell(self.red[-1], self.around)] if self.around else [])


@dataclass(frozen=True)
class Cell:
    """A gauge in a set of requirements, and by what it must be red there; it must be green where that is nothing."""

    requirements: str
    gauge: str
    by: str = ""

    @property
    def red(self) -> bool:
        """Whether it must be red."""
        return bool(self.by)

    @property
    def model(self) -> str:
        """What `--model` takes."""
        return f"{GAUGES}/{self.gauge}"

    @property
    def name(self) -> str:
        """Its key in the record."""
        return f"{self.requirements} {self.gauge.partition(':')[2]}"


ISSUES = (
    Issue(
        "keras #20875", "a stateful layer's state is overwritten before its gradient is taken; again since 3.14 (#23462)",
        "issues_keras.py:stateful", "keras-torch", ("keras==3.8.0", "keras==3.15.1"), ("keras==3.9.2", "keras==3.13.2"),
        "modified by an inplace operation", ("keras #20916", "keras #23462"),
    ),
    Issue(
        "keras #21224", "stacked cells fail behind a mask",
        "issues_keras.py:stacked", "keras-jax", ("keras==3.9.2",), ("keras==3.10.0", "keras==3.15.1"), "(in RNN)",
    ),
    Issue(
        "keras #20276", "recurrent dropout multiplies what a GRU carries on, by the same factor at every step, so that its state overflows",
        "issues_keras.py:gru_dropout", "keras", ("keras==3.7.0",), ("keras==3.8.0", "keras==3.15.1"), "finite", ("keras #20656",),
    ),
    Issue(
        "keras #20663", "recurrent dropout of an LSTM has one mask for all four gates; found as trainings that are otherwise than in "
        "3.8.0, as any change of what is drawn would be",
        "issues_keras.py:lstm_dropout", "keras", ("keras==3.7.0",), ("keras==3.8.0", "keras==3.15.1"), "training",
        options=(f"--baselines={GAUGES}/issues_keras.json",),
    ),
    Issue(
        "keras #23235", "a recurrent layer's mask reaches the CTC loss, which has one number a sample and not one a step",
        "issues_keras.py:masked_ctc", "keras", ("keras==3.15.1",), by="Incompatible shapes", around="issues_keras.py:unmasked_ctc",
        also=("keras #23228",),
    ),
    Issue(
        "pytorch #185509", "Inductor's loops for several threads add up a gradient wrongly behind a maximum over overlapping windows",
        "issues_torch.py:enlarged", "torch", ("torch==2.13.0",), ("torch==2.14.1",), "execution", options=("--cases=full",),
    ),
    Issue(
        "pytorch #174078", "a compiled dropout behind a transposition draws another mask than eager does from the same seed",
        "issues_torch.py:turned", "torch", ("torch==2.10.0 setuptools",), ("torch==2.13.0",), "execution", options=("--cases=full",),
    ),
    Issue(
        "pytorch #196468", "Inductor takes a softmax between two products for one over the last axis, whatever axis it is over",
        "issues_torch.py:sharing_slots", "torch", ("torch==2.13.0",), by="execution", around="issues_torch.py:attending_slots",
        options=("--cases=full",),
    ),
    Issue(
        "pytorch #198119", "Inductor's gradient of an average over windows that overhang the image divides by the whole window",
        "issues_torch.py:overhanging", "torch", ("torch==2.13.0",), by="execution", around="issues_torch.py:overhanging_without_padding",
        options=("--cases=full",),
    ),
    Issue(
        "pytorch #191763", "fused SGD on the CPU leaves weights in half precision as they are",
        "issues_torch.py:fused_in_bfloat16", "torch", ("torch==2.13.0",), by="update", around="issues_torch.py:fused_adam_in_bfloat16",
    ),
    Issue(
        "pytorch #32023", "nothing: a GRU's results in one batch and in two differ by rounding alone",
        "issues_torch.py:batched_gru", "torch", green=("torch==2.13.0",),
    ),
)  # fmt: skip
ELSEWHERE = (
    (("pytorch #193061", "pytorch #198333"), "Inductor's Triton kernels alone have it, which compute on a GPU"),
    (
        ("keras #22115", "keras #22279", "keras #22399", "keras #22470", "keras #22913", "tensorflow #26331", "tensorflow #49241",
         "tensorflow #60192"),
        "it is about cuDNN's kernels; where Keras falls back from them in silence, numbers are right and only the time tells, which the "
        "equality `path_of_a_gpu` looks for without a GPU",
    ),
    (("jax #40633",), "one GPU computes wrongly since JAX 0.11, and its reporter's CPU is right"),
    (("tensorflow #116258",), "products in TF32 on a GPU, which round more"),
    (("keras #22697",), "others who ran the reporter's script saw rounding alone"),
    (
        ("transformers #34191", "transformers #35203"),
        "it is of the Trainer's loop, and own models are judged without it; of a loss that is a mean over uneven halves `execution` says "
        "*not applicable*, with this reason",
    ),
    (("pytorch #158131",), "Inductor does not take the operation of cuDNN's recurrent layers called by itself, which only a GPU runs"),
    (("tensorflow #83119",), "a GRU hands out its state in as many parts as samples where cuDNN computes it, and rightly on the CPU"),
    (("pytorch #173922",), "an LSTM that overflows, in which a GPU and a CPU meet other infinities; maintainers call it expected"),
    (
        ("pytorch #188912",),
        "a benchmark's model under autocast on an H100, by cuDNN; so it is told elsewhere, and its own text was not at hand",
    ),
    (("pytorch #65688", "pytorch #86457"), "not examined: their text was not at hand"),
)  # fmt: skip
"""Other issues that were named as touchstones, and why none of them is in the table."""


def link(number: str) -> str:
    """`keras #1` as a link in Markdown."""
    tracker, _, digits = number.partition(" #")
    return f"[{number}](https://github.com/{TRACKERS[tracker]}/issues/{digits})"
