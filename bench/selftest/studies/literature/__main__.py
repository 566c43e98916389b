"""Measure results of the literature again: `python -m bench.selftest.studies.literature explosion`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from bench import files
from bench.exit_status import Status
from bench.progress import shown
from bench.selftest.studies.literature import coefficients, explosion, residual, shattering, trainable_depth, trajectory
from fixtures.data.datasets import DataError
from models.worker.process import WorkerError

RECORDED = Path(__file__).parent / "recorded"
STUDIES = {
    "trainable_depth": trainable_depth, "explosion": explosion, "shattering": shattering, "residual": residual, "trajectory": trajectory,
    "coefficients": coefficients,
}  # fmt: skip


def recorded(name: str) -> Any:
    """What was measured when it was last recorded."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> Status:
    """Measure, say what contradicts theory, record if asked to; 1 for contradictions, 2 for what cannot run."""
    parser = argparse.ArgumentParser(prog="python -m bench literature", description=__doc__)
    parser.add_argument("study", choices=STUDIES, help="which result")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("GRADGAUGE_MNIST"), help="folder with MNIST, for trainable_depth")
    parser.add_argument("--record", action="store_true", help="replace the recorded numbers and picture")
    parser.add_argument("--redraw", action="store_true", help="only draw the picture of the recorded numbers again")
    options = parser.parse_args(arguments)
    study: Any = STUDIES[options.study]
    picture = RECORDED / f"{options.study}.png"
    if options.redraw:
        study.plot(recorded(options.study), picture)
        print(picture)
        return Status.SAME
    try:
        rows = study.measure(options.data_dir and Path(options.data_dir)) if study is trainable_depth else study.measure()
    except (DataError, WorkerError) as error:
        print(error, file=sys.stderr)
        return Status.BAD_INPUT
    wrong = study.outliers(rows)
    for each in wrong:
        print(f"contradicts theory: {each}")
    if options.record:
        text = "[\n" + ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
        files.write(RECORDED / f"{options.study}.json", text)
        study.plot(rows, picture)
    print(f"{len(rows)} measured, {len(wrong)} contradict theory")
    return Status.FAILING if wrong else Status.SAME


if __name__ == "__main__":
    with shown():
        sys.exit(main())
