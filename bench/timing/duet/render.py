"""A duet's verdicts as text, as JUnit for a CI server, and as JSON for a program; all three use the same words."""

from xml.etree import ElementTree

from bench.report import text_table, texts
from bench.timing.duet.statistics import FASTER, OPEN, SLOWER
from bench.timing.duet.verdict import ENVIRONMENT, MARKS, NOTHING, Judged, overall

JUNIT = {SLOWER: "failure", ENVIRONMENT: "error", OPEN: "skipped", NOTHING: "skipped"}
"""The element a verdict gets besides its words; faster and same have passed."""


def text(judged: list[Judged], a: str, b: str, notes: list[str]) -> str:
    """A line a metric, the most serious first, and the sentence that the exit status stands for."""
    order = list(MARKS)
    grid: list[tuple[str, ...]] = [("verdict", "case", "metric", "a", "b", "b ÷ a", "margin", "restarts")]
    reasons = []
    for each in sorted(judged, key=lambda j: order.index(j.verdict)):
        cells: tuple[str, ...] = ("",) * 5
        if each.estimate:
            ratio, low, high = each.estimate.ratio
            sides = (f"{value:.4g} {each.unit}" for value in (each.a, each.b))
            cells = (*sides, f"{ratio:.3f} ({low:.3f} … {high:.3f})", f"{100 * each.margin:.1f} %", str(each.estimate.restarts))
        grid.append((f"{MARKS[each.verdict]} {each.word}", each.case, each.metric, *cells))
        if each.reason:
            reasons.append(f"  {each.case}, {each.metric}: {each.reason}")
    return "\n".join([f"a  {a}", f"b  {b}", "", *text_table.lines(grid), *reasons, *notes, "", headline(judged)])


def headline(judged: list[Judged]) -> str:
    """One sentence: what b is, and in what."""
    verdict = overall(judged)
    own = [each for each in judged if each.verdict == verdict]
    where = f"{own[0].metric.replace('_', ' ')} of {own[0].case}" if own else "anything"
    more = f" and {len(own) - 1} more" if len(own) > 1 else ""
    if verdict in (SLOWER, FASTER):
        return f"b is {own[0].word}: {where}{more}."
    return f"{verdict}: {where}{more}."


def junit(judged: list[Judged]) -> str:
    """One test case a metric; the verdict is also a property, so that no reader has to guess it from the element."""
    kinds = [JUNIT.get(each.verdict) for each in judged]
    counts = {name: str(kinds.count(kind)) for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))}
    suite = ElementTree.Element("testsuite", {"name": "duet", "tests": str(len(judged)), **counts})
    for each in judged:
        message = "\n".join(map(texts.visible, each.description.splitlines()))  # XML holds no control characters
        case = ElementTree.SubElement(suite, "testcase", classname=each.case, name=each.metric)
        properties = ElementTree.SubElement(case, "properties")
        ElementTree.SubElement(properties, "property", name="verdict", value=each.verdict)
        if kind := JUNIT.get(each.verdict):
            ElementTree.SubElement(case, kind, message=message, type=each.verdict)
        ElementTree.SubElement(case, "system-out").text = message
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
