"""Options that the commands of RSVC have in common."""


def classes_given(given: list[str] | None) -> list[str] | None:
    """The classes of a repeated option: several numbers may come in one, 3,7; names may hold commas."""
    if not given:
        return None
    found = []
    for entry in given:
        parts = [part.strip() for part in entry.split(",")]
        found += parts if all(part.isdecimal() for part in parts) else [entry]
    return found
