"""docs/activations.md runs as it stands, and says what the code says."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "activations.md").read_text()


def test_the_lines_of_code_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    comments = []
    for snippet in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(snippet, "docs/activations.md", "exec"), names)
        for line in snippet.splitlines():
            shape = re.match(r"(.*\.shape|.*\)\[-1\])  # (\([\d, ]+\))", line)
            if shape:
                comments.append((eval(shape[1], names), shape[2]))
    assert [str(value) for value, _ in comments] == [said for _, said in comments]
    assert len(comments) == 3
    assert "all 100 images were read" in capsys.readouterr().out


def test_the_counts_of_the_sets() -> None:
    import timm
    import torch

    from diptych.embed import layer_set

    rows = re.findall(r'^\| `"(\w+)"` \|(.*)$', PAGE, re.MULTILINE)
    said = re.findall(r"(\d+) of (ResNet-18|ResNet-50|ViT-B|ViT-L)", "".join(row for _, row in rows))
    names = {"ResNet-18": "resnet18", "ResNet-50": "resnet50"}
    names |= {"ViT-B": "vit_base_patch16_224", "ViT-L": "vit_large_patch14_clip_336"}
    counted = []
    for name, row in rows:
        for _, model in re.findall(r"(\d+) of (ResNet-18|ResNet-50|ViT-B|ViT-L)", row):
            with torch.device("meta"):
                counted.append((str(len(layer_set(timm.create_model(names[model]), name))), model))
    assert counted == said
    assert len(said) == 6
