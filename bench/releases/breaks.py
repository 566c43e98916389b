"""What releases are known to break, with the range of releases, the law that shows it and a link: a page made of the known failures."""

from __future__ import annotations

from bench.baselines.known_failures import KnownFailure, mended
from bench.metamorphic import NAME
from bench.metamorphic.promised import shown
from bench.releases.line import NAMES
from bench.report import text_table

FILE = "breaks.md"


def page(known: list[KnownFailure]) -> str:
    """A row a cause and package, those that are mended first; the places of one cause stand in one row."""
    causes: dict[tuple[str, str, str, str], list[KnownFailure]] = {}
    for entry in known:
        if entry.check == NAME:
            causes.setdefault((entry.package, entry.versions, entry.reason, entry.link), []).append(entry)
    ordered = sorted(causes.values(), key=lambda entries: (not mended(entries[0]), entries[0].package))
    rows = [_row(entries) for entries in ordered]
    ended = sum(bool(mended(entries[0])) for entries in ordered)
    return "\n".join([
        "# What releases break", "",
        f"Written by `python -m bench releases --breaks` from `known_failures.json`: {len(rows)} breaks that equalities show,",
        f"{ended} of them mended. The ranges are those of the tables of releases beside this page, and of scripts run on releases between.",
        "Where a command is named, it writes a script of a few lines that shows the break without this suite.", "",
        *text_table.markdown([["package", "releases", "what is wrong", "law: place", "link"], *rows]), "",
        "```sh", "python -m bench promises --backend=torch --script='LAW: PLACE'     # of a row whose law is marked with *", "```", "",
    ])  # fmt: skip


def _row(entries: list[KnownFailure]) -> list[str]:
    first = entries[0]
    laws = "; ".join(
        dict.fromkeys(f"`{e.network}: {e.where}`{'*' * shown(e.network, e.backend.partition('-')[0].rstrip('*'))}" for e in entries)
    )
    number = first.link.rsplit("/", 1)[-1] if "/blob/" not in first.link else "source"
    on = sorted({e.backend for e in entries if e.backend in ("keras", "keras-jax", "keras-torch")})
    where = f"{NAMES[first.package]}{' (' + ', '.join(on) + ')' if on and first.package == 'keras' else ''}"
    return [where, f"`{first.versions}`", first.reason.replace("|", "\\|"), laws, f"[{number}]({first.link})"]
