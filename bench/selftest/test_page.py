"""The page: everything in it, nothing fetched, nothing executed, readable by whoever has it in front of them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bench.compare import page as comparison_page
from bench.compare.runs import compare
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.verdict import KNOWN
from bench.report import galleries, page, pictures
from bench.report.record import Error, Profile, Record
from bench.selftest import made_up
from bench.selftest.studies import chromium
from models.matrix import networks

CASES = [(backend, network) for backend in ("torch", "keras") for network in made_up.NETWORKS]
NASTY = "<script>alert(1)</script>\"'&$x_{$"
LIMIT = 2_000_000
needs_browser = pytest.mark.skipif(chromium.PROGRAM is None, reason="Chromium is not installed here")


def sick(folder: Path) -> Record:
    """A run with a failure, an error, slow steps, and markup in every text that comes from outside."""
    verdicts = [made_up.parity(*case, factor=1e4 if case == ("keras", "norm=layer") else 1.0) for case in CASES]
    verdicts[-1].law, verdicts[-1].rerun = NASTY, f"pytest {NASTY}"
    timings = [made_up.timing(*case, 1, milliseconds=60) for case in CASES]
    for each in timings:
        each.network = each.mode = NASTY
    profiles = [made_up.profile(*case, 1) for case in CASES]
    profiles[0].network = profiles[1].backend = NASTY
    outside = {
        "versions": {"torch": {"torch": NASTY}, "keras": {"keras": NASTY}},
        "environment": {"processor": NASTY, "device": NASTY, NASTY: "x"},
        "options": {"cases": NASTY, "data": "digits", "seeds": 3},
    }
    return made_up.run(folder, 1, verdicts=verdicts, errors=[Error(NASTY, NASTY, NASTY)], timings=timings, profiles=profiles, **outside)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    healthy, broken = made_up.run(folder / "a"), sick(folder / "b")
    texts = {
        "healthy": page.of_run(healthy),
        "broken": page.of_run(broken),
        "compared": comparison_page.of_comparison(compare(healthy, broken), healthy, broken),
    }
    return {name: page.write(folder / f"{name}.html", text) for name, text in texts.items()}


class Reader(HTMLParser):
    """Collects tags, ids and where anything points."""

    def __init__(self, text: str) -> None:
        """Read the whole page."""
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.pointers: list[str] = []
        self.labels: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Note one element."""
        given = dict(attributes)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.pointers += [given[name] for name in ("href", "src", "xlink:href", "action", "data") if given.get(name)]
        self.labels += (given.get("aria-labelledby") or "").split()


@pytest.mark.parametrize("name", ["healthy", "broken", "compared"])
def test_a_page_is_one_small_file_without_scripts_or_addresses(name: str, written) -> None:
    text = written[name].read_text(encoding="utf-8")
    read = Reader(text)
    assert len(text.encode()) < LIMIT
    assert not {"script", "iframe", "object", "link", "img", "image"} & set(read.tags)
    assert all(pointer.startswith("#") for pointer in read.pointers)
    assert set(read.pointers) <= {f"#{each}" for each in read.ids}
    assert len(read.ids) == len(set(read.ids)), "two pictures share an id"
    assert set(read.labels) <= set(read.ids)
    assert read.tags.count("svg") == len(re.findall(r'<svg role="img" aria-labelledby=', text)) > 0
    assert "<script>" not in text


def test_a_healthy_page_says_so_and_shows_every_picture(written) -> None:
    text = written["healthy"].read_text(encoding="utf-8")
    for heading in (
        "Gradients by layer",
        "Gradients over training",
        "Accuracy against depth",
        "Distance to each bound",
        "Step times",
        "Environment",
    ):
        assert f">{heading}</h2>" in text
    assert "every judged number is within its bound" in text
    assert "Failures" not in text


def test_a_failure_has_its_numbers_and_its_command(written) -> None:
    text = written["broken"].read_text(encoding="utf-8")
    assert "step 0 layer  3 weight" in text
    assert "≤ 1.00e-06" in text
    assert text.count("&lt;script&gt;") > 8
    assert "Run this case again" in text


def test_a_comparison_starts_with_the_environment(written) -> None:
    text = written["compared"].read_text(encoding="utf-8")
    assert text.index("what differs") < text.index("Worst first")
    assert "gradient_parity, step 0 layer  3 weight" in text


def test_a_full_run_stays_small(tmp_path: Path) -> None:
    """As many networks as the core matrix has, the deepest of them 100 layers."""
    norms: Any = [float(x) for x in range(1, 101)]
    band: Any = [(0.5, 2.0)] * 99
    samples: Any = {"accuracy": [0.9, 0.8, 0.7]}
    deep = [
        Profile(backend, f"depth={n}", norms, band, list(range(12)), list(range(1, 17)), [[1.0] * 16] * 12, [0, 1, 2], samples)
        for backend in ("torch", "keras")
        for n in range(4, 69)
    ]
    run = made_up.run(tmp_path, profiles=deep)
    assert len(page.of_run(run).encode()) < LIMIT


def test_what_cannot_be_drawn_is_left_out(tmp_path: Path) -> None:
    empty = made_up.run(
        tmp_path, profiles=[Profile("torch", "reference", ["nan", "inf"], [], [0], [1], [["nan"]])], timings=[], verdicts=[]
    )
    assert galleries.of_run(empty) == []
    assert pictures.step_times([], "x") == ""
    page.of_run(empty)


