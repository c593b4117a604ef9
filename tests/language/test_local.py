"""A model of transformers', a LLaVA of a few thousand parameters that is built here."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_llava
import torch
from numpy.typing import NDArray
from PIL import Image

from diptych.language import Cached, ChatError, LocalChatModel

PROMPT = "what is it ?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="local models need pip install 'diptych[language-local]'")
    folder = tmp_path_factory.mktemp("tiny_llava")
    tiny_llava.save(folder)
    return folder


@pytest.fixture
def pictures() -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (9, 12, 3), dtype=np.uint8) for _ in range(4)]


def by_hand(folder: Path, images: list[NDArray[np.uint8]], length: int) -> list[int]:
    """The most probable token after the other, the whole network run again for each."""
    import transformers

    processor = transformers.AutoProcessor.from_pretrained(folder)
    network = transformers.LlavaForConditionalGeneration.from_pretrained(folder).eval()
    text = f"user : {'<image> ' * len(images)}{PROMPT} assistant : "
    inputs = processor(
        images=[Image.fromarray(image) for image in images] or None, text=text, return_tensors="pt"
    )
    tokens = inputs["input_ids"]
    seen = {} if "pixel_values" not in inputs else {"pixel_values": inputs["pixel_values"]}
    for _ in range(length):
        with torch.no_grad():
            logits = network(input_ids=tokens, attention_mask=torch.ones_like(tokens), **seen).logits
        tokens = torch.cat([tokens, logits[:, -1].argmax(-1, keepdim=True)], 1)
    return tokens[0, -length:].tolist()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_answer_is_the_most_probable_one(
    folder: Path, pictures: list[NDArray[np.uint8]], count: int
) -> None:
    answer = LocalChatModel(folder, device="cpu", max_tokens=6).ask(PROMPT, pictures[:count])
    first = 5  # after the special tokens, which are left out
    expected = [
        tiny_llava.WORDS[token - first] for token in by_hand(folder, pictures[:count], 6) if token >= first
    ]
    assert expected
    assert answer.split() == expected


def test_what_is_shown_matters_and_nothing_is_by_chance(
    folder: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    model = LocalChatModel(folder, device="cpu", max_tokens=6)
    answers = [model.ask(PROMPT, [picture]) for picture in pictures]
    assert len(set(answers)) > 1
    assert answers == [model.ask(PROMPT, [picture]) for picture in pictures]


def test_answers_are_kept_and_the_model_is_not_loaded_for_them(
    folder: Path, tmp_path: Path, pictures: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Cached(LocalChatModel(folder, device="cpu", max_tokens=6), tmp_path).ask(PROMPT, pictures[:1])
    monkeypatch.setitem(sys.modules, "transformers", None)
    again = LocalChatModel(folder, device="cpu", max_tokens=6)
    assert Cached(again, tmp_path).ask(PROMPT, pictures[:1]) == first
    assert again.identity != LocalChatModel(folder, device="cpu", max_tokens=7).identity


def test_other_weights_are_another_model(folder: Path) -> None:
    before = LocalChatModel(folder).identity
    weights = folder / "model.safetensors"
    weights.touch()
    assert LocalChatModel(folder).identity != before


def copied(folder: Path, target: Path, *, without: str = "") -> Path:
    target.mkdir()
    for path in folder.iterdir():
        if path.name != without:
            (target / path.name).write_bytes(path.read_bytes())
    return target


def test_weights_that_could_run_code_are_not_read(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    target = copied(folder, tmp_path / "pickled", without="model.safetensors")
    torch.save(load_file(folder / "model.safetensors"), target / "pytorch_model.bin")
    with pytest.raises(ChatError, match="the model cannot be loaded") as caught:
        LocalChatModel(target, device="cpu").ask(PROMPT)
    assert caught.value.final


def test_code_that_comes_with_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    target = copied(folder, tmp_path / "coded")
    trace = tmp_path / "ran"
    (target / "mine.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    config: dict[str, Any] = json.loads((target / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {
            "AutoConfig": "mine.MyConfig",
            "AutoModelForImageTextToText": "mine.MyModel",
            "AutoProcessor": "mine.MyProcessor",
        },
    }
    (target / "config.json").write_text(json.dumps(config))
    with pytest.raises(ChatError, match="the model cannot be loaded"):
        LocalChatModel(target, device="cpu").ask(PROMPT)
    assert not trace.exists()


def test_a_model_that_is_not_here_is_not_fetched() -> None:
    pytest.importorskip("transformers", reason="local models need pip install 'diptych[language-local]'")
    with pytest.raises(ChatError, match=r"nobody/nothing: the model cannot be loaded \(download=True"):
        LocalChatModel("nobody/nothing").ask(PROMPT)


def test_a_model_without_a_chat_template(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mute"
    tiny_llava.save(target, template=None)
    with pytest.raises(ChatError, match="no chat template"):
        LocalChatModel(target, device="cpu").ask(PROMPT)


def test_a_model_is_looked_for_without_its_weights(folder: Path, tmp_path: Path) -> None:
    LocalChatModel(copied(folder, tmp_path / "light", without="model.safetensors")).check()
    with pytest.raises(ChatError, match="the model cannot be loaded") as caught:
        LocalChatModel(tmp_path / "absent").check()
    assert caught.value.final
    tiny_llava.save(tmp_path / "mute", template=None)
    with pytest.raises(ChatError, match="no chat template"):
        LocalChatModel(tmp_path / "mute").check()


def test_an_answer_of_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalChatModel(folder, device="cpu", max_tokens=6)
    model.ask(PROMPT)
    assert model._loaded is not None
    monkeypatch.setattr(model._loaded[0], "decode", lambda *_, **__: " \n")
    with pytest.raises(ChatError, match="it says nothing"):
        model.ask(PROMPT)


def test_without_transformers_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs transformers: .*language-local"):
        LocalChatModel(tmp_path).ask(PROMPT)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="model: expected a folder or a name"):
        LocalChatModel(" ")
    with pytest.raises(ValueError, match="max_tokens: expected at least 1, found 0"):
        LocalChatModel("some/model", max_tokens=0)
    with pytest.raises(ValueError, match="prompt: expected text"):
        LocalChatModel("some/model").ask("")
