"""docs/models.md runs as it stands, and says what the code says."""

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from diptych.cli.compare import compare as command
from diptych.embed import ImageSet
from diptych.embed.layouts import Layout
from diptych.rdx import CLASS_GROUPS
from diptych.rdx.image_models import PRESETS

PAGE = (Path(__file__).parent.parent / "docs" / "models.md").read_text()


def rows_of(heading: str) -> dict[str, list[str]]:
    """The table whose first column is headed so: the other cells by the first."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    return {row[0].strip("`"): row[1:] for row in rows}


@pytest.mark.usefixtures("one_thread")
def test_the_lines_of_code_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng, lines = np.random.default_rng(0), ["id,scientific_name,license,user_login"]
    Path("export").mkdir()
    for item in range(24):
        lines.append(f"{item},Acer {('rubrum', 'negundo')[item % 2]},{'' if item == 5 else 'CC-BY'},ann")
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"export/{item}.png")
    Path("export/observations.csv").write_text("\n".join(lines))
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(snippet, "docs/models.md", "exec"), names)
    images = names["images"]
    assert isinstance(images, ImageSet)
    assert len(images) == 23
    assert eval("credits[images.ids[0]].credit", names) == "CC BY, ann"
    printed = capsys.readouterr().out
    assert "1 of 24 observations were left out for their licence" in printed
    assert "after alignment" in printed
    assert "Acer negundo — CC BY, ann" in Path("maples/index.html").read_text()


def test_the_tables_have_what_there_is() -> None:
    pairs = {
        name: tuple("timm:" + cell.strip("`") for cell in row) for name, row in rows_of("`--preset`").items()
    }
    assert pairs == dict(PRESETS)
    groups = rows_of("`--classes`")
    assert groups.keys() == CLASS_GROUPS.keys()
    for name, (dataset, classes) in groups.items():
        group = CLASS_GROUPS[name]
        assert dataset.casefold() == group.dataset
        said = re.findall(r"\*(\w+)\*", classes) or classes.split(", ")
        assert said == list(group.classes if "*" in classes else group.classes.values())
    assert rows_of("layout").keys() == set(get_args(Layout))


def test_the_options_that_are_named_are_there() -> None:
    named = {name.replace("-", "_") for name in re.findall(r"--([a-z][a-z-]*)", PAGE)}
    assert named <= set(command.__annotations__)
    assert len(named) > 10
