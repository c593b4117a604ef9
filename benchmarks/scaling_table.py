"""Write the tables of docs/scaling.md: what was measured from results/*.csv, what is modelled by formulas.

Run: python benchmarks/scaling_table.py
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from statistics import mean

from readme_table import RESULTS, ROOT, between, seconds

PAGE = ROOT / "docs" / "scaling.md"

# Assumed of a GPU of the H200's class and its links; none of it was measured here.
PRODUCT_RATE = 80e12  # float32 products in three tf32 passes, operations per second
MEMORY = 3e12  # bytes per second, of 4.8 on paper
LINK = 40e9  # bytes per second and direction between any two GPUs
HELD = 120 * 2**30  # bytes of a GPU's memory for the affinities

# Bytes that move in a GPU's memory for each pair: a product written and read, three passes of a radix sort
# over keys and items, the rank; of each representation.
RANK_BYTES = 2 * (8 + 3 * 16 + 4)
DIFFERENCE_BYTES = 9 + 4
PASSES = 22  # of the eigensolver, both directions
WIDTH = 16  # vectors of a pass
GRID = 9  # items
KEPT = 2 * 128 + 1024  # pairs of an item in a sample


@dataclass(frozen=True)
class Job:
    """A comparison of n items with d columns on both sides, by so many GPUs."""

    n: float
    d: int
    gpus: int

    def products(self) -> float:
        return 4 * self.n**2 * self.d / self.gpus / PRODUCT_RATE

    def ranks(self) -> float:
        return self.n**2 * (RANK_BYTES + DIFFERENCE_BYTES) / self.gpus / MEMORY

    def exchange_bytes(self) -> float:
        """Differences that a GPU sends to the others: its rows, less its own columns."""
        return self.n**2 / self.gpus * (1 - 1 / self.gpus)

    def pass_bytes(self) -> float:
        """Vectors that come to a GPU, and what goes back, in all passes."""
        return PASSES * 4 * WIDTH * self.n * (1 + 1 / self.gpus)

    def grid_bytes(self) -> float:
        """Labels, neighbors and looked-up pairs, of both directions."""
        return 2 * self.n * (8 + 12 * (GRID - 1) / self.gpus + 20 * GRID**2)

    def affinity_bytes(self) -> float:
        return self.n**2 * (2 if self.gpus > 1 else 1) / self.gpus

    def exact(self) -> float:
        """Seconds in a byte a pair."""
        passes = PASSES * self.affinity_bytes() / 2 / MEMORY
        shared = (self.exchange_bytes() + self.pass_bytes() + self.grid_bytes()) if self.gpus > 1 else 0
        return self.products() + self.ranks() + passes + shared / LINK

    def sample_bytes(self) -> float:
        """Pairs that a GPU's rows keep, and those that other rows keep of its items: as many on average."""
        return 2 * 8 * KEPT * self.n / self.gpus

    def sample_exchange_bytes(self) -> float:
        """Pairs that a GPU sends to those whose items are in them."""
        return 8 * KEPT * self.n / self.gpus * (1 - 1 / self.gpus)

    def sampled(self) -> float:
        """Seconds from a sample; each kept pair gathers a row of vectors, from either side."""
        gathered = 2 * 4 * WIDTH * KEPT * self.n / self.gpus
        passes = PASSES * (self.sample_bytes() + gathered) / MEMORY
        sent = self.sample_exchange_bytes() + self.pass_bytes() + self.grid_bytes()
        return self.products() + self.ranks() + passes + (sent / LINK if self.gpus > 1 else 0)


