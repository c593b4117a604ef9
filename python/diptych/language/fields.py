"""Reading named fields out of a model's answer."""

import re
from collections.abc import Sequence


def parse_fields(answer: str, names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Find "Name: text" for each name; a text runs on until the next name's line.

    Case, bullets, numbers and the asterisks of Markdown round a name do not matter, nor does what stands
    before the first one.

    Args:
        answer: What a chat model said.
        names: Names of the fields, in the order asked for.

    Returns:
        The fields found, without those that are empty or given twice; and in words what is wrong, of
        which there is nothing in a well-formed answer.

    Complexity:
        O(length) time and memory.
    """
    alternatives = "|".join(r"\s+".join(map(re.escape, name.split())) for name in names)
    heading = re.compile(
        rf"^[ \t>#*+\-]*(?:\d{{1,3}}[.)][ \t]*)?[*_]{{0,3}}({alternatives})[*_]{{0,3}}[ \t]*:[*_]{{0,3}}",
        re.IGNORECASE | re.MULTILINE,
    )
    canonical = {" ".join(name.split()).casefold(): name for name in names}
    found: dict[str, list[str]] = {}
    headings = list(heading.finditer(answer))
    for number, match in enumerate(headings):
        end = headings[number + 1].start() if number + 1 < len(headings) else len(answer)
        name = canonical[" ".join(match[1].split()).casefold()]
        found.setdefault(name, []).append(answer[match.end() : end].strip())
    fields, problems = {}, []
    for name in names:
        texts = found.get(name, [])
        if len(texts) == 1 and texts[0]:
            fields[name] = texts[0]
        else:
            reason = "is missing" if not texts else "is empty" if len(texts) == 1 else "is given twice"
            problems.append(f"{name} {reason}")
    return fields, problems
