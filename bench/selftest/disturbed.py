"""Small whole runs of both frameworks that are disturbed: signals at random moments, full disks, foreign users, clocks that jump.

`python -m bench disturbed` takes each and prints a table of how it ended; `-o FILE` writes it as CSV. No run may be green that has not
judged everything, leave a process or half a file behind, or end in a traceback of the suite. The random moments are those of `--seed`.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

from bench import files
from bench.arguments import at_least
from bench.exit_status import Status
from bench.progress import clock, say
from bench.report import record_file
from bench.report.record import RecordError
from bench.selftest.hostile import OURS

ROOT = Path(__file__).resolve().parents[2]
PATH = Path(__file__).with_suffix(".csv")
CACHELESS = ("-p", "no:cacheprovider")
RUN = ("-m", "pytest", "--network=depth=2", "--seeds=1")
LONGEST = 1800.0
"""Seconds after which a run counts as hung, on however busy a machine."""
PAUSE = 2.0
"""Seconds for which a process is stopped where it goes on afterwards."""
MISSED = 60.0
"""Seconds in which a worker has noticed on any machine that its judge is gone."""
MARK = "GRADGAUGE_TRIAL"
"""Environment variable by which processes of a run are found after its end."""
NOBODY = (
    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip
"""What makes a command another user's, who may read everything, because Python may be installed in a home, and write nothing."""
UNDISTURBED, NOT_TAKEN = "undisturbed", "not taken"
"""The run that the others are compared with, and what a row says of a trial that this machine does not allow."""
GREEN = (0,)
RED = tuple(range(1, 256))
SIGNALLED = (*RED, *(-number for number in range(1, 65)))
JUMP = """
import datetime, time
_real, _begun = time.time, time.time()
def _jumped():
    now = _real()
    return now - 86400 if now - _begun > 4 else now
time.time = _jumped
time.time_ns = lambda: int(_jumped() * 1e9)
"""
"""A `sitecustomize` for whose process the clock jumps back by a day after four seconds."""