def read(name: str) -> list[dict[str, str]]:
    with open(RESULTS / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def measured() -> str:
    rows = read("scale")
    lines = [
        "| | time | memory beside the inputs | of GEMM's rate | time per pair, beside n=5000 |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        if row["peak_memory_bytes"]:
            memory = f"{float(row['peak_memory_bytes']) / 2**30:.2f} GiB"
            share, ratio = (
                f"{float(row['share_of_limit']):.0%}",
                row["ratio"] and f"{float(row['ratio']):.2f}",
            )
            cells = f"{row['op']}, {row['shape']}", seconds(row["median_s"]), memory, share, ratio
            lines.append(f"| {' | '.join(cells)} |")
    machines = sorted({row["machine"] for row in rows})
    return "\n".join([*lines, "", f"On {'; '.join(machines)}."])


def parts() -> str:
    lines = ["| part, n=50,000 d=768 | seconds | rate | of the limit |", "|---|---|---|---|"]
    for row in read("scale"):
        if ": " in row["op"] and row["shape"].startswith("n=50000"):
            what = row["op"].removeprefix("rdx.compare, ")
            rate = f"{float(row['rate']):.0f} {row['unit']}"
            lines.append(
                f"| {what} | {float(row['median_s']):.1f} | {rate} | {float(row['share_of_limit']):.0%} |"
            )
    return "\n".join(lines)


def accuracy() -> str:
    groups: dict[tuple[str, int, int, int], list[dict[str, str]]] = defaultdict(list)
    for row in read("sampled"):
        numbers = (int(row[key]) for key in ("n", "neighbors", "samples"))
        groups[(row["data"], *numbers)].append(row)
    lines = [
        "| data | n | K | S | runs | ARI to exact, mean (least) | exact to exact, other seeds "
        "| exact on 90 % | cut, worst | BSR | exact BSR |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, rows in sorted(groups.items()):

        def of(column: str, rows: list[dict[str, str]] = rows) -> list[float]:
            return [float(row[column]) for row in rows if row[column] not in ("", "nan")]

        least, fewer = min(of("ari")), of("ari_90")
        cells = [
            *map(str, key),
            str(len(rows)),
            f"{mean(of('ari')):.3f} ({least:.3f})",
            f"{mean(of('ari_seeds')):.3f}",
            f"{mean(fewer):.3f}" if fewer else "",
            f"{max(of('cut_ratio')):.4f}",
            f"{mean(of('bsr')):.3f}",
            f"{mean(of('exact_bsr')):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def modelled() -> str:
    lines = ["| items | GPUs | in a byte a pair | sent by a GPU | sampled |", "|---|---|---|---|---|"]
    for n in (2e5, 1e6, 1e7, 1e8):
        for gpus in (1, 8, 64, 512):
            job = Job(n, 768, gpus)
            fits = job.affinity_bytes() <= HELD
            sent = f"{(job.exchange_bytes() + job.pass_bytes() / gpus) / 1e9:.3g} GB" if gpus > 1 else "0"
            exact = (told(job.exact()), sent) if fits else ("does not fit", "")
            lines.append(f"| {n:,.0f} | {gpus} | {' | '.join(exact)} | {told(job.sampled())} |")
    return "\n".join(lines)


def told(duration: float) -> str:
    if duration < 120:
        return f"{duration:.2g} s"
    return f"{duration / 60:.0f} min" if duration < 7200 else f"{duration / 3600:.0f} h"


def recall() -> str:
    lines = ["| index, n=100,000 d=128 k=64 | recall | search | building it |", "|---|---|---|---|"]
    rows = read("knn_index")
    builds = {row["op"].removesuffix(" build"): row["p20_s"] for row in rows if row["op"].endswith(" build")}
    for row in rows:
        if row["unit"] == "recall@64":
            name = row["op"].removeprefix("knn_index, ")
            built = builds.get(row["op"].partition(" probes")[0], "")
            recalled = f"{float(row['rate']):.3f}"
            cells = name, recalled, seconds(row["p20_s"]), built and seconds(built)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


TABLES = {"measured": measured, "parts": parts, "accuracy": accuracy, "modelled": modelled, "recall": recall}


def page(text: str) -> str:
    """The page with all its tables as they should be."""
    for name, table in TABLES.items():
        text = between(text, name, table())
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
