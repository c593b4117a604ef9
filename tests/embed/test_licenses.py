"""One spelling for a licence that is written in many ways."""

import pytest

from diptych.embed.licenses import ALL_RIGHTS_RESERVED, OPEN_LICENSES, license_name, wanted_licenses


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC-BY-NC", "CC BY-NC"),
        ("cc-by-nc-sa 4.0", "CC BY-NC-SA"),
        ("CC BY v3.0 DE", "CC BY"),
        ("https://creativecommons.org/licenses/by-nd/4.0/", "CC BY-ND"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("cc_by_sa", "CC BY-SA"),
        ("CC0", "CC0"),
        ("cc-0", "CC0"),
        (" GFDL ", "GFDL"),
        ("CC", "CC"),
        ("", ALL_RIGHTS_RESERVED),
        ("C", ALL_RIGHTS_RESERVED),
        ("All rights reserved", ALL_RIGHTS_RESERVED),
    ],
)
def test_the_usual_name(text: str, name: str) -> None:
    assert license_name(text) == name


def test_open_licences_are_wanted_by_default() -> None:
    assert wanted_licenses(None) == set(OPEN_LICENSES)
    assert {license_name(name) for name in OPEN_LICENSES} == set(OPEN_LICENSES)
    assert wanted_licenses(("cc-by", "GFDL")) == {"CC BY", "GFDL"}
