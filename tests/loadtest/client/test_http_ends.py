import pytest

from loadtest.client.sending import send
from loadtest.fake_server import OLLAMA_ANSWER, delta, openai_end, stream_of
from sizeup_loadtest.data.record import Api, Outcome


@pytest.mark.parametrize(
    ("api", "piece"), [("openai", delta(content="a")), ("ollama", OLLAMA_ANSWER[0])]
)
def test_a_stream_without_its_final_event_is_truncated(api: Api, piece: bytes) -> None:
    record = send(stream_of(piece), api)
    assert record.outcome is Outcome.TRUNCATED
    assert len(record.chunk_ns) == 1


@pytest.mark.parametrize(
    ("api", "end"),
    [
        ("openai", b"data: [DONE]"),
        ("openai", b"data: [DONE]\n"),
        ("openai", openai_end(1, 1).removesuffix(b"data: [DONE]\n\n")),
        ("ollama", OLLAMA_ANSWER[-1].rstrip(b"\n")),
    ],
)
def test_a_final_event_needs_no_empty_line(api: Api, end: bytes) -> None:
    """No empty line after it, or a finish reason and no [DONE]."""
    chunk = delta(content="a") if api == "openai" else OLLAMA_ANSWER[0]
    record = send(stream_of(chunk, end), api)
    assert (record.outcome, len(record.chunk_ns)) == (Outcome.OK, 1)


@pytest.mark.parametrize("api", ["openai", "ollama"])
def test_an_incomplete_event_is_no_end(api: Api) -> None:
    chunk = delta(content="a") if api == "openai" else OLLAMA_ANSWER[0]
    assert send(stream_of(chunk, chunk[: len(chunk) // 2]), api).outcome is Outcome.TRUNCATED
