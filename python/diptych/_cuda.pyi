CUDA_VERSION: str
ARCHITECTURES: str

def ranks_workspace_float32(rows: int, n: int) -> int: ...
def ranks_float32(
    values: int,
    norms: int,
    rows: int,
    n: int,
    first_row: int,
    out: int,
    workspace: int,
    workspace_bytes: int,
    stream: int,
) -> None: ...
def ranks_workspace_float64(rows: int, n: int) -> int: ...
def ranks_float64(
    values: int,
    norms: int,
    rows: int,
    n: int,
    first_row: int,
    out: int,
    workspace: int,
    workspace_bytes: int,
    stream: int,
) -> None: ...
def knn_affinity_float32(
    affinity: int, labels: int, n: int, k: int, scores: int, neighbors: int, stream: int
) -> None: ...
def knn_affinity_float64(
    affinity: int, labels: int, n: int, k: int, scores: int, neighbors: int, stream: int
) -> None: ...
def kmeans_workspace(d: int, k: int, restarts: int) -> int: ...
def kmeans(
    x: int,
    n: int,
    d: int,
    k: int,
    restarts: int,
    max_iter: int,
    threshold: float,
    centers: int,
    labels: int,
    inertia: int,
    workspace: int,
    workspace_bytes: int,
    stream: int,
) -> None: ...
def locally_biased_difference_int32(
    a: int, b: int, count: int, gamma: float, offset: float, out: int, stream: int
) -> None: ...
def difference_affinity_int32(
    a: int,
    b: int,
    n: int,
    subtraction: bool,
    gamma: float,
    beta: float,
    offset: float,
    out_ab: int,
    out_ba: int,
    stream: int,
) -> None: ...
def locally_biased_difference_float32(
    a: int, b: int, count: int, gamma: float, offset: float, out: int, stream: int
) -> None: ...
def difference_affinity_float32(
    a: int,
    b: int,
    n: int,
    subtraction: bool,
    gamma: float,
    beta: float,
    offset: float,
    out_ab: int,
    out_ba: int,
    stream: int,
) -> None: ...
def locally_biased_difference_float64(
    a: int, b: int, count: int, gamma: float, offset: float, out: int, stream: int
) -> None: ...
def difference_affinity_float64(
    a: int,
    b: int,
    n: int,
    subtraction: bool,
    gamma: float,
    beta: float,
    offset: float,
    out_ab: int,
    out_ba: int,
    stream: int,
) -> None: ...
def place_squares(
    counts: int,
    index: int,
    n: int,
    k: int,
    size: int,
    sides: tuple[int, int],
    side_jitter: int,
    contrasts: tuple[int, int],
    contrast_jitter: int,
    clearance: int,
    attempts: int,
    seed: int,
    squares: int,
    placed: int,
    stream: int,
) -> None: ...
def draw_squares_float32(squares: int, n: int, k: int, size: int, images: int, stream: int) -> None: ...
def draw_squares_uint8(squares: int, n: int, k: int, size: int, images: int, stream: int) -> None: ...
def square_covariates(squares: int, n: int, k: int, size: int, out: int, stream: int) -> None: ...
def lasso_workspace(features: int, problems: int, largest: int) -> int: ...
def lasso_float32(
    gram: int,
    starts: int,
    problems: int,
    features: int,
    largest: int,
    alpha: int,
    tolerance: int,
    residual: int,
    gradient: int,
    coefficients: int,
    passes: int,
    max_passes: int,
    workspace: int,
    stream: int,
) -> None: ...
def lasso_float64(
    gram: int,
    starts: int,
    problems: int,
    features: int,
    largest: int,
    alpha: int,
    tolerance: int,
    residual: int,
    gradient: int,
    coefficients: int,
    passes: int,
    max_passes: int,
    workspace: int,
    stream: int,
) -> None: ...
def nnls_workspace(n: int, d: int, k: int) -> int: ...
def nnls_float32(
    a: int,
    w: int,
    n: int,
    d: int,
    k: int,
    limits: tuple[int, int, int],
    out: int,
    report: int,
    workspace: int,
    stream: int,
) -> None: ...
def nnls_float64(
    a: int,
    w: int,
    n: int,
    d: int,
    k: int,
    limits: tuple[int, int, int],
    out: int,
    report: int,
    workspace: int,
    stream: int,
) -> None: ...
