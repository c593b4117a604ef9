"""The options that have a vision-language model put what is found in words; off without them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli._report import say

if TYPE_CHECKING:
    from diptych.language import Identified

DescribeUrl = Annotated[
    str | None,
    typer.Option(help="OpenAI-compatible endpoint, http://HOST/v1, whose model describes what is found."),
]
DescribeModel = Annotated[
    str | None,
    typer.Option(help="The model's name there; without a URL a local one of transformers, or its folder."),
]
DescribeKeyFrom = Annotated[
    str | None, typer.Option(help="Environment variable that holds the endpoint's key.")
]
DescribeCache = Annotated[Path | None, typer.Option(help="Folder to keep the model's answers in.")]


@dataclass(frozen=True)
class Describer:
    """A chat model that is ready to be asked, and how a page calls it."""

    model: "Identified"
    name: str

    def of_grids(self, result: Any, images: Any) -> dict[str, Any]:
        """The options of :func:`diptych.report.write_rdx` that show what it says of a comparison's grids.

        Args:
            result: A :class:`diptych.rdx.RDXResult`.
            images: As ``write_rdx`` takes them; a grid with one that cannot be read is not asked about.
        """
        from diptych.rdx import words
        from diptych.report.images import load_images

        pictures = load_images(images, result.n)

        def look(item: int) -> Any:
            picture = pictures[item]
            # What the page shows as a grey square is no picture to ask about.
            if item in pictures.unreadable and pictures.names is not None:
                raise ValueError(f"{pictures.names[item]} cannot be read: {pictures.unreadable[item]}")
            return picture

        sides = words.describe(self.model, result, look)
        _tell([*sides[0], *sides[1]])
        return {"descriptions": sides, "described_by": self.name}

    def of_concepts(self, results: Any, patches: Any, count: int | None = None) -> dict[str, Any]:
        """The options of :func:`diptych.report.write_rsvc` that show what it says of the concepts shown.

        Args:
            results: A :class:`diptych.rsvc.RSVCResult`, or those of many classes by name.
            patches: As ``write_rsvc`` takes them.
            count: Its ``shown``.
        """
        from diptych.rsvc import words

        options: dict[str, Any] = {} if count is None else {"count": count}
        found = words.describe_concepts(self.model, results, patches, **options)
        _tell(found.values())
        return {"descriptions": found, "described_by": self.name}


def describer(
    url: str | None, model: str | None, key_from: str | None, cache: Path | None, *, images: Any
) -> Describer | None:
    """The model that the options name, before any work; None without them.

    Args:
        url: Of ``--describe-url``; so the next three.
        model: A name at the URL, or a local model.
        key_from: A variable's name.
        cache: A folder.
        images: What the pictures are made of; without any there is nothing to describe.

    Raises:
        ValueError: A URL or a folder for answers without a model, a key without a URL or in place of its
            variable, a user in the URL, or no images.
        ModuleNotFoundError: The extra that it needs is not installed.
        diptych.language.ChatError: There is no such local model.
    """
    if model is None:
        for option, value in (("url", url), ("key-from", key_from), ("cache", cache)):
            if value is not None:
                raise ValueError(f"--describe-{option}: expected --describe-model beside it, found none")
        return None
    if images is None:
        raise ValueError("--images: expected pictures for --describe-model to look at, found none")
    from diptych.language import Cached

    chat, name = _at(url, model, key_from) if url is not None else _local(model, key_from)
    return Describer(chat if cache is None else Cached(chat, cache), name)


def _at(url: str, model: str, key_from: str | None) -> "tuple[Identified, str]":
    from diptych.language import OpenAICompatible
    from diptych.language.endpoint import Endpoint

    # The command line stands in the report.
    if Endpoint.read(url)[1] is not None:
        raise ValueError("--describe-url: expected no user or password in it; see --describe-key-from")
    if key_from is not None and not key_from.isidentifier():
        raise ValueError(
            "--describe-key-from: expected the name of an environment variable, found something else"
        )
    return OpenAICompatible(url, model, key_from=key_from), model


def _local(model: str, key_from: str | None) -> "tuple[Identified, str]":
    from diptych.language import LocalChatModel

    if key_from is not None:
        raise ValueError("--describe-key-from: expected --describe-url beside it, found none")
    chat = LocalChatModel(model)
    chat.check()
    return chat, Path(model).resolve().name if Path(model).is_dir() else model


def _tell(descriptions: Iterable[Any]) -> None:
    """Say that questions got no answer; the page has the reason of each."""
    everything = list(descriptions)
    errors = [each.error for each in everything if each.error is not None]
    if errors:
        count = f"{len(errors)} of {len(everything)} descriptions are missing"
        say(f"{count}; the first: {errors[0]}", stderr=True)