@dataclass(frozen=True)
class Trial:
    """One run: what is done to it, options, variables (None: unset), and the statuses it may end with.

    `before` is what its process does first, `through` a command that starts it. `disturb` is called with the process, the seconds of an
    undisturbed run and a generator of random moments.
    """

    name: str
    allowed: Sequence[int]
    options: tuple[str, ...] = ()
    variables: dict[str, str | None] = field(default_factory=dict)
    before: Callable[[], None] | None = None
    through: tuple[str, ...] = ()
    disturb: Callable[[subprocess.Popen[bytes], float, random.Random], None] | None = None
    folder: Callable[[Path], Path] | None = None
    judges: bool = True
    together: int = 1

    def begin(self) -> None:
        """What the run's process does first; an interrupt reaches it even where a shell has started all of this in the background."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.before:
            self.before()


@dataclass
class Ended:
    """How a run ended: exit status, output, seconds, and what is wrong with that."""

    status: int
    output: str
    seconds: float
    wrong: list[str] = field(default_factory=list)


def signalled(number: int, whom: str, goes_on: bool = False) -> Trial:
    """A run whose judge or worker gets a signal at a random moment; a stopped process goes on after a while with `goes_on`."""

    def disturb(process: subprocess.Popen[bytes], usual: float, moments: random.Random) -> None:
        while whom == "worker" and not _workers(process.pid) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(moments.uniform(0.05, 0.9 if whom == "judge" else 0.5) * usual)
        target = moments.choice([process.pid] if whom == "judge" else _workers(process.pid) or [process.pid])
        with suppress(ProcessLookupError):
            os.kill(target, number)
            if goes_on:
                time.sleep(PAUSE)
                os.kill(target, signal.SIGCONT)

    name = f"{signal.Signals(number).name} to the {whom}{', and CONT' if goes_on else ''}"
    if goes_on:
        return Trial(name, GREEN, disturb=disturb)
    # A worker that ends before it is asked for anything is replaced, and a signal may come when all is judged.
    return Trial(name, (*GREEN, *SIGNALLED), disturb=disturb)


def trials() -> list[Trial]:
    """Every trial; 30 of them are signals."""
    ends = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
    found = [signalled(number, whom) for number in ends for whom in ("judge", "worker") for _ in range(4)]
    found += [signalled(signal.SIGSTOP, whom, goes_on=True) for whom in ("judge", "worker", "worker")]
    found += [signalled(signal.SIGSTOP, "worker"), signalled(signal.SIGINT, "judge"), signalled(signal.SIGTERM, "judge")]
    return [
        Trial(UNDISTURBED, GREEN),
        Trial("two at once in one folder", GREEN, together=2),
        Trial("files of 1,000 bytes at the most", RED, CACHELESS, before=_limited),
        Trial("a full disk", RED, CACHELESS, folder=_full),
        Trial("another user", GREEN, CACHELESS, through=NOBODY),
        Trial("another user, its cache not writable", GREEN, ("-o", "cache_dir=/proc/nowhere"), through=NOBODY),
        Trial("another user, its folder not writable", RED, through=NOBODY, folder=_mine),
        Trial("HOME unset", GREEN, variables={"HOME": None}),
        Trial("LANG=C", GREEN, variables={"LANG": "C", "LC_ALL": "C"}),
        Trial("output in ASCII", GREEN, variables={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}),
        Trial("a clock that jumps back by a day", GREEN, variables={"PYTHONPATH": "{jump}"}),
        Trial("--lf", GREEN, ("--lf",)),
        Trial("-x", GREEN, ("-x",)),
        Trial("--maxfail=1, a worker killed", (*GREEN, *RED), ("--maxfail=1",), disturb=signalled(signal.SIGKILL, "worker").disturb),
        Trial("-W error", GREEN, ("-W", "error")),
        Trial("-k nothing", RED, ("-k", "no_such_check")),
        Trial("pytest bench --collect-only", GREEN, ("--collect-only", "-q", "bench"), judges=False),
        Trial("--timeout=1", (*GREEN, *RED), ("--timeout=1",)),
        *found,
    ]  # fmt: skip


def take(trial: Trial, usual: float, judged: int, moments: random.Random) -> Ended:
    """Do it in a folder of its own, wait, and say what is wrong with how it ended; `judged` is what an undisturbed run judges."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = Path(name)
        home.chmod(0o777)
        folder = (trial.folder or _own)(home)
        (home / "jump").mkdir()
        (home / "jump" / "sitecustomize.py").write_text(JUMP)
        mark = f"{os.getpid()}-{time.monotonic_ns()}"
        begun = time.monotonic()
        outputs = [home / f"output{number}" for number in range(trial.together)]
        processes = [_start(trial, folder, home, output, mark) for output in outputs]
        if trial.disturb:
            trial.disturb(processes[0], usual, moments)
        statuses = [_wait(process) for process in processes]
        seconds = time.monotonic() - begun
        text = "\n".join(output.read_text(errors="replace") for output in outputs)
        ended = Ended(max(statuses, key=abs), text, seconds)
        ended.wrong += [f"ended with {status}" for status in statuses if status not in trial.allowed]
        if "test session starts" in text or not text.rstrip().endswith("KeyboardInterrupt"):  # what Python says while pytest is imported
            ended.wrong += [f"printed {word}" for word in OURS if re.search(rf"^\s*{re.escape(word)}", text, re.MULTILINE)]
        ended.wrong += [f"left {orphan}" for orphan in _orphans(mark)]
        ended.wrong += list(_files(folder, trial, statuses, judged))
        if trial.folder is _full:
            subprocess.run(["umount", str(folder)], check=False)
        return ended


