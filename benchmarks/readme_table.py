"""Write the README's tables from benchmarks/results/*.csv, between their markers.

Run: python benchmarks/readme_table.py
"""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"

#: The rows of the README, by file: how op and shape begin, the dtype and the baseline; docs/ops.md has all.
HEADLINES = (
    ("neighbor_ranks", "neighbor_ranks of distances", "n=5000", "float32", "numpy double argsort"),
    ("difference_affinity", "difference_affinity", "n=5000", "int32", "numpy"),
    ("spectral_clusters", "spectral_clusters", "n=5000 differences", "float32", "scikit-learn lobpcg"),
    ("pairwise_distances", "pairwise_distances", "n=5000 m=5000 d=64", "float32", "torch.cdist"),
    ("knn", "knn", "n=20000 d=128 k=64", "float32", "faiss flat"),
    ("knn", "knn", "n=20000 d=3 ", "float32", "scikit-learn auto"),
    ("nnls", "nnls, near-collinear", "n=3200 d=512 k=10", "float32", "scipy per row"),
    ("lasso", "lasso, RSVC-shaped", "n=3200", "float64", "celer"),
    ("correlation", "correlation, pearson", "833 pairs", "float32", "scipy cdist loop"),
    ("scenes", "scenes, data set B", "n=181 counts 0 to 3", "float32", "numpy and PIL loop"),
    ("numerosity", "NumberNet training step", "180 actions", "float32", "both sides of every pair"),
    ("linear_cka", "linear_cka", "n=5000 d=2048", "float32", "three torch.mm"),
)


def headlines() -> list[dict[str, str]]:
    """The first row of each headline."""
    found = []
    for file, *beginnings, dtype, baseline in HEADLINES:
        for row in read(file):
            begins = row["op"].startswith(beginnings[0]) and row["shape"].startswith(beginnings[1])
            if begins and row["dtype"] == dtype and row["baseline"].startswith(baseline):
                found.append(row)
                break
        else:
            raise LookupError(f"{file}.csv: no row of {beginnings}, {dtype}, {baseline}")
    return found


def seconds(value: str) -> str:
    """A time in the unit that suits it."""
    number = float(value)
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e-9:.3g} ns"


def speed_table() -> str:
    """One line per row of rdx.csv and per headline of the ops."""
    lines = ["| | time | beside | faster | of the limit |", "|---|---|---|---|---|"]
    rows = read("rdx") + headlines()
    for row in rows:
        if row["baseline"]:
            limit = "GEMM" if row["unit"].startswith("GFLOP") else "copy"
            share = f"{float(row['share_of_limit']):.0%} of {limit}" if row["share_of_limit"] else ""
            lines.append(
                f"| {row['op']}, {row['shape']} {row['dtype']} | {seconds(row['p20_s'])} "
                f"| {row['baseline']}, {seconds(row['baseline_p20_s'])} "
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
