"""Text from outside in tables, and lists of names in messages."""

import os

from diptych._text import some, storable


def test_what_utf8_can_hold_is_kept_and_names_that_differ_still_do() -> None:
    assert storable("maples — é \U0001f341\0") == "maples — é \U0001f341\0"
    odd = [storable(os.fsdecode(name)) for name in (b"caf\xe9", b"caf\xea")]
    assert odd == ["caf\\udce9", "caf\\udcea"]
    assert [name.encode().decode() for name in odd] == odd


def test_the_first_of_many_names() -> None:
    assert some([]) == ""
    assert some("abcde") == "a, b, c, d, e"
    assert some(iter("abcdefg")) == "a, b, c, d, e and 2 more"
    assert some(map(str, range(1002)), 2, "; ") == "0; 1 and 1,000 more"
