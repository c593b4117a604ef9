"""A vision-language model of the transformers library, run on this machine."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from diptych.embed._extras import require
from diptych.language.chat import ChatError, question

_DIGEST_BYTES = 16
_SHOWN = 300


class LocalChatModel:
    """Any image-text-to-text model that transformers knows (LLaVA, SmolVLM, Qwen-VL, ...).

    transformers and the weights are loaded with the first question. Weights are read from safetensors files
    only, code that comes with a model is never run, and nothing is downloaded unless ``download=True``.
    Answers are the most probable tokens one by one (no sampling). Questions are answered one at a time.
    """

    concurrency = 1

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        max_tokens: int = 256,
        revision: str | None = None,
        download: bool = False,
    ) -> None:
        """Name a model; nothing is loaded yet.

        Args:
            model: A folder that ``save_pretrained`` wrote, or the name of a model on the Hugging Face Hub.
            device: Where it runs; by default the GPU if there is one, else the CPU.
            dtype: What its weights are converted to; as they are stored without it.
            max_tokens: Longest answer in tokens.
            revision: Branch, tag or commit of a model on the Hub.
            download: Whether what is not on this machine may be fetched from the Hub.

        Raises:
            ValueError: No name, or less than one token.
        """
        self.model = os.fspath(model)
        if not self.model.strip():
            raise ValueError("model: expected a folder or a name, found nothing")
        if max_tokens < 1:
            raise ValueError(f"max_tokens: expected at least 1, found {max_tokens}")
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._dtype, self._max_tokens, self._revision = dtype, max_tokens, revision
        self._download = download
        self._lock = Lock()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        """What answers depend on: the model, of a folder also its files' sizes and times, and the options."""
        return {
            "model": self.model,
            "revision": self._revision,
            "files": _stamp(Path(self.model)),
            "dtype": None if self._dtype is None else str(self._dtype),
            "max_tokens": self._max_tokens,
        }

    def __repr__(self) -> str:
        return f"LocalChatModel({self.model!r})"

    def ask(self, prompt: str, images: Sequence[Any] = ()) -> str:
        """Answer one question.

        Args:
            prompt: The question.
            images: What :func:`diptych.language.as_picture` takes; shown before the prompt, in order.

        Raises:
            ChatError: The model cannot be loaded, takes no conversation, or says nothing.
            ModuleNotFoundError: transformers is not installed.
            TypeError: The prompt is no text, or an image no picture.
            ValueError: An empty prompt, or an unreadable image.
        """
        message = question(prompt, images)
        content = [{"type": "image", "image": image.open()} for image in message.images]
        content.append({"type": "text", "text": message.text})
        conversation = [{"role": message.role, "content": content}]
        with self._lock, torch.inference_mode():
            if self._loaded is None:
                self._loaded = self._load()
            processor, network = self._loaded
            inputs = processor.apply_chat_template(
                conversation,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            ).to(self._device, dtype=network.dtype)
            tokens = network.generate(**inputs, max_new_tokens=self._max_tokens, do_sample=False)
            new = tokens[0, inputs["input_ids"].shape[1] :]
            answer: str = processor.decode(new, skip_special_tokens=True).strip()
        if not answer:
            raise ChatError(f"{self.model}: it says nothing")
        return answer

    def check(self) -> None:
        """Look whether the model is there and takes questions, without loading its weights.

        Raises:
            ChatError: It cannot be found or read, or takes no conversation.
            ModuleNotFoundError: transformers is not installed.
        """
        self._processor()

    def _load(self) -> tuple[Any, Any]:
        """The processor and the network."""
        processor = self._processor()
        network = self._read("AutoModelForImageTextToText", use_safetensors=True, dtype=self._dtype or "auto")
        return processor, network.eval().to(self._device)

    def _processor(self) -> Any:
        processor = self._read("AutoProcessor")
        if not getattr(processor, "chat_template", None):
            raise ChatError(f"{self.model}: it has no chat template, so it takes no questions", final=True)
        return processor

    def _read(self, kind: str, **options: Any) -> Any:
        """A part of the model, by one of the Auto classes of transformers."""
        transformers = require("transformers", extra="language-local")
        try:
            return getattr(transformers, kind).from_pretrained(
                self.model,
                revision=self._revision or "main",
                local_files_only=not self._download,
                trust_remote_code=False,
                **options,
            )
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:_SHOWN]
            hint = "" if self._download else " (download=True fetches what is not on this machine)"
            raise ChatError(
                f"{self.model}: the model cannot be loaded{hint}: {reason}", final=True
            ) from error


def _stamp(folder: Path) -> str | None:
    """A hash of names, sizes and times of a folder's files, None where there is no folder."""
    if not folder.is_dir():
        return None
    stamp = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".json", ".jinja", ".txt", ".model"):
            found = path.stat()
            stamp.update(f"{path.name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return stamp.hexdigest()
