"""What is asked of whom: a kind of trial over certain images, as a file of answers keeps it."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from diptych.collect.kinds import KINDS
from diptych.collect.trials import TrialKind


@dataclass(frozen=True)
class Study:
    """A kind of trial, and which pictures it is about.

    Attributes:
        kind: The trials.
        fingerprint: Hash of the pictures' files in their order: :meth:`diptych.embed.ImageSet.fingerprint`.
    """

    kind: TrialKind
    fingerprint: str

    def to_json(self) -> str:
        """All of it as text, the same for equal studies."""
        return json.dumps(self._parts(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Study":
        """Read what :meth:`to_json` gave.

        Raises:
            ValueError: It is something else, or of a kind of trial that is not known here.
        """
        try:
            found = json.loads(text)
            kind = KINDS[found["kind"]]
            settings = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in found["settings"].items()
            }
            return cls(kind(**settings), found["fingerprint"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a study that this version can read: {error}") from error

    def differences(self, other: "Study") -> list[str]:
        """In what another study differs, in words; empty where they are equal."""
        ours, theirs = self._parts(), other._parts()
        if ours["kind"] != theirs["kind"]:
            return [f"kind is {ours['kind']}, not {theirs['kind']}"]
        told = []
        for name, value in ours["settings"].items():
            found = theirs["settings"][name]
            if value != found:
                told.append(_difference(name, value, found))
        if not told and self.fingerprint != other.fingerprint:
            told.append("its images have the same names, but other content")
        return told

    def _parts(self) -> dict[str, Any]:
        # Through JSON, so that tuples are the lists that a file gives back.
        settings = json.loads(json.dumps(asdict(self.kind)))  # type: ignore[call-overload]
        return {"kind": self.kind.name, "settings": settings, "fingerprint": self.fingerprint}


def _difference(name: str, ours: Any, theirs: Any) -> str:
    if name == "classes":
        return f"its classes are {', '.join(ours)}, not {', '.join(theirs)}"
    if not isinstance(ours, list):
        return f"{name} is {ours}, not {theirs}"
    if len(ours) != len(theirs):
        return f"it has {len(ours)} {name}, not {len(theirs)}"
    first = next(pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1])
    return f"its {name} are others, as {first[0]}, not {first[1]}"