def _start(trial: Trial, folder: Path, home: Path, output: Path, mark: str) -> subprocess.Popen[bytes]:
    variables = {**os.environ, MARK: mark, "PYTHONDONTWRITEBYTECODE": "1"}
    for name, value in trial.variables.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value.format(jump=home / "jump")
    words = [*trial.through, sys.executable, *RUN, f"--record-dir={folder}", *trial.options]
    if CACHELESS[1] not in words and not any(option.startswith("cache_dir") for option in words):
        words += ["-o", f"cache_dir={home / 'cache'}"]
    with output.open("wb") as stream:
        return subprocess.Popen(
            words, cwd=ROOT, env=variables, stdout=stream, stderr=stream, preexec_fn=trial.begin, start_new_session=True
        )


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit status, 0 never for a run that hangs."""
    try:
        return process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return 999


def _files(folder: Path, trial: Trial, statuses: Sequence[int], judged: int) -> Iterator[str]:
    """Half-written files, records that say another status, and green ones that have judged less than an undisturbed run."""
    with suppress(OSError):
        yield from (f"left {path.name}" for path in folder.iterdir() if path.suffix not in (".json", ".xz", ".lock"))
    found = []
    for path in sorted(folder.glob("*.json*")):
        try:
            found.append(record_file.read(path))
        except RecordError as error:
            yield f"{path.name} is not whole: {error}"
    green = [record for record in found if record.exit_status == 0]
    if any(sum(verdict.judged for verdict in record.verdicts) < judged for record in green):
        yield "is green and has judged less"
    if trial.judges and 0 in statuses and len(green) != trial.together + 1:
        yield f"is green and has {len(green)} green records"
    if green and any(status > 0 for status in statuses):  # a signal may come when the record is written
        yield "is red and has a green record"


def _orphans(mark: str) -> list[str]:
    """Processes of the run that are left after a worker has had the time to miss its parent."""
    end = time.monotonic() + MISSED
    while (left := [each for each in psutil.process_iter() if _marked(each, mark)]) and time.monotonic() < end:
        time.sleep(0.2)
    for each in left:
        with suppress(psutil.Error):
            each.kill()
    return [f"process {each.pid}" for each in left]


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _workers(judge: int) -> list[int]:
    with suppress(psutil.Error):
        return [child.pid for child in psutil.Process(judge).children() if "models.worker.server" in child.cmdline()]
    return []


def _own(home: Path) -> Path:
    folder = home / "records"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def _mine(home: Path) -> Path:
    folder = _own(home)
    folder.chmod(0o755)
    return folder


def _full(home: Path) -> Path:
    """A file system of one page where one may be mounted, else one on which nothing can be written."""
    folder = _own(home)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], check=False, capture_output=True)
    if done.returncode:
        raise PermissionError(done.stderr.decode().strip())
    return folder


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def main() -> Status:
    """Take every trial and print how it ended; FAILING where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench disturbed", description=__doc__)
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the moments at which signals come (default: 0)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only trials whose name has this in it, beside the undisturbed run")
    parser.add_argument("-o", "--output", type=Path, help="also write the table as CSV to this file")
    options = parser.parse_args()
    chosen = [trial for trial in trials() if options.only in trial.name or trial.name == UNDISTURBED]
    moments, rows, usual, judged, begun = random.Random(options.seed), [], 10.0, 0, time.monotonic()
    try:
        for number, trial in enumerate(chosen):
            try:
                ended = take(trial, usual, judged, moments)
            except PermissionError as error:
                rows.append((trial.name, "", 0.0, f"{NOT_TAKEN}: {error}"))
                continue
            if trial.name == UNDISTURBED:
                usual, judged = ended.seconds, _judged(ended.output)
            wrong = "; ".join(dict.fromkeys(ended.wrong))
            rows.append((trial.name, str(ended.status), round(ended.seconds, 1), wrong))
            left = (time.monotonic() - begun) / (number + 1) * (len(chosen) - number - 1)
            say(f"{number + 1} of {len(chosen)}  {trial.name}: {ended.status}  {wrong}  {clock(left)} left")
            if ended.wrong:
                say(ended.output[-3000:])
    except KeyboardInterrupt:
        say("stopped; what was taken is in the table")
    frame = pd.DataFrame(rows, columns=["trial", "status", "seconds", "wrong"])
    print(frame.to_string(index=False))
    print(summary(frame), end="")
    if options.output:
        files.write(options.output, frame.to_csv(index=False))
    wrong = frame["wrong"].ne("") & ~frame["wrong"].str.startswith(NOT_TAKEN)
    return Status.FAILING if wrong.any() else Status.SAME


def summary(frame: pd.DataFrame) -> str:
    """The table in a sentence."""
    wrong = frame["wrong"]
    absent = wrong.str.startswith(NOT_TAKEN)
    return f"{(~absent).sum()} small runs of both frameworks disturbed, {(wrong.ne('') & ~absent).sum()} of them ended wrongly.\n"


def read() -> pd.DataFrame:
    """The committed table."""
    return pd.read_csv(PATH, keep_default_na=False)


def _judged(output: str) -> int:
    """How many numbers a green run says it has judged."""
    words = output[output.rindex("within its bound (") :].partition("(")[2].split()
    return int(words[0].replace(",", ""))


if __name__ == "__main__":
    sys.exit(main())
