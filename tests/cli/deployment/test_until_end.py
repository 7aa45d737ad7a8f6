import asyncio

import pytest

from sizeup.deployment.local_deployment import until_end
from sizeup.errors import ChildFailedError


def test_of_children_that_fail_at_once_the_first_is_named() -> None:
    async def fail(name: int) -> None:
        raise ChildFailedError(f"child {name} failed")

    async def scenario() -> None:
        failing = [asyncio.create_task(fail(name)) for name in range(20)]
        stopping = asyncio.create_task(asyncio.Event().wait())
        try:
            with pytest.raises(ChildFailedError, match="child 0 failed"):
                await until_end(stopping, *failing)
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, *failing, return_exceptions=True)

    asyncio.run(scenario())