def test_numbers_in_a_picture_keep_their_digits(tmp_path: Path) -> None:
    timings = [made_up.timing("torch", "lr=0.00025", 0)]
    assert "lr=0.00025</text>" in pictures.step_times(made_up.run(tmp_path, timings=timings).timings, "x")


def luminance(color: str) -> float:
    digits = color.lstrip("#")
    channels = [int(digits[2 * n : 2 * n + 2] if len(digits) == 6 else 2 * digits[n], 16) / 255 for n in range(3)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_contrast_is_what_wcag_asks_for(scheme: int) -> None:
    """4.5 for text and 3 for lines, against the paper, in both schemes (WCAG 2.2, 1.4.3 and 1.4.11)."""
    style = (Path(page.__file__).parent / "templates" / "layout.html.jinja").read_text(encoding="utf-8")
    colors = dict(re.findall(r"(--\w+): (#\w+)", re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)[scheme]))
    paper = luminance(colors["--paper"])
    for name, color in colors.items():
        ratio = (max(paper, luminance(color)) + 0.05) / (min(paper, luminance(color)) + 0.05)
        if name not in ("--paper", "--line", "--band", "--panel"):
            assert ratio >= (3.0 if name.startswith("--c") else 4.5), f"{name} {color} has {ratio:.2f}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = chromium.Browser(tmp_path_factory.mktemp("browser"))
    yield started
    started.close()


@needs_browser
@pytest.mark.parametrize("name", ["healthy", "broken", "compared"])
def test_the_browser_shows_it_without_a_complaint(name: str, written, browser) -> None:
    for width, scheme, dark in ((1200, "light", False), (390, "dark", True)):
        browser.open(written[name], width, scheme)
        assert browser.complaints() == []
        assert browser.value("document.documentElement.scrollWidth") <= width, "wider than the screen"
        channels = re.findall(r"\d+", browser.value("getComputedStyle(document.body).backgroundColor"))
        assert (int(channels[0]) < 60) == dark
        assert browser.value("[...document.querySelectorAll('svg text')].every(t => getComputedStyle(t).fill != 'rgb(0, 0, 0)')")


@needs_browser
def test_a_long_network_pushes_no_column_out_of_view(tmp_path, browser) -> None:
    verdicts = [made_up.parity(*case) for case in CASES]
    for each in verdicts:
        each.subject = ",".join(f"field_{n}=a_long_word" for n in range(20))
    long = page.write(tmp_path / "long.html", page.of_run(made_up.run(tmp_path, 1, verdicts=verdicts)))
    for width in (1100, 390):
        browser.open(long, width)
        assert browser.value("[...document.querySelectorAll('.scroll')].every(t => t.scrollWidth <= t.clientWidth)"), width
        assert browser.value("document.documentElement.scrollWidth") <= width


@needs_browser
def test_text_in_pictures_can_be_read_on_a_phone(written, browser) -> None:
    browser.open(written["healthy"], 390)
    smallest = browser.value("Math.min(...[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height))")
    assert smallest >= 7


@needs_browser
def test_the_keyboard_reaches_links_and_opens_failures(written, browser) -> None:
    browser.open(written["broken"])
    browser.press("Tab")
    assert browser.value("document.activeElement.textContent") == "Skip to the content"
    for _ in range(40):
        browser.press("Tab")
        if browser.value("document.activeElement.tagName") == "SUMMARY":
            break
    was_open = browser.value("document.activeElement.parentElement.open")
    browser.press("Enter")
    assert browser.value("document.activeElement.parentElement.open") is not was_open


def test_a_network_that_is_known_to_fail_is_not_ticked_as_passed(tmp_path):
    known = made_up.verdict("activation", "keras", "act=selu", [Finding(Place("float32 tiny negative slope"), 0.7, 0, 1e-6)], status=KNOWN)
    (row,) = page._checks(made_up.run(tmp_path, verdicts=[known]))
    (cell,) = [cell for cell in row.cells if "/" in cell.count]
    assert cell == page.Cell("mute", "· 0/1", "1 known failure")


def test_a_gradient_that_is_lost_on_the_way_is_not_told_as_unchanged():
    lost, kept = (Profile(backend="torch", network="act=tanh", gradient=gradient) for gradient in ([0.0, 1e-6, 1.0], [0.1, 0.5, 1.0]))
    assert galleries.caption([("torch", lost), ("keras", kept)]) == "First layer against last, in decades: torch loses all, keras -1.0."
    assert galleries.ranked([kept, Profile(backend="torch", network="act=sigmoid", gradient=lost.gradient)])[0] == "act=sigmoid"


def test_every_trained_network_may_be_on_a_page() -> None:
    """Networks of families without a depth have no place in the picture of accuracy against depth, and do not end the page."""
    places = {spec.id: galleries._series(spec.id) for spec in networks("core") if spec.trained}
    assert places["depth=4"] == ("plain", 4)
    assert [network for network in places if network.startswith("rnn")], "recurrent networks are trained"
    assert not any(place for network, place in places.items() if network.startswith("rnn"))
