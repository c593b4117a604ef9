from typing import Any

from numpy.typing import NDArray

MAX_NEIGHBORS: int
BLOCK_WIDTH: int
MAX_CANDIDATES: int
MAX_ATOMS: int
MAX_SQUARES: int
MAX_SCENE_SIZE: int
COMPILER: str
OPENMP: str

def simd_level() -> str: ...
def place_squares(
    counts: NDArray[Any],
    index: NDArray[Any],
    size: int,
    sides: tuple[int, int],
    side_jitter: int,
    contrasts: tuple[int, int],
    contrast_jitter: int,
    clearance: int,
    attempts: int,
    seed: int,
    squares: NDArray[Any],
    placed: NDArray[Any],
    threads: int,
) -> None: ...
def first_misplaced(squares: NDArray[Any], size: int, threads: int) -> int: ...
def draw_squares(squares: NDArray[Any], images: NDArray[Any], threads: int) -> None: ...
def square_covariates(squares: NDArray[Any], size: int, out: NDArray[Any], threads: int) -> None: ...
def shift_to_center(x: NDArray[Any], out: NDArray[Any], threads: int) -> None: ...
def duplicates(x: NDArray[Any], groups: NDArray[Any], threads: int) -> bool: ...
def peak(x: NDArray[Any], threads: int) -> float: ...
def unit_rows(x: NDArray[Any], out: NDArray[Any], threads: int) -> None: ...
def first_zero_row(x: NDArray[Any]) -> int: ...
def direct_distances(
    x: NDArray[Any], y: NDArray[Any], root: bool, factor: float, out: NDArray[Any], threads: int
) -> None: ...
def distances(
    products: NDArray[Any],
    norms_x: NDArray[Any],
    norms_y: NDArray[Any],
    squared: bool,
    out: NDArray[Any],
    threads: int,
) -> None: ...
def ranks(distances: NDArray[Any], items: NDArray[Any] | None, out: NDArray[Any], threads: int) -> None: ...
def ranks_from_products(
    products: NDArray[Any],
    norms: NDArray[Any],
    items: NDArray[Any] | None,
    out: NDArray[Any],
    threads: int,
) -> None: ...
def locally_biased_difference(
    a: NDArray[Any], b: NDArray[Any], gamma: float, offset: float, out: NDArray[Any], threads: int
) -> None: ...
def difference_affinity(
    a: NDArray[Any],
    b: NDArray[Any],
    subtraction: bool,
    gamma: float,
    beta: float,
    offset: float,
    out_ab: NDArray[Any],
    out_ba: NDArray[Any],
    threads: int,
) -> None: ...
def pack_difference(
    a: NDArray[Any],
    b: NDArray[Any],
    subtraction: bool,
    gamma: float,
    offset: float,
    out: NDArray[Any],
    sizes: NDArray[Any],
    threads: int,
) -> None: ...
def fold_packed(codes: NDArray[Any], beta: float, threads: int) -> None: ...
def packed_product(
    codes: NDArray[Any], above: bool, beta: float, x: NDArray[Any], out: NDArray[Any], threads: int
) -> None: ...
def packed_rows(
    codes: NDArray[Any], above: bool, beta: float, first: int, out: NDArray[Any], threads: int
) -> None: ...
def fold_shard(
    codes: NDArray[Any], mirrored: NDArray[Any], first: int, beta: float, threads: int
) -> None: ...
def shard_product(
    codes: NDArray[Any], beta: float, x: NDArray[Any], out: NDArray[Any], threads: int
) -> None: ...
def decode_shard(codes: NDArray[Any], beta: float, out: NDArray[Any], threads: int) -> None: ...
def sample_pairs(
    a: NDArray[Any],
    b: NDArray[Any],
    first: int,
    subtraction: bool,
    gamma: float,
    beta: float,
    offset: float,
    neighbors: int,
    seed: int,
    columns: NDArray[Any],
    values: NDArray[Any],
    counts: NDArray[Any],
    scales: NDArray[Any],
    sizes: NDArray[Any],
    threads: int,
) -> None: ...
def sampled_product(
    own: tuple[NDArray[Any], ...],
    back: tuple[NDArray[Any], ...],
    first: int,
    sign: float,
    x: NDArray[Any],
    out: NDArray[Any],
    threads: int,
) -> None: ...
def sampled_entries(
    own: tuple[NDArray[Any], ...],
    back: tuple[NDArray[Any], ...],
    first: int,
    sign: float,
    i: NDArray[Any],
    j: NDArray[Any],
    out: NDArray[Any],
    threads: int,
) -> None: ...
def sampled_knn(
    own: tuple[NDArray[Any], ...],
    back: tuple[NDArray[Any], ...],
    first: int,
    sign: float,
    most: float,
    labels: NDArray[Any],
    scores: NDArray[Any],
    neighbors: NDArray[Any],
    threads: int,
) -> None: ...
def knn_affinity(
    affinity: NDArray[Any],
    labels: NDArray[Any],
    first: int,
    scores: NDArray[Any],
    neighbors: NDArray[Any],
    threads: int,
) -> None: ...
def kmeans_seeds(
    x: NDArray[Any],
    firsts: NDArray[Any],
    draws: NDArray[Any],
    centers: NDArray[Any],
    threads: int,
) -> None: ...
def kmeans(
    x: NDArray[Any],
    centers: NDArray[Any],
    labels: NDArray[Any],
    inertia: NDArray[Any],
    max_iter: int,
    threshold: float,
    threads: int,
) -> None: ...
def lasso(
    grams: list[NDArray[Any]],
    models: NDArray[Any],
    starts: NDArray[Any],
    alpha: NDArray[Any],
    tolerance: NDArray[Any],
    residual: NDArray[Any],
    gradient: NDArray[Any],
    coefficients: NDArray[Any],
    passes: NDArray[Any],
    max_passes: int,
    threads: int,
) -> None: ...
def gather_columns(
    x: NDArray[Any], order: NDArray[Any] | None, columns: NDArray[Any], out: NDArray[Any], threads: int
) -> None: ...
def lasso_small(
    x: NDArray[Any],
    y: NDArray[Any],
    alpha: NDArray[Any],
    starts: list[int],
    order: NDArray[Any] | None,
    tolerance: float,
    max_passes: int,
    check: bool,
    coefficients: NDArray[Any],
    gaps: NDArray[Any],
    passes: NDArray[Any],
) -> int: ...
def symmetric_range(matrix: NDArray[Any], threads: int) -> tuple[float, float, float]: ...
def block_product(matrix: NDArray[Any], x: NDArray[Any], out: NDArray[Any], threads: int) -> None: ...

