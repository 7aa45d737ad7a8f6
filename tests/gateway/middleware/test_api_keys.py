"""The file of API keys."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.datastructures import Headers

from sizeup_gateway.client_identity import of_address
from sizeup_gateway.middleware.api_keys import ApiKey, ApiKeys, keys_file, parse_keys
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.rate_limits import RateLimits

DEFAULT = RateLimits(requests_per_minute=10, tokens_per_minute=1000)


def keys_of(file: Path) -> ApiKeys:
    keys = ApiKeys({}, DEFAULT)
    keys_file(file, keys, DEFAULT, Metrics(CollectorRegistry()), 1.0).load()
    return keys


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
    assert parse_keys(line, DEFAULT) == {"key": ApiKey(limits)}


def test_a_key_may_have_a_name() -> None:
    found = parse_keys("one name=team-a requests_per_minute=5\ntwo name=b_2.c", DEFAULT)
    assert {key: (one.name, one.limits) for key, one in found.items()} == {
        "one": ("team-a", RateLimits(5, 1000)),
        "two": ("b_2.c", DEFAULT),
    }


def test_keys_of_one_name_are_one_client_with_caches_of_their_own() -> None:
    keys = ApiKeys(parse_keys("one name=a\ntwo name=a\nthree", DEFAULT), DEFAULT)
    one, two, three = (keys.identify(Headers({"x-api-key": k})) for k in ("one", "two", "three"))
    assert one is not None
    assert two is not None
    assert three is not None
    assert one.client == two.client != three.client
    assert len({one.salt, two.salt, three.salt}) == 3


def test_keys_of_one_name_with_different_limits_are_an_error() -> None:
    with pytest.raises(ValueError, match="line 2"):
        parse_keys("one name=a\ntwo name=a requests_per_minute=1", DEFAULT)


def test_a_client_is_at_most_as_long_as_the_field_of_the_wire() -> None:
    keys = ApiKeys(parse_keys(f"secret-key\ntwo name={'n' * 64}", DEFAULT), DEFAULT)
    for key in ("secret-key", "two"):
        client = keys.client_of([(b"x-api-key", key.encode())], "")
        assert "secret" not in client
        assert len(client) <= 128


def test_limits_are_those_of_the_present_keys() -> None:
    keys = ApiKeys(parse_keys("one name=a requests_per_minute=1", DEFAULT), DEFAULT)
    assert keys.limits_of("name:a").requests_per_minute == 1
    keys.replace(parse_keys("two name=a requests_per_minute=2", DEFAULT))
    assert keys.limits_of("name:a").requests_per_minute == 2
    assert keys.identify(Headers({"x-api-key": "one"})) is None
    assert keys.limits_of("address:10.0.0.1") == DEFAULT


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
        "name",
        "name=",
        "name=secret/",
        "name=sécret",
        "name=" + "secret" * 11,
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
        keys_of(file)


def test_without_a_file_there_are_no_keys() -> None:
    keys = ApiKeys({}, DEFAULT)
    assert not keys
    assert keys.client_of([(b"x-api-key", b"key")], "10.0.0.1") == of_address("10.0.0.1")


def test_only_a_valid_key_names_a_client(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("one\ntwo", encoding="utf-8")
    file.chmod(0o600)
    keys = keys_of(file)
    address = of_address("10.0.0.1")
    one = keys.client_of([(b"authorization", b"Bearer one")], "10.0.0.1")
    two = keys.client_of([(b"x-api-key", b"two")], "10.0.0.1")
    assert len({one, two, address}) == 3
    for value in (b"three", b"", b"\xff", b"one two"):
        assert keys.client_of([(b"x-api-key", value)], "10.0.0.1") == address
