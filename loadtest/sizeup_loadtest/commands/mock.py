"""`sizeup-bench mock`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sizeup_loadtest.mock import Behaviour

Seconds = Annotated[float, typer.Option(min=0)]
Share = Annotated[float, typer.Option(min=0, max=1)]
Count = Annotated[int, typer.Option(min=1)]
Sizes = Annotated[
    list[str] | None,
    typer.Option(help="name=mock:7b,ttft=0.3,gap=0.04,parallel=2,... ; once per model."),
]
Kinds = Annotated[list[str], typer.Option(help="busy, unavailable, failed, truncated, timeout, …")]
Answers = Annotated[Path | None, typer.Option(help="JSON object: prompt -> right answer.")]
_KINDS = ["busy", "unavailable", "failed", "truncated"]


def command(
    ttft: Seconds = 0.2,
    gap: Seconds = 0.02,
    jitter: Share = 0,
    parallel: Count = 4,
    tokens: Count = 32,
    tokens_per_chunk: Count = 1,
    ability: Share = 1,
    size: Sizes = None,
    fail_share: Share = 0,
    fail_kind: Kinds = _KINDS,
    role_early: bool = False,
    comments: bool = False,
    answers: Answers = None,
    seed: int = 7,
    host: str = "127.0.0.1",
    port: int = 11434,
) -> None:
    """Serve answers of known speed, failures and ability: what a load test can be checked on."""
    from sizeup_loadtest.errors import UsageError
    from sizeup_loadtest.mock import Behaviour, Size, options

    try:
        default = Size(
            name="mock:1b",
            ttft_seconds=ttft,
            gap_seconds=gap,
            jitter=jitter,
            parallel=parallel,
            tokens=tokens,
            tokens_per_chunk=tokens_per_chunk,
            ability=ability,
        )
        behaviour = Behaviour(
            sizes=tuple(options.size(text, default) for text in size or ["name=mock:1b"]),
            seed=seed,
            failures=options.failures(fail_kind, fail_share),
            role_early=role_early,
            comments=comments,
            answers=options.answers(answers),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    asyncio.run(_serve(behaviour, host, port))


async def _serve(behaviour: "Behaviour", host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    import signal

    from sizeup_loadtest.errors import UsageError
    from sizeup_loadtest.mock import MockServer

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with MockServer(behaviour, host, port) as server:
            typer.echo(server.url)
            await stop.wait()
    except OSError as error:
        raise UsageError(f"{host}:{port}: {error.strerror}") from None
