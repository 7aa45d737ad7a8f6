"""Loads, and the times of their tokens."""

from engine_peers.messages import Load, timing


def test_prompts_are_equal_for_every_peer_and_differ_between_seeds() -> None:
    load = Load(streams=2, prompt=8, tokens=1, seed=1)
    prompts = load.prompts(1000)
    assert prompts == load.prompts(1000)
    assert [len(prompt) for prompt in prompts] == [8, 8]
    assert prompts[0] != prompts[1]
    assert prompts != Load(2, 8, 1, seed=2).prompts(1000)


def test_a_prompt_is_within_the_vocabulary() -> None:
    (prompt,) = Load(1, 100, 1, seed=0).prompts(3)
    assert set(prompt) == {0, 1, 2}


def test_decode_is_measured_while_every_stream_decodes() -> None:
    early, late = [1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]
    times = timing(0.5, [early, late])
    assert times.seconds == 4.5
    assert times.ttft == [0.5, 1.5]
    assert times.decode_tokens == 4
    assert times.decode_seconds == 2.0


def test_streams_that_never_decode_together_have_no_decode_rate() -> None:
    times = timing(0.0, [[1.0, 2.0], [3.0, 4.0]])
    assert times.decode_tokens == 0
    assert times.decode_seconds == 0.0


def test_one_token_has_no_decode_rate() -> None:
    assert timing(0.0, [[1.0], [1.0]]).decode_tokens == 0
