"""Write the figures of docs/ops.md from benchmarks/results/*.csv, between their markers.

Run: python benchmarks/ops_table.py
"""

import csv
import re
from pathlib import Path

from readme_table import RESULTS, ROOT, between, seconds

PAGE = ROOT / "docs" / "ops.md"


def rows_of(op: str, folder: Path = RESULTS) -> list[dict[str, str]]:
    """The rows of all result files that measure an op: those whose name begins with its."""
    rows = []
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                name = re.match(r"[\w.]*", row.get("op", ""))
                if name and name.group() == op and row["p20_s"]:
                    rows.append(row | {"file": path.name, "variant": row["op"].removeprefix(op).strip(", ")})
    return rows


def figures(op: str, folder: Path = RESULTS) -> str:
    """A table of an op's rows, one per baseline; the ones that we lose say so."""
    rows = rows_of(op, folder)
    lines = []
    if rows:
        lines += ["| measured | time | beside | | of the limit |", "|---|---|---|---|---|"]
    for row in rows:
        what = ", ".join(
            part for part in (row["variant"], row["shape"], row["dtype"], row["backend"]) if part
        )
        beside, ratio = "", ""
        if row["baseline"]:
            beside = f"{row['baseline']}, {seconds(row['baseline_p20_s'])}"
            faster = float(row["ratio"])
            ratio = f"{faster:.1f}× faster" if faster >= 1 else f"**we lose: {1 / faster:.1f}× slower**"
        limit = ""
        if row["share_of_limit"]:
            of = "copy" if row["unit"] == "GB/s" else "GEMM"
            limit = f"{float(row['share_of_limit']):.0%} of {of}"
        lines.append(f"| {what} | {seconds(row['p20_s'])} | {beside} | {ratio} | {limit} |")
    measured = {"a CPU": not_gpu(rows), "a GPU": len(rows) > not_gpu(rows)}
    missing = [place for place, there in measured.items() if not there]
    if missing:
        lines += [""] if rows else []
        lines.append(f"Not measured on {' or '.join(missing)}.")
    machines = sorted({row["machine"] for row in rows})
    if machines:
        lines += ["", f"On {'; '.join(machines)}."]
    return "\n".join(lines)


def not_gpu(rows: list[dict[str, str]]) -> int:
    """How many rows come from a CPU's results."""
    return sum(not row["file"].startswith("gpu_") for row in rows)


def updated(page: str, folder: Path = RESULTS) -> str:
    """The page with its figures as the results have them."""
    for op in re.findall(r"<!-- figures of ([\w.]+): begin -->", page):
        page = between(page, f"figures of {op}", figures(op, folder))
    return page


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
