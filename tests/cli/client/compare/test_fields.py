import pytest

from sizeup.client.compare.fields import Cost, Figures, figures_of, number, text, whole


@pytest.mark.parametrize("value", ["1", None, True, -1, float("nan"), float("inf"), 10**400, [1]])
def test_other_values_are_no_number(value: object) -> None:
    assert number(value) is None
    assert whole(value) is None


def test_numbers_and_texts() -> None:
    assert (number(1), number(0.5), whole(2.0)) == (1.0, 0.5, 2)
    assert (text("a"), text(None), text(3)) == ("a", "", "")


def test_unknown_figures_are_none() -> None:
    assert figures_of({}) == Figures()
    assert figures_of("fast") is None
    assert figures_of({"cost": {"amount": "free"}, "at_once": "many"}) == Figures()


def test_known_figures() -> None:
    found = figures_of({"tokens": 5, "cost": {"amount": 0.1, "currency": "USD"}, "later": 1})
    assert found == Figures(tokens=5, cost=Cost(0.1, "USD"))
