import asyncio
import threading

from sizeup_inference.engine.protocol import Admitted, Cancelled, Failed, Finish, Token
from sizeup_inference.requests.mailbox import Interrupted, Mailboxes, MailboxEvent
from sizeup_wire.errors import ErrorCode

DEADLINE_SECONDS = 10.0


def token(request_id: str, number: int, *, choice: int = 0, last: bool = False) -> Token:
    return Token(request_id, choice, number, number, Finish.LENGTH if last else None)


def ignore() -> None:
    """An on_overflow callback without effect."""


def test_events_arrive_in_order_per_request() -> None:
    async def scenario() -> dict[str, list[int]]:
        mailboxes = Mailboxes(asyncio.get_running_loop())
        names = [f"r{i}" for i in range(20)]
        got: dict[str, list[int]] = {name: [] for name in names}

        def engine() -> None:
            for number in range(50):
                mailboxes.deliver([token(name, number, last=number == 49) for name in names])

        async def read(name: str) -> None:
            with mailboxes.open(name, choices=1, on_overflow=ignore) as box:
                while len(got[name]) < 50:
                    for event in await box.take():
                        assert isinstance(event, Token)
                        got[name].append(event.token_id)

        readers = [asyncio.create_task(read(name)) for name in names]
        await asyncio.sleep(0)  # every mailbox is open before the engine delivers
        thread = threading.Thread(target=engine)
        thread.start()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.gather(*readers)
        thread.join()
        assert len(mailboxes) == 0
        return got

    got = asyncio.run(scenario())
    assert all(numbers == list(range(50)) for numbers in got.values())


def take_all(
    *events: Admitted | Token | Cancelled | Failed, choices: int = 1
) -> list[MailboxEvent]:
    async def scenario() -> list[MailboxEvent]:
        mailboxes = Mailboxes(asyncio.get_running_loop())
        with mailboxes.open("r", choices=choices, on_overflow=ignore) as box:
            mailboxes.deliver(events)
            return list(await box.take())

    return asyncio.run(scenario())


def test_events_after_the_terminal_one_are_dropped() -> None:
    events = take_all(Failed("r", "bug", 1), token("r", 2), Cancelled("r", 3))
    assert events == [Interrupted(ErrorCode.INTERNAL, "bug")]


def test_the_engine_s_end_of_a_request_has_an_error_code() -> None:
    invalid = Failed("r", "too complex", 1, is_invalid=True)
    assert take_all(invalid) == [Interrupted(ErrorCode.INVALID_REQUEST, "too complex")]
    (unexpected,) = take_all(Cancelled("r", 1))
    assert isinstance(unexpected, Interrupted)
    assert unexpected.code is ErrorCode.INTERNAL


def test_a_request_ends_with_its_last_choice() -> None:
    first, second = token("r", 1, choice=0, last=True), token("r", 2, choice=1, last=True)
    assert take_all(first, second, token("r", 3), choices=2) == [first, second]


def test_events_of_other_requests_are_ignored() -> None:
    mine = token("r", 1)
    assert take_all(token("other", 0), mine) == [mine]


def test_a_full_buffer_interrupts_and_cancels() -> None:
    async def scenario() -> tuple[list[MailboxEvent], list[str]]:
        cancelled: list[str] = []
        mailboxes = Mailboxes(asyncio.get_running_loop(), capacity=3)
        with mailboxes.open("r", choices=1, on_overflow=lambda: cancelled.append("r")) as box:
            mailboxes.deliver([token("r", number) for number in range(10)])
            return list(await box.take()), cancelled

    events, cancelled = asyncio.run(scenario())
    assert [event.code for event in events if isinstance(event, Interrupted)] == [
        ErrorCode.SLOW_CONSUMER
    ]
    assert len(events) == 1
    assert cancelled == ["r"]


def test_one_batch_is_one_wake_up() -> None:
    async def scenario() -> list[int]:
        steps: list[int] = []
        mailboxes = Mailboxes(asyncio.get_running_loop(), on_step=steps.append)
        with mailboxes.open("r", choices=1, on_overflow=ignore) as box:
            tokens = [token("r", 1), token("r", 2), token("other", 2)]  # two of a draft model
            mailboxes.deliver([Admitted("r", 0), *tokens])
            await box.take()
        return steps

    assert asyncio.run(scenario()) == [2]


def test_a_closed_loop_does_not_disturb_the_engine() -> None:
    async def make() -> Mailboxes:
        return Mailboxes(asyncio.get_running_loop())

    asyncio.run(make()).deliver([token("r", 1)])


def test_an_interruption_ends_every_request() -> None:
    async def scenario() -> list[MailboxEvent]:
        mailboxes = Mailboxes(asyncio.get_running_loop())
        with mailboxes.open("r", choices=1, on_overflow=ignore) as box:
            mailboxes.interrupt(ErrorCode.INTERNAL, "the engine stopped")
            return list(await box.take())

    assert asyncio.run(scenario()) == [Interrupted(ErrorCode.INTERNAL, "the engine stopped")]
