"""How a comparison is carried out: planned, with a workspace or without, by one process or a team."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import Any

from numpy.typing import NDArray
from rich.console import Console

from diptych._build import versions
from diptych._checkpoint import Checkpoint, digest
from diptych.embed import fingerprint
from diptych.ops._meter import OFF, Meter
from diptych.rdx.affinities import Pair
from diptych.rdx.planning import Plan, plan
from diptych.rdx.results import Parameters, RDXResult
from diptych.rdx.streamed import Means
from diptych.rdx.team import Order, Team

# Items from which a comparison takes long enough to say what it will take.
_LONG = 10_000


def prepared(
    p: Parameters,
    pair: Pair,
    workspace: str | os.PathLike[str] | None,
    resume: bool,
    profile: bool,
    progress: bool,
    team: Team | None,
) -> tuple[Parameters, Means]:
    """Plan the job, say so where it will be long, and open its workspace."""
    if resume and workspace is None:
        raise ValueError("resume: needs the workspace of the job to be resumed")
    streams = workspace is not None or team is not None
    if streams and p.precision == "float32":
        name = "workspace" if workspace is not None else "distributed"
        raise ValueError(f"{name}: needs precision 'int8' or 'sampled', found 'float32'")
    (n, d_a), d_b, device = pair[0].shape, pair[1].shape[1], pair[0].device
    tells = progress and n > _LONG and (team is None or team.leads)
    planned = plan(
        n,
        d_a,
        d_b,
        precision="int8" if streams and p.precision == "auto" else p.precision,
        device=device,
        workspace=workspace,
        processes=1 if team is None else team.size,
        kept=2 * (p.neighbors or 0) + (p.samples or 0),
        pilot=tells,
    )
    if tells:
        Console(stderr=True).print(str(planned), highlight=False)
    p = replace(p, precision=planned.precision)
    means = Means(planned.block_rows, meter=Meter(device) if profile else OFF)
    if not streams:
        return p, means
    job = {
        "diptych": versions()["diptych"],
        "a": fingerprint(pair[0]),
        "b": fingerprint(pair[1]),
        **asdict(p),
    }
    if team is not None:
        team.agree(digest(job))
    return p, _opened(means, workspace, job, planned, resume, team)


def _opened(
    means: Means,
    workspace: str | os.PathLike[str] | None,
    job: dict[str, Any],
    planned: Plan,
    resume: bool,
    team: Team | None,
) -> Means:
    """Open the workspace, the leader of a team first; the block size is the leader's."""
    block_rows, checkpoint = planned.block_rows, None
    leads = team is None or team.leads
    if workspace is not None and leads:
        checkpoint = Checkpoint(workspace, job, {"block_rows": block_rows}, resume=resume)
        block_rows = int(checkpoint.settings["block_rows"])
    if team is not None:
        block_rows = team.shared(block_rows)
    if workspace is not None and not leads:
        checkpoint = Checkpoint(workspace, job, {}, resume=True)
    mapped = checkpoint.folder / "affinity.int8" if checkpoint is not None and planned.mapped else None
    return replace(means, block_rows=block_rows, checkpoint=checkpoint, mapped=mapped)


@contextmanager
def leading(team: Team | None) -> Iterator[None]:
    """Let the other processes of a team go when the work is done, or has failed."""
    try:
        yield
    except BaseException:
        if team is not None:
            with suppress(RuntimeError):  # the first error tells more
                team.tell(Order.FAIL)
        raise
    if team is not None:
        team.tell(Order.STOP)


def received(team: Team, pair: Pair) -> RDXResult:
    """The leader's result, with this process's own embeddings."""
    result = RDXResult.from_bytes(team.spread_bytes(b""))
    result.embeddings = as_numpy(pair)
    return result


def as_numpy(pair: Pair) -> tuple[NDArray[Any], NDArray[Any]]:
    """Views of the embeddings, copies where they are on a GPU."""
    return pair[0].cpu().numpy(), pair[1].cpu().numpy()
