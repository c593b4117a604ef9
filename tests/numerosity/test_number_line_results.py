"""Saving, loading, tabulating and telling number lines, and comparing those of several seeds."""

import dataclasses
import json

import numpy as np
import pytest
from planted_line import covariates, planted, rotation, walk

from diptych import ops
from diptych.numerosity import NumberLine, analyze, reproducibility
from diptych.numerosity.tables import TABLES

pytestmark = pytest.mark.usefixtures("one_thread")


def analyzed(seed: int = 0, *, full: bool = True, **options) -> NumberLine:
    z, counts = planted(lambda n: n**0.8, noise=0.15, each=20, highest=18, d=3, seed=seed)
    pairs, actions = walk(counts, 300, seed=seed)
    rest = {"pairs": pairs, "actions": actions, "predicted": actions, "covariates": covariates(counts)}
    return analyze(
        z,
        counts,
        **(rest if full else {}),
        min_cluster_size=12,
        sweep=(5, 10),
        bootstrap=15,
        progress=False,
        **options,
    )


@pytest.fixture(scope="module")
def line() -> NumberLine:
    return analyzed(name="AlexNet <layer 3>")


@pytest.fixture(scope="module")
def bare() -> NumberLine:
    """Of embeddings and counts alone, without the reference."""
    z, counts = planted(highest=4, each=25, noise=0.05)
    return analyze(z, counts, min_cluster_size=12, sweep=(), bootstrap=0, progress=False)


def assert_same(a, b) -> None:
    """Equal, array by array."""
    assert type(a) is type(b)
    if dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b or (np.isnan(a) and np.isnan(b))


@pytest.mark.parametrize("which", ["line", "bare"])
def test_what_is_saved_is_loaded(which, tmp_path, request) -> None:
    found = request.getfixturevalue(which)
    path = tmp_path / "deep" / "line.npz"
    found.save(path)
    assert_same(NumberLine.load(path), found)
    assert list(path.parent.iterdir()) == [path]


def test_embeddings_can_stay_behind(line, tmp_path) -> None:
    line.save(tmp_path / "line.npz", embeddings=False)
    loaded = NumberLine.load(tmp_path / "line.npz")
    assert loaded.embeddings is None
    assert_same(loaded.islands, line.islands)
    assert loaded.summary() == line.summary()


