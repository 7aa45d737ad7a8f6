"""The config: what may stand in it, and how mistakes are told."""

from pathlib import Path

import pytest
import yaml

from sizeup_loadtest.config.file import load, parse, scenarios, validate
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.errors import ConfigError


def read(text: str) -> Config:
    return validate(parse(text, "test"), "test")


def mistakes(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize("name", scenarios())
def test_every_scenario_is_right_and_takes_other_sizes(name: str) -> None:
    config = load(name, url="http://there:1/v1/", models=["a", "b"])
    assert config.scenario == name
    assert config.target.url == "http://there:1"
    assert [model.name for model in config.models] == ["a", "b"]


def test_the_scenarios_are_those_the_docs_name() -> None:
    named = {"chat-long", "chat-short", "qwen-speed", "rag", "size-sweep", "smoke"}
    assert named <= set(scenarios())


def test_a_model_may_be_a_bare_name() -> None:
    assert [m.name for m in read("models: [a, {name: b, price_per_hour: 2}]").models] == ["a", "b"]


def test_all_mistakes_are_told_at_once() -> None:
    told = mistakes("models: [a]\nlaod: {}\nload: {blokcs: 3, warmup: -1}\n")
    assert "laod: no such key; did you mean load?" in told
    assert "load.blokcs: no such key; did you mean blocks?" in told
    assert "load.warmup: " in told


def test_a_key_of_a_model_is_corrected_too() -> None:
    told = mistakes("models: [{name: a, price: 2}]")
    assert "models.0.price: no such key" in told
    assert "price_per_hour" in told


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("models: []", "models"),
        ("{}", "models"),
        ("- a", "mapping"),
        ("models: [a]\nmodels: [b]", "twice"),
        ("models: [a, a]", "twice"),
        ("models: [a", "not YAML"),
        ("models: !!python/object:os.system [a]", "not YAML"),
        ("models: [a]\nmax_tokens: '12'", "max_tokens"),
        ("models: [a]\nmax_tokens: 0", "max_tokens"),
        ("models: [a]\nlength: long", "length"),
        ("models: [a]\nload: {closed: 4}", "load.closed"),
        ("models: [a]\nload: {closed: [0]}", "load.closed"),
        ("models: [a]\ntarget: {url: 'localhost:1'}", "target.url"),
        ("models: [a]\ntarget: {api: ollama}", "cannot force a length"),
        ("models: [a]\nprompts: {words: [3]}", "prompts.words"),
        ("models: [a]\nlm_eval: {enabled: true}", "lm_eval: name"),
        (
            "models: [a]\nlm_eval: {enabled: true, likelihood_tasks: [b]}",
            "lm_eval.tokenizer",
        ),
        ("models: [a]\nlimits: {max_minutes: .inf}", "max_minutes"),
        ("models: [a]\nslo: {preset: fast}", "slo.preset"),
    ],
)
def test_a_mistake_names_its_place(text: str, word: str) -> None:
    assert word in mistakes(text)


def test_a_preset_may_be_changed_in_part() -> None:
    slo = read("models: [a]\nslo: {preset: interactive, ttft_seconds: 1}").slo
    assert (slo.ttft_seconds, slo.tpot_seconds) == (1.0, 0.03)


def test_ollama_can_be_asked_with_natural_length() -> None:
    assert read("models: [a]\ntarget: {api: ollama}\nlength: natural").lengths == ("natural",)


def test_the_files_of_a_config_lie_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: [a]\nprompts: {file: p.jsonl}\n")
    config = load(str(file))
    assert (config.scenario, config.prompts.file) == ("mine", str(tmp_path / "p.jsonl"))


def test_which_address_goes_first(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: [a]\ntarget: {url: 'http://file:1'}\n")
    assert load(str(file), fallback_url="http://env:1").target.url == "http://file:1"
    assert load(str(file), url="http://cli:1").target.url == "http://cli:1"
    assert load("smoke", fallback_url="http://env:1").target.url == "http://env:1"


def test_sizes_of_the_command_line_keep_their_price(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: [a, {name: b, price_per_hour: 2}]\n")
    prices = [model.price_per_hour for model in load(str(file), models=["b", "c"]).models]
    assert prices == [2.0, None]


@pytest.mark.parametrize("name", ["nowhere", "no/where.yaml"])
def test_a_config_that_is_not_there_names_the_scenarios(name: str) -> None:
    with pytest.raises(ConfigError, match="smoke"):
        load(name)


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        load(str(file))


def test_a_config_survives_being_written(tmp_path: Path) -> None:
    config = load("size-sweep")
    assert Config.model_validate_json(config.model_dump_json()) == config
    file = tmp_path / "size-sweep.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load(str(file)) == config
