"""The table of releases: what is red is named, what cannot be examined is one sentence, and every column has every row."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.baselines import known_failures
from bench.baselines.known_failures import KnownFailure
from bench.checks import CHECKS
from bench.exit_status import Status
from bench.metamorphic import EQUALITIES, decide
from bench.metamorphic.scenarios import Scenarios
from bench.releases import examine, record
from bench.releases.__main__ import main as releases
from bench.releases.examine import Examined, Outside, Seen
from bench.releases.line import LINES, Line, parted
from bench.releases.table import changes, healthy, page, places, status, table
from bench.versions.environments import Interpreter
from models.spec import Spec
from models.worker.process import WorkerDied, WorkerError

ROOT = Path(__file__).resolve().parents[2]


LINE = LINES["keras"]
MENDED = KnownFailure(
    backend="keras", check="equality", network="penalty_once", where="way: *", package="keras", versions="<3.0.5",
    reason="It was wrong", link="https://github.com/keras-team/keras/issues/1", most=1.0,
)  # fmt: skip


@pytest.mark.parametrize("line", LINES.values(), ids=list(LINES))
def test_cases_are_what_the_suite_knows(line: Line) -> None:
    for case in line.cases:
        check, network = parted(case)
        assert check in ({**EQUALITIES, **CHECKS})
        assert not network or Spec.parse(network)
    assert len(set(line.cases)) == len(line.cases) > 20


def test_the_table_has_a_column_a_release_and_says_where() -> None:
    beside = {"keras": "3.0.2", "tensorflow": "2"}
    broken = Seen("BREAKS", "0.5 for 0", (Outside("way: first", "0.5 for 0"), Outside("other", "0.1 for 0")))
    results = {
        "3.0.2": Examined(beside, cases={"penalty_once": broken, "b": Seen("·"), "c": Seen("·")}),
        "3.0.5": Examined(beside | {"keras": "3.0.5"}, cases={"penalty_once": Seen("·"), "b": Seen("–", "noise"), "c": Seen("·")}),
        "3.0.6": Examined(why_not="it cannot be installed"),
    }
    assert table(results) == ["| case | 3.0.2 | 3.0.5 |", "|---|---|---|", "| `penalty_once` | BREAKS | · |", "| `b` | · | – |"]
    assert healthy(results) == "These hold in every release (1): `c`."
    assert changes(results) == ["- 3.0.2 → 3.0.5 breaks `b`; mends `penalty_once`."]
    first, second, third = places(results, LINE, [MENDED])
    assert (
        first
        == "- `penalty_once` 3.0.2: way: first: 0.5 for 0. Known, mended in keras 3.0.5: It was wrong (https://github.com/keras-team/keras/issues/1)."
    )
    assert second == "- `penalty_once` 3.0.2: other: 0.1 for 0."
    assert third == "- `b` 3.0.5: –, noise."
    text = page(results, LINE, [])
    assert "Keras 3.0.2, 3.0.5 on tensorflow 2; CPU" in text
    assert "Keras 3.0.6 is not in the table: it cannot be installed" in text
    assert f"Not run yet ({len(LINE.cases) - 1}): `micro_batches_schedule`, " in text


def test_a_page_names_the_cases_that_joined_after_it_was_recorded() -> None:
    cases = {case: Seen("·") for case in LINE.cases}
    assert "Not run yet" not in page({"3.0.2": Examined({"keras": "3.0.2"}, cases=cases)}, LINE, [])
    del cases["traces"]
    assert "\n\nNot run yet (1): `traces`.\n\n" in page({"3.0.2": Examined({"keras": "3.0.2"}, cases=cases)}, LINE, [])


def test_releases_are_told_as_ranges_of_neighbours() -> None:
    words = ["BREAKS", "BREAKS", "·", "BREAKS"]
    results = {
        f"3.{n}": Examined({"keras": f"3.{n}"}, cases={"a": Seen(word, "", (Outside("x", "1 for 0"),) * (word != "·"))})
        for n, word in enumerate(words)
    }
    assert places(results, LINE, []) == ["- `a` 3.0 … 3.1, 3.3: x: 1 for 0."]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["·", "·"], Status.SAME), (["·", "BREAKS"], Status.WORSE), (["–", "BREAKS"], Status.WORSE), (["BREAKS", "·"], Status.SAME),
        (["BREAKS", "BREAKS"], Status.FAILING), (["lacks", "BREAKS"], Status.FAILING), (["BREAKS"], Status.FAILING),
        (["·", "BREAKS", "·"], Status.SAME), (["·", "–"], Status.NOTHING),
    ],
)  # fmt: skip
def test_the_exit_status_compares_the_first_release_with_the_last(words: list[str], expected: Status) -> None:
    assert status({str(place): Examined(cases={"a": Seen(word)}) for place, word in enumerate(words)}) == expected


def test_a_run_that_was_interrupted_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Quick:
        alive = True

        def __init__(self, backend: str, **options: str) -> None:
            asked.append("a process" + f" on {options['device']}" * (options["device"] != "cpu"))

        def call(self, do: str, kind: object = None, **given: object) -> dict[str, str]:
            return {"keras": "3.9.2"}

        def close(self) -> None:
            pass

    def see(case: str, scenarios: Scenarios, worker: Quick, device: str) -> Seen:
        if case == "c":
            raise KeyboardInterrupt
        asked.append(case)
        return Seen("·")

    monkeypatch.setattr(examine, "Worker", Quick)
    monkeypatch.setattr(examine, "build", lambda wanted, folder: Interpreter(sys.executable, str(folder)))
    monkeypatch.setattr(examine, "_seen", see)
    with pytest.raises(KeyboardInterrupt):
        examine.examine(LINE, "3.9.2", ["a", "c"], tmp_path)
    assert list(examine.examine(LINE, "3.9.2", ["a", "b"], tmp_path).cases) == ["a", "b"]
    assert asked == ["a process", "a", "a process", "b"]
    examine.examine(LINE, "3.9.2", ["a", "b"], tmp_path)
    assert asked == ["a process", "a", "a process", "b"]
    examine.examine(LINE, "3.9.2", ["a"], tmp_path, fresh=True)
    assert asked[-1] == "a"
    examine.examine(LINE, "3.9.2", ["a"], tmp_path, device="cuda:1")
    assert asked[-2:] == ["a process on cuda:1", "a"], "what a CPU showed is another cell"
    assert "tensorflow[and-cuda]" in LINE.wanted("3.0.1", "cuda").text
    assert "tensorflow-cpu" in LINE.wanted("3.0.1").text
    assert LINES["keras_on_torch"].wanted("3.0.1").text == "keras==3.0.1"
    assert LINES["tensorflow"].wanted("2.16.2").text == "tensorflow-cpu==2.16.2 keras==3.15.1 numpy<2"
    assert LINES["torch"].wanted("2.4.1").text == "torch==2.4.1"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (WorkerDied("killed by SIGSEGV"), "BREAKS"), (WorkerError("no attribute X\nmore"), examine.GONE),
        (WorkerError("an in-place operation\nmore"), examine.RAISES),
    ],
)  # fmt: skip
def test_a_death_and_an_absent_entry_point_are_told_apart(error: Exception, word: str) -> None:
    def fail(scenario: str, given: object) -> None:
        raise error

    seen = examine._seen("refused", Scenarios("keras", fail), worker=None)  # type: ignore[arg-type]
    assert seen.word == word
    assert str(error).splitlines()[0] in seen.numbers
    if isinstance(error, WorkerDied):
        assert decide("refused", Scenarios("keras", fail)).outside == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"), [("--releases=not-a-number", "Keras not-a-number could not be examined"), ("--only=nothing", "name an equality")]
)
def test_what_cannot_be_examined_is_one_sentence(wrong: str, sentence: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "bench.releases", wrong, f"--folder={tmp_path}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


COMMITTED = [name for name, line in LINES.items() if record.path_of(line).exists()]


@pytest.mark.parametrize("name", COMMITTED)
def test_a_committed_page_is_drawn_from_its_record(name: str) -> None:
    line = LINES[name]
    found = record.read(line, line.cases)
    command = f"python -m bench releases --of={name} --recorded --write"
    assert (ROOT / "baselines" / line.file).read_text("utf-8") == page(found, line, known_failures.read()), f"run {command}"
    asked = [case for case in line.cases if any(case in examined.cases for examined in found.values())]
    assert len(asked) > 0.9 * len(line.cases), f"too many cases joined after the record: run python -m bench releases --of={name} --write"


def test_a_record_grows_by_releases_and_by_cases(tmp_path: Path) -> None:
    line = LINES["torch"]
    one, two, three = line.cases[:3]
    broken = Seen("BREAKS", "first: 1 for 0", (Outside("first", "1 for 0"), Outside("µ “second”", "nan for 0")))

    def examined(release: str, beside: str, *cases: tuple[str, Seen]) -> Examined:
        return Examined({"torch": release, "numpy": beside}, cases=dict(cases))

    assert set(map(repr, record.read(line, line.cases, tmp_path).values())) == {repr(record.NOT_EXAMINED)}
    lacks = Seen("lacks", "no such part", code="later")
    record.merge(line, {"2.13.0": examined("2.13.0", "2", (one, broken), (three, Seen("·", code="first")))}, tmp_path)
    record.merge(line, {"2.13.0": examined("2.13.0", "2", (two, lacks)), "2.9.1": examined("2.9.1", "2", (one, Seen("·")))}, tmp_path)
    found = record.read(line, line.cases, tmp_path)
    assert tuple(found) == line.releases
    assert [release for release in found if found[release].cases] == ["2.9.1", "2.13.0"]
    assert list(found["2.13.0"].cases.items()) == [(one, broken), (two, lacks), (three, Seen("·", code="first"))], "as the line orders them"
    assert record.read(line, [two], tmp_path)["2.13.0"].cases == {two: lacks}

    record.merge(line, {"2.13.0": Examined(why_not="no network"), "2.2.2": Examined(why_not="no wheel")}, tmp_path)
    found = record.read(line, line.cases, tmp_path)
    assert len(found["2.13.0"].cases) == 3, "what could not be examined today replaces nothing"
    assert found["2.2.2"].why_not == "no wheel"
    record.merge(line, {"2.13.0": examined("2.13.0+cpu", "2", (two, Seen("·")))}, tmp_path)
    assert len(record.read(line, line.cases, tmp_path)["2.13.0"].cases) == 3, "another build of the same release"

    before = record.path_of(line, tmp_path).read_text("utf-8")
    elsewhere = {"2.13.0": examined("2.13.0", "1.26", (two, Seen("·")))}
    with pytest.raises(record.RecordError, match="recorded of 2 other cases would be lost: examine all cases, without --only"):
        record.merge(line, elsewhere, tmp_path)
    assert record.path_of(line, tmp_path).read_text("utf-8") == before
    whole = {"2.13.0": examined("2.13.0", "1.26", *((case, Seen("·")) for case in line.cases))}
    record.merge(line, whole, tmp_path)
    assert set(record.read(line, line.cases, tmp_path)["2.13.0"].cases) == set(line.cases), "another NumPy beside it: recorded anew"


def test_the_backend_is_imported_without_what_the_oldest_pytorch_lacks() -> None:
    lacks = "import torch; [delattr(torch.optim, name) for name in ('Adafactor', 'Muon') if hasattr(torch.optim, name)]; "
    run = "from models.backends.torch.scenarios.trained import OPTIMIZERS; assert 'ASGD' in OPTIMIZERS and 'Adafactor' not in OPTIMIZERS"
    done = subprocess.run([sys.executable, "-c", lacks + "import models.backends.torch; " + run], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "text", ["{", '{"schema": 2, "line": "torch", "releases": {}}', '{"schema": 1, "line": "jax", "releases": {}}', "[1]", "\x00"]
)
def test_a_record_that_is_none_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    record.path_of(LINES["torch"], tmp_path).write_text(text, "utf-8")
    with pytest.raises(record.RecordError, match="restore it from version control, or delete it"):
        record.read(LINES["torch"], [], tmp_path)


def test_what_is_recorded_is_printed_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert releases(["--of=torch", "--recorded", "--releases=2.4.1,2.15.0", "--only=meeting_pieces"]) is Status.SAME
    assert "| `meeting_pieces` | BREAKS | · |" in capsys.readouterr().out
    assert releases(["--of=torch", "--recorded", "--releases=1.0"]) is Status.NOTHING
    assert "has none of these releases" in capsys.readouterr().err
    for words in (["--device=cuda"], ["--releases=2.13.0,2.13.1"], ["--only=depth=4,act=tanh"], ["--releases=latest"]):
        assert releases(["--of=torch", "--write", *words]) is Status.BAD_INPUT, "the record would not show it"
        assert "leave out --write" in capsys.readouterr().err


def test_the_readme_shows_the_committed_table_as_it_is() -> None:
    page_rows = [
        line.split("|")[1:-1] for line in (ROOT / "baselines" / "keras_releases.md").read_text("utf-8").splitlines() if "|" in line
    ]
    releases_of_page = [cell.strip() for cell in page_rows[0][1:]]
    words = {row[0].strip(" `"): dict(zip(releases_of_page, (cell.strip() for cell in row[1:]), strict=True)) for row in page_rows[2:]}
    text = (ROOT / "bench" / "versions" / "README.md").read_text("utf-8").partition("## Keras releases")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    shown = [row for row in rows[2:] if "parity" not in row[0]]
    assert len(shown) > 5
    for row in shown:
        for case in re.findall(r"`(\w+)`", row[0]):
            assert row[1:] == [words[case][release] for release in rows[0][1:]], case
