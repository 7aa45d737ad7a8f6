"""The file of API keys."""

from pathlib import Path

import pytest

from sizeup_gateway.client_identity import name_of, name_of_key
from sizeup_gateway.middleware.api_keys import parse_keys, read_keys
from sizeup_gateway.rate_limits import RateLimits

DEFAULT = RateLimits(requests_per_minute=10, tokens_per_minute=1000)


@pytest.mark.parametrize(
    ("line", "limits"),
    [
        ("key", DEFAULT),
        ("  key\t", DEFAULT),
        ("key requests_per_minute=5", RateLimits(5, 1000)),
        ("key  tokens_per_minute=7\tconcurrent_requests=2", RateLimits(10, 7, 2)),
        ("key requests_per_minute=0 tokens_per_minute=0", RateLimits()),
    ],
)
def test_a_key_has_the_default_limits_but_for_its_own(line: str, limits: RateLimits) -> None:
    assert parse_keys(line, DEFAULT) == {"key": limits}


def test_blank_lines_and_comments_are_no_keys() -> None:
    text = "# of the team\n\nfirst#key\n   # second requests_per_minute=1\nthird\r\n"
    assert list(parse_keys(text, DEFAULT)) == ["first#key", "third"]


@pytest.mark.parametrize(
    "setting",
    [
        "secret",
        "secret=1",
        "requests_per_minute",
        "requests_per_minute=",
        "requests_per_minute=-1",
        "requests_per_minute=1.5",
        "requests_per_minute=secret",
        "requests_per_minute=٣",
        "requests_per_minute=1000000001",
        "requests_per_minute=" + "9" * 5000,
        "requests_per_minute = 5",
        "# secret",
    ],
)
def test_an_invalid_setting_is_an_error_that_names_the_line_and_quotes_nothing(
    setting: str,
) -> None:
    with pytest.raises(ValueError, match="line 2") as raised:
        parse_keys(f"first\nsecret-key {setting}", DEFAULT)
    assert "secret" not in str(raised.value)


def test_an_error_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("key limit=1", encoding="utf-8")
    with pytest.raises(ValueError, match=str(file)):
        read_keys(file, DEFAULT)


def test_without_a_file_there_are_no_keys() -> None:
    keys = read_keys(None, DEFAULT)
    assert not keys
    assert keys.client_of([(b"x-api-key", b"key")], "10.0.0.1") == name_of(None, "10.0.0.1")


def test_only_a_valid_key_names_a_client(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("one\ntwo", encoding="utf-8")
    file.chmod(0o600)
    keys = read_keys(file, DEFAULT)
    one, two = name_of_key("one"), name_of_key("two")
    assert keys.client_of([(b"authorization", b"Bearer one")], "10.0.0.1") == one
    assert keys.client_of([(b"x-api-key", b"two")], "10.0.0.1") == two
    for value in (b"three", b"", b"\xff", b"one two"):
        assert keys.client_of([(b"x-api-key", value)], "10.0.0.1") == name_of(None, "10.0.0.1")
