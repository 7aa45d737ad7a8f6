from collections.abc import Iterator

import pytest

from cli.client.compare.fake_compare import CompareGateway, running_compare


@pytest.fixture
def comparing() -> Iterator[CompareGateway]:
    with running_compare() as running:
        yield running
