import pytest

from sizeup_gateway.api.ollama.duration import FOREVER, keep_alive_seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (300, 300),
        (0.5, 0.5),
        (-1, FOREVER),
        (10**400, FOREVER),
        (-(10**400), FOREVER),
        ("0", 0),
        ("0s", 0),
        ("300ms", 0.3),
        ("1.5h", 5400),
        ("2h45m", 9900),
        ("10m", 600),
        ("+5s", 5),
        (".5s", 0.5),
        ("5.s", 5),
        ("-1m", FOREVER),
        ("1us1ns", 1.001e-6),
    ],
)
def test_numbers_and_go_durations_are_seconds(value: float | str, seconds: float) -> None:
    assert keep_alive_seconds(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("10", 'time: missing unit in duration "10"'),
        ("1.5", 'time: missing unit in duration "1.5"'),
        ("abc", 'time: invalid duration "abc"'),
        ("", 'time: invalid duration ""'),
        ("5 m", 'time: invalid duration "5 m"'),
        ("1d", 'time: invalid duration "1d"'),
        ("٣s", 'time: invalid duration "٣s"'),
        ("-", 'time: invalid duration "-"'),
        ("m", 'time: invalid duration "m"'),
    ],
)
def test_other_values_are_rejected_with_the_messages_of_go(value: str, text: str) -> None:
    with pytest.raises(ValueError, match="time: ") as error:
        keep_alive_seconds(value)
    assert str(error.value) == text


def test_a_long_value_is_quoted_in_part() -> None:
    with pytest.raises(ValueError, match="invalid duration") as error:
        keep_alive_seconds("1h" * 5000)
    assert len(str(error.value)) < 100
