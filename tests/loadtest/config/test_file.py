"""Config files: lookup, strict parsing, and errors that name the key."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

import sizeup_loadtest as loadtest_package
from sizeup_loadtest.config.file import load, parse, scenarios, subsection, validate
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.errors import ConfigError, UsageError


def read(text: str) -> Config:
    return validate(parse(text, "test"), "test")


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize("name", scenarios())
def test_bundled_scenarios_are_valid_with_other_models(name: str) -> None:
    config = load(name, urls=["http://host:1/v1/"], models=["a", "b"])
    assert config.scenario == name
    assert config.target.url == "http://host:1"
    assert [model.name for model in config.models] == ["a", "b"]


def test_documented_scenarios_exist() -> None:
    named = {"chat-long", "chat-short", "qwen-speed", "rag", "size-sweep", "smoke"}
    assert named <= set(scenarios())


def test_a_model_can_be_a_plain_string() -> None:
    assert [m.name for m in read("models: [a, {name: b, price_per_hour: 2}]").models] == ["a", "b"]


@pytest.mark.parametrize("number", ["7.6e9", "7.6E+9", "76e8", "+7.6e09", "7600000000.0"])
def test_numbers_with_exponents_are_numbers(number: str) -> None:
    config = read(f"models: [{{name: a, parameters: {number}}}]")
    assert config.models[0].parameters == 7.6e9


@pytest.mark.parametrize(
    "text",
    [
        "models: &x [*x]",
        "models: &x {a: *x}",
        "models: " + "[" * 5_000,
        "? [a, b]\n: 3",
        "models: [a\n",
        "models: '\x01'",
        'models: ["half \\ud800"]',
    ],
)
def test_what_cannot_be_read_is_one_line(text: str) -> None:
    assert "\n" not in problems(text)


def test_a_duplicate_key_is_named_with_its_line() -> None:
    assert "line 3: duplicate key 'models'" in problems("models: [a]\nload: {}\nmodels: [b]\n")


def test_all_problems_are_reported_together() -> None:
    message = problems("models: [a]\nlaod: {}\nload: {blokcs: 3, warmup: -1}\n")
    lines = [line.split(": ")[0].strip() for line in message.splitlines()[1:]]
    assert sorted(lines) == ["laod", "load.blokcs", "load.warmup"]
    assert "did you mean load?" in message


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("max_tokens: {maen: 3}", "max_tokens.maen: unknown key; did you mean mean?"),
        ("max_tokens: 0", "max_tokens: "),
        ("target: ", "target: "),
        ("max_tokens: {mean: 5, min: 9}", "max_tokens: "),
        ("prompts: {set: text, words: {mean: 9, x: 3}}", "prompts.words.x: unknown key"),
        ("prompts: {set: text, words: [0]}", "prompts.words.0: "),
        ("prompts: {words: {mean: 9}}", "prompts.words: "),
        ("prompts: {shared_prefix: {}}", "prompts.shared_prefix.words: "),
        ("load: {trace: {file: x, format: csv, sped: 2}}", "load.trace.sped: unknown key; did"),
        ("load: {open: {arrival: trace}}", "load.open.arrival: "),
    ],
)
def test_lengths_and_traces_are_checked_by_key(text: str, start: str) -> None:
    line, *others = problems(f"models: [a]\n{text}\n").splitlines()[1:]
    assert line.strip().startswith(start)
    assert not others


def test_a_config_with_distributions_is_read_again() -> None:
    words = "{distribution: lognormal, mean: 200, stdev: 90, max: 900}"
    config = read(f"models: [a]\nmax_tokens: {{mean: 9}}\nprompts: {{set: text, words: {words}}}")
    assert validate(config.model_dump(mode="json"), "again") == config


def test_an_unknown_key_of_a_model_is_corrected() -> None:
    message = problems("models: [{name: a, price: 2}]")
    assert "models.0.price: " in message
    assert "price_per_hour" in message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("models: []", "models"),
        ("{}", "models"),
        ("- a", "mapping"),
        ("models: [a]\nmodels: [b]", "duplicate"),
        ("models: [a, a]", "duplicate"),
        ("models: [a", "YAML"),
        ("models: !!python/object:os.system [a]", "YAML"),
        ("models: [a]\nmax_tokens: '12'", "max_tokens"),
        ("models: [a]\nmax_tokens: 0", "max_tokens"),
        ("models: [a]\nlength: long", "length"),
        ("models: [a]\nload: {closed: 4}", "load.closed"),
        ("models: [a]\nload: {closed: [0]}", "load.closed"),
        ("models: [a]\ntarget: {url: 'ftp://localhost:1'}", "target.url: unknown scheme ftp"),
        ("models: [{name: a, url: 'http://u:p@host'}]", "models.0.url: a URL with credentials"),
        ("models: plain", "models: a list of names"),
        ("models: [{name: a, label: b}]", "models.0.label: unknown key"),
        ("models: [{name: a, price_per_hour: -1}]", "price_per_hour"),
        ("models: [{name: a, headers: {'a b': c}}]", "models.0.headers"),
        ('models: [{name: a, headers: {a: "b\\nc"}}]', "models.0.headers"),
        ("models: [a]\ntarget: {extra_body: {max_tokens: 5}}", "max_tokens"),
        ("models: [a]\ntarget: {extra_body: {n: 2}}", "extra_body"),
        ("models: [a]\ntarget: {extra_body: {options: {num_predict: 5}}}", "options.num_predict"),
        ("models: [a]\nrequirements: {ability: 60}", "requirements.ability: a fraction, not a p"),
        ("models: [a]\nrequirements: {tok_s_user: -4}", "requirements.tok_s_user"),
        ("models: [a]\nslo: {attainment: 95}", "0.95"),
        ("models: [a]\nload: {closed: []}", "nothing to measure"),
        ("models: [a]\nprompts: {words: [3]}", "prompts.words"),
        ("models: [a]\nlm_eval: {enabled: true}", "lm_eval"),
        ("models: [a]\nlimits: {max_minutes: .inf}", "max_minutes"),
        ("models: [a]\nslo: {preset: fast}", "slo.preset"),
    ],
)
def test_an_error_names_its_key(text: str, word: str) -> None:
    assert word in problems(text)


def test_a_preset_can_be_overridden_in_part() -> None:
    slo = read("models: [a]\nslo: {preset: interactive, ttft_seconds: 1}").slo
    assert (slo.ttft_seconds, slo.tpot_seconds) == (1.0, 0.03)


@pytest.mark.parametrize("length", ["until_eos", "fixed", "both"])
def test_ollama_generates_until_eos(length: str) -> None:
    """So do the other models of the run, which are compared with it."""
    config = read(f"models: [a, {{name: b, api: ollama}}]\nlength: {length}")
    assert (config.lengths, config.ollama_models) == (("until_eos",), ("b",))


@pytest.mark.parametrize(
    "text", ["models: plain", "models: [{name: a, prize: 2}]", "models: [{name: a, label: b}, c]"]
)
def test_a_mistake_in_the_models_is_one_problem(text: str) -> None:
    assert len(problems(text).splitlines()) == 2


@pytest.mark.parametrize(
    ("url", "fallback", "source"),
    [("ftp://a", None, "--url: "), (None, "http://a:b@c", "SIZEUP_URL: ")],
)
def test_a_url_that_is_not_of_the_file_blames_its_source(
    url: str | None, fallback: str | None, source: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load("smoke", urls=[url] if url else [], fallback_url=fallback)
    assert str(caught.value).startswith(source)
    assert "a:b" not in str(caught.value)


def test_only_enables_the_given_phases() -> None:
    def enabled(*only: str) -> tuple[bool, bool, bool]:
        config = load("size-sweep", only=only)
        return bool(config.load.closed), config.capacity.enabled, config.ability.enabled

    assert enabled() == (True, True, True)
    assert enabled("speed") == (True, False, False)
    assert enabled("capacity", "ability") == (False, True, True)


def test_every_key_is_read() -> None:
    """A key that nothing reads would be accepted, and change nothing."""
    package = Path(loadtest_package.__file__).parent
    code = "".join(
        file.read_text(encoding="utf-8")
        for file in package.rglob("*.py")
        if file.parent.name != "config" or file.name == "schema.py"
    )
    read = set(re.findall(r"\.(\w+)", code)) | set(re.findall(r'\bget\("(\w+)', code))
    assert {key for section in sections(Config) for key in section.model_fields} - read == set()


def sections(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield section
    for key in section.model_fields:
        if inner := subsection(section, key):
            yield from sections(inner)


def test_files_are_relative_to_the_config(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "models: [{name: a, verify: ca.pem}]\nprompts: {file: p.jsonl}\n"
        "load: {trace: {file: t.csv, format: csv}}\n"
    )
    config = load(str(file))
    assert (config.scenario, config.prompts.file) == ("mine", str(tmp_path / "p.jsonl"))
    assert config.models[0].verify == str(tmp_path / "ca.pem")
    assert config.load.trace
    assert config.load.trace.file == str(tmp_path / "t.csv")


def test_precedence_of_urls(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: [a]\ntarget: {url: 'http://file:1'}\n")
    assert load(str(file), fallback_url="http://env:1").target.url == "http://file:1"
    assert load(str(file), urls=["http://cli:1"]).target.url == "http://cli:1"
    assert load("smoke", fallback_url="http://env:1").target.url == "http://env:1"


def test_models_of_the_command_line_keep_their_price(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: [a, {name: b, price_per_hour: 2}]\n")
    prices = [model.price_per_hour for model in load(str(file), models=["b", "c"]).models]
    assert prices == [2.0, None]


@pytest.mark.parametrize("name", ["nowhere", "no/where.yaml"])
def test_a_missing_config_lists_the_scenarios(name: str) -> None:
    with pytest.raises(ConfigError, match="smoke"):
        load(name)


def test_a_binary_file_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        load(str(file))


def test_a_config_round_trips(tmp_path: Path) -> None:
    config = load("size-sweep")
    assert Config.model_validate_json(config.model_dump_json()) == config
    file = tmp_path / "size-sweep.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load(str(file)) == config