class _NearestSearch:
    def __init__(
        self,
        asked: NDArray[Any],
        low_asked: NDArray[Any],
        slack_asked: NDArray[Any],
        searched: NDArray[Any],
        low_searched: NDArray[Any],
        slack_searched: NDArray[Any],
        scale: float,
        k: int,
        exclude_self: bool,
        values: NDArray[Any],
        items: NDArray[Any],
        counts: NDArray[Any],
        thresholds: NDArray[Any],
    ) -> None: ...
    def begin(self, first: int) -> None: ...
    def scan(
        self, products: NDArray[Any], first_row: int, first_column: int, both: bool, threads: int
    ) -> None: ...
    def finish(
        self,
        first: int,
        root: bool,
        factor: float,
        distances: NDArray[Any],
        indices: NDArray[Any],
        threads: int,
    ) -> None: ...

class NearestSearch32(_NearestSearch): ...
class NearestSearch64(_NearestSearch): ...

def nearest_direct(
    x: NDArray[Any],
    y: NDArray[Any],
    exclude_self: bool,
    root: bool,
    factor: float,
    distances: NDArray[Any],
    indices: NDArray[Any],
    threads: int,
) -> None: ...
def common_ranks(a: NDArray[Any], b: NDArray[Any], k: int, threads: int) -> int: ...
def common_neighbors(x: NDArray[Any], y: NDArray[Any], k: int, threads: int) -> int: ...
def common_indices(a: NDArray[Any], b: NDArray[Any], threads: int) -> int: ...
def correlation(
    u: NDArray[Any], v: NDArray[Any], ranked: bool, constant: float, out: NDArray[Any], threads: int
) -> None: ...
def average_ranks(x: NDArray[Any], out: NDArray[Any], threads: int) -> None: ...
def nnls(
    a: NDArray[Any],
    w: NDArray[Any],
    out: NDArray[Any],
    limits: tuple[int, int, int],
    threads: int,
) -> tuple[int, int]: ...
def nonnegative_descent(
    gram: NDArray[Any], products: NDArray[Any], factor: NDArray[Any], sweeps: int, threads: int
) -> None: ...
def center(
    x: NDArray[Any], per_column: bool, out: NDArray[Any], squares: NDArray[Any], threads: int
) -> float: ...
def linear_hsics(
    x: NDArray[Any], y: NDArray[Any], debiased: bool
) -> tuple[float, float, float, float, float, float]: ...
