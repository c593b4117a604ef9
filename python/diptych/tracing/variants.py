"""What the tables of a study compare: models, and the same with other inputs or features of other widths."""

from dataclasses import dataclass
from typing import Any

from diptych.tracing.models import MODELS

#: What each table of a study compares, by name.
TABLES = {
    "models": "All models",
    "inputs": "Recurrent models that are told right answers so far, and how long answers took",
    "widths": "Features of several widths, learned from the images",
}

# Whose inputs and features are varied: the two families' own, as the study recommends them.
_VARIED = ("direct_yz", "cls_pred_y")
_WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Variant:
    """A model as it is trained.

    Attributes:
        model: One of ``MODELS``.
        accuracy: Told each class's share of right answers so far.
        seconds: Told how long answers took.
        width: Of features that are learned; None for the features at hand.
    """

    model: str
    accuracy: bool = False
    seconds: bool = False
    width: int | None = None

    @property
    def name(self) -> str:
        """What tables call it."""
        told = [self.model]
        told += ["accuracy"] * self.accuracy + ["seconds"] * self.seconds
        told += [] if self.width is None else [f"width {self.width}"]
        return ", ".join(told)

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return self.name.replace(", ", "-").replace(" ", "-")

    def options(self, known: bool) -> dict[str, Any]:
        """What :func:`diptych.tracing.fit` is called with.

        Args:
            known: Whether features of the images are known: a head is then learned on them, else a network.
        """
        chosen: dict[str, Any] = {name: True for name in ("accuracy", "seconds") if getattr(self, name)}
        if self.width is not None:
            chosen |= {"extractor": "head" if known else "resnet18", "dimension": self.width}
        return chosen


def variants(table: str, timed: bool) -> tuple[Variant, ...]:
    """Those of a table.

    Args:
        table: One of ``TABLES``.
        timed: Whether it is known how long answers took.
    """
    if table == "models":
        return tuple(map(Variant, MODELS))
    if table == "widths":
        return tuple(Variant(model, width=width) for model in _VARIED for width in _WIDTHS)
    told = [{}, {"accuracy": True}]
    if timed:
        told += [{"seconds": True}, {"accuracy": True, "seconds": True}]
    return tuple(Variant(model, **each) for model in _VARIED for each in told)
