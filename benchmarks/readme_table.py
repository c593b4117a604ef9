"""Write the README's tables from benchmarks/results/*.csv, between their markers.

Run: python benchmarks/readme_table.py
"""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def speed_table() -> str:
    """One line per row of rdx.csv."""
    lines = ["| | time | beside | faster | of the limit |", "|---|---|---|---|---|"]
    rows = read("rdx")
    for row in rows:
        if row["baseline"]:
            share = f"{float(row['share_of_limit']):.0%} of copy" if row["share_of_limit"] else ""
            time, theirs = float(row["p20_s"]), float(row["baseline_p20_s"])
            lines.append(
                f"| {row['op']}, {row['shape']} | {time:.3g} s | {row['baseline']}, {theirs:.3g} s "
                f"| {float(row['ratio']):.1f}× | {share} |"
            )
        else:
            lines.append(
                f"| {row['op']}, {row['shape']} | {int(row['peak_memory_bytes']) / 1e6:.0f} MB "
                f"| | {float(row['ratio']):.2f} × {row['unit']} | |"
            )
    return "\n".join([*lines, "", f"{rows[0]['machine']}; {rows[0]['versions']}."])


def mnist_table() -> str:
    """Mean BSR of each method per experiment, both directions and all seeds, from mnist_rdx.csv."""
    rates: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    seeds = set()
    for row in read("mnist_rdx"):
        rates[row["method"]][row["experiment"]].append(float(row["bsr"]))
        seeds.add(row["seed"])
    experiments = list(next(iter(rates.values())))
    means = {method: [mean(by[name]) for name in experiments] for method, by in rates.items()}
    lines = [
        "| " + " | ".join(["binary success rate", *experiments, "mean"]) + " |",
        "|---|" + "---|" * (len(experiments) + 1),
    ]
    for method in sorted(means, key=lambda method: -mean(means[method])):
        each = " | ".join(f"{rate:.2f}" for rate in means[method])
        lines.append(f"| {method} | {each} | **{mean(means[method]):.3f}** |")
    note = f"Means of both directions and {len(seeds)} seeds, each with its own models."
    return "\n".join([*lines, "", note])


def read(name: str) -> list[dict[str, str]]:
    """The rows of a results file."""
    with open(RESULTS / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def between(text: str, marker: str, content: str) -> str:
    """Replace what stands between a marker's begin and end."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n{content}\n{end}{after}"


def updated(readme: str) -> str:
    """The README with its tables as the results have them."""
    return between(between(readme, "benchmarks", speed_table()), "mnist", mnist_table())


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(updated(path.read_text()))