def test_nothing_is_unpickled(line, tmp_path) -> None:
    path = tmp_path / "line.npz"
    line.save(path)
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "fiuUb" for name in archive.files)
    np.savez(path, numerosity=np.array([{"format": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"line\.npz: not a readable numerosity result: .*allow_pickle"):
        NumberLine.load(path)


def test_unreadable_files(line, tmp_path) -> None:
    path = tmp_path / "line.npz"
    with pytest.raises(FileNotFoundError):
        NumberLine.load(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=r"line\.npz: not a readable numerosity result"):
        NumberLine.load(path)
    np.savez(path, x=np.ones(3))
    with pytest.raises(ValueError, match="it holds other arrays"):
        NumberLine.load(path)
    for said in (
        {"format": 99},
        {"format": 1, "result": {"islands": {"os": {}}}},
        {"format": 1, "result": {}},
    ):
        np.savez(path, numerosity=np.array(json.dumps(said)))
        with pytest.raises(ValueError, match="not a readable numerosity result"):
            NumberLine.load(path)
    line.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="not a readable numerosity result"):
        NumberLine.load(path)


def test_a_failed_save_leaves_what_was_there(line, tmp_path, monkeypatch) -> None:
    path = tmp_path / "line.npz"
    path.write_bytes(b"before")

    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="no space left"):
        line.save(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_summary_tells_each_figure(line, bare) -> None:
    told = line.summary()
    assert told.startswith("AlexNet <layer 3>: 380 items of 0 to 18 objects\n")
    for part in (
        f"line: error {line.linear_error:.3f}",
        f"true number {line.spearman:.3f}",
        f"{line.islands.n}, each of 0 to {line.subitizing_limit} has its own; puts and takes order them",
        f"count 18 is perceived as {line.absolute.mean[-1]:.1f}",
        f"exponent {line.exponent:.2f} (95 % interval",
        "people 0.83 ± 0.2",
        f"Weber fraction {line.weber_fraction:.3f} at 16",
        "actions: 0.0% of",
    ):
        assert part in told
    assert "No item has 16 objects" in bare.summary()
    assert "Weber fraction 0" not in bare.summary()
    assert "puts and takes" not in bare.summary()


@pytest.mark.parametrize(
    ("limit_counts", "words"), [([5, 6], "not even 0 has its own"), ([0, 5], "0 alone has its own")]
)
def test_the_summary_tells_few_islands(line, limit_counts, words) -> None:
    islands = line.islands
    labels = np.searchsorted(limit_counts, line.counts).clip(0, 1)
    table = np.stack([np.bincount(line.counts[labels == each], minlength=19) for each in (0, 1)])
    few = dataclasses.replace(islands, confusion=table, outside=np.zeros(19, np.int64))
    assert words in dataclasses.replace(line, islands=few).summary()


def test_tables(line) -> None:
    counts = line.to_frame()
    np.testing.assert_array_equal(counts["count"], np.arange(19))
    assert (counts["items"] == 20).all()
    np.testing.assert_allclose(counts["perceived"][1:], line.absolute.mean)
    np.testing.assert_allclose(counts["power_law"][1:], line.absolute.power(np.arange(1, 19)))
    assert np.isnan(counts["power_law"][0])
    assert counts["island"].tolist()[:3] == [0, 1, 2]
    figures = line.to_frame("figures")
    assert dict(zip(figures["figure"], figures["value"], strict=True)) == line.figures()
    islands = line.to_frame("islands")
    assert len(islands) == line.islands.n
    assert islands["items"].sum() + line.islands.outside.sum() == 380
    np.testing.assert_array_equal(islands["majority"], line.islands.majority)
    np.testing.assert_array_equal(np.argsort(islands["place_in_order"]), line.islands.order.sequence)
    np.testing.assert_array_equal(line.to_frame("actions")["share"], line.action_error.share)
    relative = line.to_frame("relative")
    assert sorted(set(relative["reference"])) == [3, 9, 16]
    np.testing.assert_array_equal(
        relative[relative["reference"] == 16]["share_larger"], line.against(16).share
    )
    np.testing.assert_array_equal(line.to_frame("sweep")["n_islands"], line.sweep.n_islands)
    table = line.to_frame("covariates")
    assert set(table["quantity"]) == {"count", "mean_intensity", "summed_area", "hull_area"}
    assert ((table["from"] <= table["change"]) & (table["change"] < table["to"])).all()
    assert ((table["low"] <= table["high"]) & (table["comparisons"] > 0)).all()
    distances = line.to_frame("distances")
    assert distances.groupby("action")["pairs"].sum()["shake"] == line.distances.pairs[2]


def test_tables_of_what_was_not_given_are_empty(bare) -> None:
    for name in ("actions", "covariates", "distances", "sweep"):
        assert len(bare.to_frame(name)) == 0
    assert "place" in bare.to_frame("islands")
    assert len(bare.to_frame("counts")) == 5


def test_an_unknown_table(line) -> None:
    with pytest.raises(ValueError, match=r"table: expected one of 'counts', .* found 'rows'"):
        line.to_frame("rows")
    assert set(TABLES) >= {"counts", "figures"}


def test_several_seeds() -> None:
    lines = [analyzed(seed, full=False) for seed in range(3)]
    found = reproducibility(lines)
    for name, values in found.figures.items():
        np.testing.assert_array_equal(values, [line.figures()[name] for line in lines])
    frame = found.to_frame().set_index("figure")
    exponents = [line.exponent for line in lines]
    assert frame.loc["exponent"].tolist() == pytest.approx(
        [np.mean(exponents), np.std(exponents, ddof=1), min(exponents), max(exponents), 3]
    )
    assert frame.loc["action_error", "lines"] == 0
    for row in range(3):
        for column in range(3):
            wanted = ops.linear_cka(lines[row].embeddings, lines[column].embeddings)
            assert found.alikeness[row, column] == pytest.approx(float(wanted), abs=1e-12)
    assert found.mean_alikeness == pytest.approx(np.mean(found.alikeness[[0, 0, 1], [1, 2, 2]]))
    assert found.names == ("0", "1", "2")
    told = found.summary()
    assert told.startswith("3 number lines\nlinear_error: ")
    assert f"exponent: {np.mean(exponents):.3f} ±" in told
    assert "action_error" not in told
    assert "linear CKA of the embeddings: " in told


def test_turned_embeddings_are_alike_and_others_are_not_compared(line, bare, tmp_path) -> None:
    turned = dataclasses.replace(line, embeddings=np.float32(line.embeddings @ rotation(3)), name="turned")
    found = reproducibility([line, turned])
    # float32 keeps seven digits of the coordinates.
    assert found.mean_alikeness == pytest.approx(1, abs=1e-6)
    assert found.names == ("AlexNet <layer 3>", "turned")
    assert reproducibility([line, bare]).alikeness is None
    assert reproducibility([line, bare]).mean_alikeness is None
    assert "CKA" not in reproducibility([line, bare]).summary()
    assert reproducibility([line, dataclasses.replace(line, embeddings=None)]).alikeness is None


def test_a_figure_of_one_line_alone_has_no_spread(line, bare) -> None:
    frame = reproducibility([line, bare]).to_frame().set_index("figure")
    assert frame.loc["weber_fraction", "mean"] == line.weber_fraction
    assert frame.loc["weber_fraction", "lines"] == 1
    assert np.isnan(frame.loc["weber_fraction", "sd"])


def test_bad_lines(line) -> None:
    with pytest.raises(ValueError, match="lines: expected at least two, found 1"):
        reproducibility([line])
    with pytest.raises(TypeError, match="lines: expected NumberLine, found ndarray"):
        reproducibility([line, np.ones(3)])
