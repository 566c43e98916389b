"""Bad input through the real command lines: each must end with one clear sentence, a status that is not 0 and no traceback of ours.

`python -m bench hostile` tries every line and prints what each said. A line runs in a copy of this process (`os.fork`), which
has the suite's libraries imported already, so that a hundred lines take seconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import runpy
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.exit_status import Status
from bench.progress import shown, track
from bench.report import text_table
from bench.selftest import made_up
from bench.selftest.forks import ended

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 60
"""Seconds after which a line counts as hung."""
IMPORTED = ("sklearn.datasets", "fixtures.plugin.hooks", "bench.theory.profile", "bench.timing.duet.plan", "bench.versions.table")
"""What is imported once for all lines; not a command's own `__main__`, as Python would warn of it."""
OURS = ("Traceback (most recent call last)", "INTERNALERROR")
QUIET = ("-p", "no:cacheprovider", "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
"""What pytest is told besides: to leave nothing behind, and not to warn of what is imported already."""
NETWORKS = {
    "depth=1": "depth=1 must be a whole number of at least 2",
    "depth=0": "at least 2",
    "depth=-3": "at least 2",
    "depth=2.5": "must be a whole number",
    "depth=": "must be a whole number",
    "depth": "write field=value",
    "=4": "is not a field",
    "cell=lstm": "write rnn,cell=lstm",
    "family=rnn": "a family is written first and alone",
    "depth=4;width=8": "must be a whole number",
    "dept=4": "did you mean depth?",
    "depth=4,depth=8": "depth is given twice",
    "act=relu,act=relu": "act is given twice",
    "width=0": "at least 1",
    "width=nan": "must be a whole number",
    "width=1e3": "must be a whole number",
    "width=10000000": "of memory, and",
    "depth=1000000": "of memory, and",
    "depth=1000000000,width=1,batch=1": "of memory, and",
    "depth=2000000000,norm=group": "of memory, and",
    "classes=1": "one number and no class",
    "classes=2000000000": "of memory, and",
    "classes=99999999999999999999": "the largest number that every framework counts with",
    "batch=0": "at least 1",
    "batch=5000": "more than the 1197 training samples of digits",
    "features=10": "is not what digits has, which is 64",
    "act=sigmoit": "did you mean sigmoid?",
    "act=": "use one of",
    "norm=batch,batch=2": "too small for norm=batch",
    "norm=layer,width=1": "over one unit gives zero",
    "norm=layer,width=2": "gives 1 or −1 whatever comes in",
    "norm=rms,width=1": "gives 1 or −1 whatever comes in",
    "norm=group,groups=64": "over one unit gives zero",
    "norm=group,groups=5": "must divide every hidden width",
    "norm=group,groups=0": "at least 1",
    "norm_at=after": "choose a norm",
    "momentum=1": "must lie in [0, 1)",
    "momentum=nan": "must lie in [0, 1)",
    "eps=0": "must be a positive number",
    "eps=inf": "must be a positive number",
    "eps=1e-400": "must be a positive number",
    "lr=-1": "zero or a positive number",
    "lr=nan": "zero or a positive number",
    "lr=1e999": "zero or a positive number",
    "lr=1e300": "the numbers of float32",
    "eps=1e-300": "the numbers of float32",
    "clip_at=1e39": "the numbers of float32",
    "target_scale=1e20,loss=mse": "beyond float32",
    "clip_at=0": "must be a positive number",
    "skip=two,depth=5": "must be a multiple of 2",
    "skip=one,depth=2": "depth 4 or more",
    "branch=zero": "set skip=one or skip=two",
    "bottleneck=3,skip=two": "must divide width",
    "bottleneck=128,skip=two": "must divide width",
    "l2=0.1,optimizer=adamw": "use decay instead of l2",
    "decay=0.1": "adamw and muon only",
    "target_scale=2": "use loss=mse or loss=huber",
    "precision=tf32": "use --device=cuda",
    "precision=float8": "use one of",
    "input=huge,precision=mixed_float16": "65,504",
    "loss_scale=3,precision=mixed_float16": "must be a power of two",
    "loss_scale=2": "belong to precision=mixed_float16",
    "scale_growth=2147483648,precision=mixed_float16": "the largest number",
    "optimizer=": "use one of",
    "ａｃｔ=relu": "is not a field",
}
"""Networks with a part of the sentence that refuses them."""
OPTIONS = {
    "--cases=hge": "use one of smoke, core, full",
    "--backend=torhc": "is not known",
    "--backend=": "--backend is empty",
    "--backend=,": "--backend is empty",
    "--device=tpu": "use cpu, cuda or cuda:0",
    "--device=": "use cpu, cuda or cuda:0",
    "--device=cudafoo": "use cpu, cuda or cuda:0",
    "--device=cuda:": "use cpu, cuda or cuda:0",
    "--device=cuda:abc": "use cpu, cuda or cuda:0",
    "--device=cuda:-1": "use cpu, cuda or cuda:0",
    "--device=cuda:99999999999999999999": "use cpu, cuda or cuda:0",
    "--device=CPU": "use cpu, cuda or cuda:0",
    "--data=minst": "use one of digits",
    "--data=mnist": "name the folder that has it",
    "--data=mnist --data-dir=/nowhere": "--download",
    "--data=mnist --data-dir={folder}/file": "",
    "--seeds=0": "must be at least 1",
    "--seeds=-1": "must be at least 1",
    "--seeds=x": "invalid int value",
    "--seeds=1000000000": "of memory, and",
    "--threads=0": "must be at least 1",
    "--threads=1000000000": "the cores of this machine",
    "--update-baselines= ": "needs a reason",
    "--update-baselines=why --seeds=1": "at least 2 seeds",
    "--record-dir=/proc/nowhere": "cannot be used",
    "--record-dir={folder}/file": "cannot be used",
    "--report=/proc/nowhere": "cannot be used",
    "--report={folder}/file/below": "cannot be used",
    "-k no_such_check": "",
    "--no-such-option": "unrecognized arguments",
}
"""Options of the main job on the reference network, with a part of the sentence."""
COMMANDS = {
    "nonsense": "is no command",
    "theory depth=x": "must be a whole number",
    "theory depth=1000000": "of memory, and",
    "theory width=100000000": "of memory, and",
    "theory batch=5000": "training samples",
    "theory features=10": "is not what digits has",
    "theory --backend=mxnet": "use one or several of",
    "theory depth=2 --coverage=nope": "invalid choice",
    "matrix --cases=nope": "use one of smoke, core, full",
    "compare": "the following arguments are required",
    "compare {folder}/good.json": "the following arguments are required",
    "compare {folder}/good.json {folder}/good.json --backend=mxnet": "",
    "compare {folder}/good.json {folder}/good.json -o {folder}/good.json": "was read as input",
    "compare {folder}/good.json {folder}/good.json -o {folder}/no/folder.txt": "cannot be written",
    "compare {folder}/good.json {folder}/good.json --format=pdf": "invalid choice",
    "duet": "A duet has two sides",
    "duet --a torch": "A duet has two sides",
    "duet --a torch --b ' '": "names nothing",
    "duet --aa torch --a torch": "A duet has two sides",
    "duet --aa torch --budget=nan": "--budget must hold",
    "duet --aa torch --budget=inf": "--budget must hold",
    "duet --aa torch --budget=-1": "--budget must hold",
    "duet --aa torch --slice=0": "--budget must hold",
    "duet --aa torch --device=cudafoo": "use cpu, cuda or cuda:0",
    "duet --aa torch --threads=0": "at least 1",
    "duet --aa torch --threads=999999": "the cores of this machine",
    "duet --aa torch --network=depth=1": "at least 2",
    "duet --aa torch --network=width=10000000": "of memory, and",
    "duet --aa torch --margin=step": "",
    "duet --aa torch --margin=step=nan": "",
    "duet --a 'torch keras' --b torch": "says one thing twice",
    "duet --a /nowhere/python --b torch": "is no Python",
    "duet --a 'torch --nomode' --b torch": "is no mode of",
    "bisect": "the following arguments are required",
    "bisect torch 2.0 2.1 --case=nonsense": "is no case",
    "bisect torch 2.0 2.1 --case=torch-eager-cpu-depth=1": "at least 2",
    "bisect torch 2.0 2.1 --budget=nan": "must be a positive number of seconds",
    "history --record-dir={folder}/history": "is no duet",
    "history --record-dir={folder}/deep": "is no duet",
    "history --record-dir={folder}/folders": "cannot be read",
    "history --record-dir={folder}/nowhere": "",
    "versions": "the following arguments are required",
    "releases --only=depth=1": "at least 2",
    "releases --only=features=10": "is not what digits has",
    "releases --backend=mxnet": "invalid choice",
    "releases --backend=torch": "invalid choice",
    "releases --of=torch --releases=": "names no release",
    "releases --of=torch --releases=2.13.0,": "names no release",
    "promises --script=": "is no law",
    "doctor --backend=": "--backend is empty",
    "theory --backend=": "--backend is empty",
    "random-networks --backend=": "--backend is empty",
    "random-networks --backend=torch,torhc": "is not known",
    "experiment depth --quick --backend=": "--backend is empty",
    "false-alarms --backend=": "--backend is empty",
    "power --seeds=0": "at least 1",
    "false-alarms --seeds=many": "at least 1",
    "false-alarms --backend=mxnet": "mxnet",
    "false-alarms --threads=0": "at least 1",
    "accuracy --seeds=1": "at least 2",
    "images {folder}/empty.json": "is not JSON",
    "images {folder}/nowhere.json": "cannot be read",
}
"""Other commands, with a part of the sentence."""


def damaged() -> dict[str, Callable[[bytes], bytes]]:
    """Ways to spoil the record of a run."""

    def changed(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
        return lambda raw: json.dumps(change(json.loads(raw))).encode()

    return {
        "empty": lambda raw: b"",
        "cut": lambda raw: raw[: len(raw) // 2],
        "binary": lambda raw: b"\x00\xff" * 50,
        "latin": lambda raw: b'{"kind": "\xe9"}',
        "list": lambda raw: b"[]",
        "null": lambda raw: b"null",
        "deep": lambda raw: b'{"schema": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "huge-number": lambda raw: b'{"kind": 1e999}',
        "other-kind": changed(lambda record: record | {"kind": "recipe"}),
        "no-kind": changed(lambda record: {key: value for key, value in record.items() if key != "kind"}),
        "schema-0": changed(lambda record: record | {"schema": 0}),
        "schema-99": changed(lambda record: record | {"schema": 99}),
        "schema-text": changed(lambda record: record | {"schema": "3"}),
        "no-verdicts": changed(lambda record: {key: value for key, value in record.items() if key != "verdicts"}),
        "verdicts-null": changed(lambda record: record | {"verdicts": None}),
        "verdicts-text": changed(lambda record: record | {"verdicts": ["red"]}),
        "environment-list": changed(lambda record: record | {"environment": []}),
        "exit-text": changed(lambda record: record | {"exit_status": "ok"}),
    }


@dataclass(frozen=True)
class Said:
    """How a line ended: exit status (negative for a signal), everything it printed, and seconds."""

    status: int
    output: str
    seconds: float

    @property
    def last(self) -> str:
        """The last line with words."""
        return next((line.strip() for line in reversed(self.output.splitlines()) if line.strip()), "")


def lines(folder: Path) -> dict[str, str]:
    """Every command line with a part of what it must say; what it reads is put into `folder`."""
    good = made_up.path(folder / "made").read_bytes()
    for name, content in {"good.json": good, "file": b"a file"}.items():
        (folder / name).write_bytes(content)
    for name, spoil in damaged().items():
        (folder / f"{name}.json").write_bytes(spoil(good))
    for name, content in {"history": b"nonsense\n", "deep": b"[" * 100_000}.items():
        (folder / name).mkdir()
        (folder / name / "history.jsonl").write_bytes(content)
    (folder / "folders" / "history.jsonl").mkdir(parents=True)
    refused = {f"run --network={shlex.quote(network)}": says for network, says in NETWORKS.items()}
    refused |= {f"run --cases=smoke {option}": says for option, says in OPTIONS.items()}
    refused |= COMMANDS
    for name in damaged():
        for line in (f"compare {{folder}}/{name}.json {{folder}}/good.json", f"compare {{folder}}/good.json {{folder}}/{name}.json"):
            refused[line] = f"{name}.json"
    return refused


def faults(said: Said, says: str) -> list[str]:
    """What is wrong with how a line ended."""
    found = [f"printed {word}" for word in OURS if word in said.output]
    if said.status <= 0 or said.status == Status.WORSE:
        found.append(f"ended with {said.status}")
    if says not in said.output:
        found.append(f"does not say {says!r}")
    return found if said.last else [*found, "said nothing"]


def run(line: str, folder: Path) -> Said:
    """Run a line in a copy of this process."""
    words = ["python -m bench", *shlex.split(line.replace("{folder}", str(folder)))]
    if words[1] == "run":
        words[2:2] = [*QUIET, f"--record-dir={folder / 'records'}", "--backend=torch"]
    begun = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        if not (pid := os.fork()):
            _be(words, printed.fileno())
        status = ended(pid, LONGEST)
        printed.seek(0)
        return Said(status, printed.read().decode(errors="replace"), time.monotonic() - begun)


def _be(words: list[str], output: int) -> None:
    """Become the command; never returns."""
    status: Any = 1
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(ROOT)
        sys.argv = words
        runpy.run_module("bench.__main__", run_name="__main__")
    except SystemExit as end:
        status = end.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:  # what Python itself would print
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(status or 0))


def prepare() -> None:
    """Import what every line needs."""
    for name in IMPORTED:
        importlib.import_module(name)


def main() -> Status:
    """Try every line; FAILING where one is taken or ends in a traceback."""
    parser = argparse.ArgumentParser(prog="python -m bench hostile", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="only lines that have this in them")
    only = parser.parse_args().only
    prepare()
    rows, failed = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = [(line, says) for line, says in lines(folder).items() if only in line]
        for line, says in track(chosen, "lines"):
            said = run(line, folder)
            wrong = faults(said, says)
            failed += bool(wrong)
            rows.append([line[:70], str(said.status), f"{said.seconds:.1f} s", "; ".join(wrong) or said.last[:90]])
    print("\n".join(text_table.lines(rows, 100)))
    print(f"{len(rows)} lines, {failed} of them not refused in a sentence")
    return Status.FAILING if failed else Status.SAME


if __name__ == "__main__":
    with shown():
        sys.exit(main())
