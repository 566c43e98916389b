"""What the terminal shows while networks train and when they are done, and what is written down."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import equalities, known
from bench.baseline import BaselineError
from bench.judge import FAILED, KNOWN, NO_BASELINE, NOT_JUDGED, Verdict
from bench.report import record, summary
from bench.report.record import Error, Profile

MARKS = {FAILED: "✗", KNOWN: "known", NO_BASELINE: "no baseline", NOT_JUDGED: "not judged"}
HEAVY = ("verdict", "profile", "timing")


class Terminal:
    """A pytest plugin: progress by network, the summary, the record. Reads only reports, so it works where tests ran elsewhere."""

    def __init__(self, config: pytest.Config, environment: dict[str, str], options: dict[str, Any], folder: Path, page: bool) -> None:
        """Keep what the record needs; `page` says whether to draw it as well."""
        self.page = page
        self.config, self.environment, self.options, self.folder = config, environment, options, folder
        self.verdicts: list[Verdict] = []
        self.errors: list[Error] = []
        self.profiles: list[Profile] = []
        self.versions: dict[str, dict[str, str]] = {}
        self.concerned: dict[known.Known, list[str]] = {}
        self.baseline_changes: list[str] = []
        self.hints: list[str] = []
        self.expected: dict[str, int] = {}
        self._profiled: set[tuple[str, str]] = set()
        self._done: dict[str, list[Verdict | None]] = {}
        self._recorded: list[str] = []
        self.timings: list[dict[str, Any]] = []
        self.peak_memory: dict[str, float] = {}
        self._begun = time.monotonic()
        self._started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.judging = self.wanted = self.ran = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what is coming."""
        for item in session.items:
            if network := _network(item):
                self.expected[network] = self.expected.get(network, 0) + 1
        self.judging = bool(self.expected)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dots for judged cases: a line a network says more."""
        if report.when == "call" and any(name == "network" for name, _ in report.user_properties):
            return report.outcome, "", report.outcome.upper()
        return None

    def is_new(self, backend: str, network: str) -> bool:
        """Whether a network's profile is still to be kept; True once."""
        key = (backend, network)
        return key not in self._profiled and not self._profiled.add(key)  # type: ignore[func-returns-value]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect verdicts and print a line when a network is through."""
        properties: dict[str, Any] = dict(report.user_properties)
        if report.when == "teardown":  # JUnit reads these properties; what fills the record would fill it as well
            report.user_properties = [(name, value) for name, value in report.user_properties if name not in HEAVY]
        self.judging = self.judging or "network" in properties
        if report.nodeid.startswith("bench/test_"):
            self.wanted, self.ran = True, self.ran or (report.when == "call" and report.passed)
        if report.when == "call" and "profile" in properties:
            self.profiles.append(msgspec.json.decode(properties["profile"], type=Profile))
        if report.when == "call":
            self.timings += [json.loads(str(text)) for name, text in report.user_properties if name == "timing"]
        network = properties.get("network")
        if network is None or (report.when != "call" and not report.failed):
            return
        verdict = None
        if report.passed and "verdict" not in properties:
            self._recorded.append(report.nodeid)
        if "verdict" in properties:
            verdict = msgspec.convert(json.loads(properties["verdict"]), Verdict)  # json, because msgspec writes NaN as null
            self.verdicts.append(verdict)
        elif report.failed:
            self.errors.append(Error(report.nodeid, report.longreprtext.partition("\n")[0], f"pytest '{report.nodeid}'"))
        done = self._done.setdefault(network, [])
        done.append(verdict)
        if len(done) == self.expected.get(network):
            self._progress(network, done)

    def _progress(self, network: str, done: list[Verdict | None]) -> None:
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self.config.option.verbose < 0:
            return
        finished = sum(len(self._done.get(name, ())) == count for name, count in self.expected.items())
        passed = time.monotonic() - self._begun
        left = passed / finished * (len(self.expected) - finished)
        cells = []
        for backend in dict.fromkeys(v.backend for v in done if v):
            own = [v for v in done if v and v.backend == backend]
            marks = [f"{MARKS[v.status]} {v.check}" for v in own if v.status in MARKS]
            cells.append(f"{backend} {', '.join(marks) if marks else f'✓ {len(own)} checks'}")
        if None in done:
            cells.append("✗ error" if self.errors else "recorded")
        reporter.write_line(
            f"[{finished:>3}/{len(self.expected)}] {network:<44} {' · '.join(cells):<44} {_clock(passed)}, {_clock(left)} left"
        )

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        """The table, the counted reasons, the hints, and where the record is."""
        if not self.wanted:
            return
        line = terminalreporter.write_line
        terminalreporter.section("gradgauge")
        for text in (
            *(self._judged() if self.judging else ()),
            *summary.step_times(self.timings),
            *summary.counted(self.verdicts),
        ):
            line(text)
        for entry in known.stale(self.concerned):
            line(f"stale known failure, remove it: {entry.backend} {entry.check} {entry.network} ({entry.reason})")
        for text in (*dict.fromkeys(self.hints), *self.baseline_changes):
            line(text)
        if self.peak_memory:
            each = [f"{name} {megabytes:,.0f} MB" for name, megabytes in self.peak_memory.items()]
            line(f"peak resident memory: {' · '.join(each[:-1])}; {each[-1]} at one time")
        if self._recorded:
            line(f"{len(self._recorded)} trainings recorded, which judges nothing.")
        elif self.judging:
            line(summary.verdict_line(self.verdicts, len(self.errors)))
        try:
            path = self.write(exitstatus)
        except BaselineError as error:
            line(str(error))
        else:
            line(f"record: {path}")
            if self.page:
                line(f"page: {draw(path)}")

    def _judged(self) -> list[str]:
        """What ran, and the table of what was judged."""
        frameworks = " · ".join(" on ".join(f"{n} {v}" for n, v in versions.items() if " " not in n) for versions in self.versions.values())
        networks, options = len({v.network for v in self.verdicts if v.check != equalities.NAME}), self.options
        chosen = (f"{networks} networks", f"{options['seeds']} seeds", options["data"], f"{options['threads']} thread(s)")
        head = " · ".join((frameworks, options["device"], *chosen))
        return [head, *summary.table(self.verdicts), "", *summary.gains(self.verdicts)]

    def write(self, exitstatus: int) -> Path:
        """Write the run's record."""
        content = {
            "environment": self.environment,
            "options": self.options,
            "versions": self.versions,
            "exit_status": int(exitstatus),
            "seconds": round(time.monotonic() - self._begun, 1),
            "errors": self.errors,
            "peak_memory_mb": self.peak_memory,
            "profiles": self.profiles,
        }
        return record.write(self.folder, self._started, content, self.verdicts, self.timings)


def draw(path: Path) -> Path:
    """The page beside a record. The plotting library is only loaded by runs that ask for a page."""
    from bench.report import page

    return page.write(path.with_name("report.html"), page.of_run(record.read(path)))


def _network(item: Any) -> str:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    case = parameters.get("case", parameters.get("equality_case"))
    return getattr(case, "network", "")  # pytest puts a placeholder where nothing was to be parametrized


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
