"""What the page, Markdown, CSV and the terminal show of stops, errors, loads and wrong answers."""

import csv as standard_csv
import io
import re

import pytest
from rich.console import Console

from loadtest import sample_results as sample
from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import verdict
from sizeup_loadtest.data.ability import WrongAnswer
from sizeup_loadtest.data.results import (
    Estimate,
    MeanAndMax,
    ModelResult,
    Requirements,
    Results,
    ServerMetrics,
    ServerResult,
    TurnResult,
)
from sizeup_loadtest.report import csv, html, markdown, terminal
from sizeup_loadtest.report.charts import chart
from sizeup_loadtest.report.charts.chart import Axis, Bound, Point, Series
from sizeup_loadtest.report.views import ability, cards, commands, load, page, reference, validity
from sizeup_loadtest.report.views.blocks import Facts, Grid, Samples, Section, Table

FULL, STOPPED = sample.results(), sample.stopped()


def with_stage(**update: object) -> Results:
    """Return the full run with a change of the first stage of its first model."""
    first = FULL.models[0]
    stages = (first.stages[0].model_copy(update=update), *first.stages[1:])
    return with_first(first.model_copy(update={"stages": stages}))


def with_first(model: ModelResult) -> Results:
    return FULL.model_copy(update={"models": (model, *FULL.models[1:])})


def stage_table(run: Results) -> Table:
    section = load.section(run)
    assert section
    [table] = [b for b in section.blocks if isinstance(b, Table) and b.heads[0] == "Model|load"]
    return table


def shown(run: Results) -> str:
    stream = io.StringIO()
    terminal.show(run, Console(file=stream, width=80, color_system=None))
    return stream.getvalue()


def test_a_stopped_run_says_so_first_everywhere() -> None:
    for text in (html.render(STOPPED), markdown.render(STOPPED), shown(STOPPED)):
        assert text.index("stopped after 20 %") < text.index("tokens/s")
    assert not list(validity.banners(FULL))


def test_what_was_not_measured_has_its_reason_and_its_command() -> None:
    found = {one.what: one for one in commands.all_missing(STOPPED)}
    assert {one.reason for one in found.values()} == {commands.STOPPED}
    assert list(found) == ["capacity", "ability"]
    assert not commands.all_missing(FULL)
    disabled = STOPPED.model_copy(update={"config": {}})
    assert commands.STOPPED not in {one.reason for one in commands.all_missing(disabled)}


def test_a_command_quotes_what_a_shell_would_read() -> None:
    run = STOPPED.model_copy(update={"target": "http://h/;rm", "scenario": "mine"})
    assert commands.command(run, "capacity").endswith(
        "--scenario mine.yaml --url 'http://h/;rm' --models "
        "qwen2.5:0.5b,qwen2.5:1.5b,qwen2.5:3b,qwen2.5:7b,qwen2.5:14b"
    )


def test_a_command_leaves_models_at_their_own_servers() -> None:
    config = {"models": [{"name": "a", "url": "http://a"}, {"name": "b", "url": None}]}
    run = STOPPED.model_copy(update={"config": config, "target": "http://a, http://b"})
    own = commands.command(run.model_copy(update={"scenario": "mine"}), "ability")
    assert "--url" not in own
    assert "--url http://a,http://b " in commands.command(run, "ability")


def test_nothing_is_called_smallest_or_larger_where_sizes_are_not_known() -> None:
    text = re.sub(r"<(script|style).*?</\1>", "", html.render(STOPPED), flags=re.DOTALL)
    assert not re.findall(r"(?i)smallest|(?:smaller|larger) model|one size (?:up|down)", text)
    assert "Listed after" in text


def test_without_requirements_nothing_passes_anywhere() -> None:
    run = FULL.model_copy(update={"verdict": verdict.decide(FULL.models, Requirements())})
    assert {card.mark for card in page.view(run).cards} == {cards.VERDICTS[""]}
    for text in (markdown.render(run), shown(run)):
        assert not set(text) & set("✓✗")
    rows = standard_csv.DictReader(io.StringIO(csv.render(run)))
    assert {r["value"] for r in rows if r["metric"] == "meets_requirements"} == {""}


def test_passes_are_the_same_everywhere() -> None:
    assert FULL.verdict
    passes = [bool(check.passes) for check in FULL.verdict.checks]
    marks = ["✓" if passed else "✗" for passed in passes]
    assert [card.mark[0] for card in page.view(FULL).cards] == marks
    assert re.findall("[✓✗]", shown(FULL)) == marks
    rows = standard_csv.DictReader(io.StringIO(csv.render(FULL)))
    values = [r["value"] for r in rows if r["metric"] == "meets_requirements"]
    assert values == [str(int(passed)) for passed in passes]


def test_a_card_has_p95_and_the_first_answer_token_of_a_model_that_thinks() -> None:
    first = FULL.models[0].stages[0].ttft
    assert first
    answer = first.model_copy(update={"p50": 2.5})
    run = with_stage(answer_ttft=answer)
    [cell] = [c.cell for c in page.view(run).cards[0].criteria if c.name == "First token"]
    assert first.p50
    assert first.p95
    assert cell.text == formatting.seconds(first.p50)
    assert cell.note == f"p50, p95 {formatting.seconds(first.p95)}, answer 2.50 s".replace(
        " m", "\u00a0m"
    ).replace("p95 ", "p95\u00a0").replace("answer 2.50 s", "answer\u00a02.50\u00a0s")
    assert "First answer token|p50" in stage_table(run).heads
    assert "First answer token|p50" not in stage_table(FULL).heads


def test_errors_have_their_causes_and_stages_their_reasons() -> None:
    run = with_stage(
        errors={"failed": 9},
        frequent_errors=(("connection refused", 8), ("reset", 1)),
        invalid_reason="9 of 80 requests failed",
    )
    row = dict(zip(stage_table(run).heads[1:], stage_table(run).rows[0].cells, strict=True))
    assert (row["Errors"].text, row["Valid"].note) == ("9", "9 of 80 requests failed")
    for text in (html.render(run), markdown.render(run), shown(run)):
        assert "8 × connection refused; 1 × reset" in text
    assert "1 user, fixed length: 9 of 80 requests failed" in html.render(run)


def test_metrics_of_the_server_are_beside_the_stage() -> None:
    run = with_stage(server_metrics=ServerMetrics(kv_usage=MeanAndMax(mean=0.31, max=0.8)))
    row = dict(zip(stage_table(run).heads[1:], stage_table(run).rows[0].cells, strict=True))
    assert row["KV cache|in use, mean"].text == "31 %"
    assert row["KV cache|in use, mean"].note == "at most 80 %"
    assert "Queue|of the server, mean" not in row
    assert "server/kv_usage/max,,0.8" in csv.render(run)


def test_the_turns_of_conversations_are_rows() -> None:
    first = FULL.models[0].stages[0]
    turns = tuple(
        TurnResult(
            turn=turn, n=40, failed=turn - 1, prompt_tokens=sample.estimate(90.0 * turn),
            cached_tokens=None, ttft=first.ttft,
        )
        for turn in (1, 2)
    )  # fmt: skip
    section = load.section(with_stage(turns=turns))
    assert section
    table = section.blocks[-1]
    assert isinstance(table, Table)
    rows = [[row.detail, *(cell.text for cell in row.cells[:4])] for row in table.rows]
    assert rows == [
        ["1 user, fixed length, turn 1", "40", "0", "90.0", None],
        ["1 user, fixed length, turn 2", "40", "1", "180", None],
    ]


def test_the_environment_names_the_server_of_every_model() -> None:
    server = ServerResult(
        url="http://a", model="org/m", api="openai", adaptations=("no ignore_eos",)
    )
    run = with_first(FULL.models[0].model_copy(update={"server": server}))
    [facts] = reference.environment(run).blocks
    assert isinstance(facts, Facts)
    assert ("qwen2.5:0.5b server", "org/m at http://a (openai); no ignore_eos") in facts.rows


def wrong_run(*kept: str, misses: int = 3, asked: int = 10) -> Results:
    """Return a run with the wrong answers that two models kept, in the order of the questions.

    The first has `misses` wrong of `asked`; the second has kept all of its own, of 10.
    """
    models = []
    for model, names, wrong, n in zip(
        FULL.models, kept, (misses, len(kept[1])), (asked, 10), strict=False
    ):
        assert model.ability
        answers = tuple(
            WrongAnswer(question=q, expected="4", answer=f"a {q}", kind="sums", parsed=q != "b")
            for q in names
        )
        score = model.ability.overall.model_copy(update={"n": n, "successes": n - wrong})
        graded = model.ability.model_copy(update={"wrong": answers, "overall": score})
        models.append(model.model_copy(update={"ability": graded}))
    return FULL.model_copy(update={"models": tuple(models)})


def wrong_answers(run: Results) -> dict[str, list[str]]:
    """Return the answers of both models by question."""
    section = ability.section(run)
    assert section
    [samples] = [block for block in section.blocks if isinstance(block, Samples)]
    assert {sample.expected for sample in samples.items} == {"4"}
    return {sample.prompt: [text for _, text, _ in sample.outputs] for sample in samples.items}


def test_wrong_answers_are_side_by_side() -> None:
    unparsed = "✗ (no answer recognised) a b"
    assert wrong_answers(wrong_run("abc", "b")) == {
        "a": ["✗ a a", "✓"], "b": [unparsed, unparsed], "c": ["✗ a c", "✓"],
    }  # fmt: skip


def test_an_answer_is_called_correct_only_where_that_is_known() -> None:
    """The first model kept two wrong answers of three, of which the last is to question c."""
    found = wrong_answers(wrong_run("ac", "bcd"))
    assert (found["b"][0], found["d"][0]) == ("✓", "(not kept)")


def test_a_question_that_was_not_asked_is_not_called_correct() -> None:
    found = wrong_answers(wrong_run("ac", "bcd", misses=2, asked=5))
    assert (found["b"][0], found["d"][0]) == ("✓", "(not kept)")
    assert wrong_answers(wrong_run("ac", "bcd", misses=2))["d"][0] == "✓"


@pytest.mark.parametrize("name", ["m", "Qwen/Qwen2.5-7B-Instruct-with-a-very-long-name-of-a-tune"])
def test_the_summary_fits_80_columns_without_cutting_a_figure(name: str) -> None:
    capacity = FULL.models[0].capacity
    assert capacity
    opened = capacity.model_copy(update={"mode": "open", "max_load": 2.5})
    run = with_first(FULL.models[0].model_copy(update={"name": name, "capacity": opened}))
    lines = shown(run).split("The smallest")[0].splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    assert "requests/s" in text
    assert "186–197" in text


def test_the_summary_of_a_fast_model_fits_80_columns() -> None:
    first = FULL.models[0]
    assert first.capacity
    assert first.cost
    capacity = first.capacity.model_copy(
        update={"mode": "closed", "max_load": 1152, "bounded_by_limit": True}
    )
    million = Estimate(value=0.00144)
    cost = first.cost.model_copy(update={"per_million_output_tokens": million})
    speed = Estimate(value=14_257, low=13_688, high=14_914)
    stages = tuple(s.model_copy(update={"tok_s_user": speed}) for s in first.stages)
    changed = {"capacity": capacity, "cost": cost, "stages": stages}
    lines = shown(with_first(first.model_copy(update=changed))).split("The smallest")[0]
    assert max(len(line.rstrip()) for line in lines.splitlines()) <= 80
    for figure in ("1,152", "users", "13,688–14,914", "$0.0014"):
        assert figure in lines


def charts(section: Section | None) -> list[str]:
    assert section
    [grid] = [block for block in section.blocks if isinstance(block, Grid)]
    return [str(chart) for chart in grid.charts]


def test_load_charts_have_users_across() -> None:
    speed, first, total = charts(load.section(FULL))
    assert all(">users, log scale</text>" in drawn for drawn in (speed, first, total))
    assert "TTFT p95" in first
    assert (first.count("max load"), total.count("max load")) == (10, 0)  # tips and description
    assert (first.count(", knee 18"), total.count(", knee 18")) == (0, 15)


def test_an_open_loop_has_requests_per_second_across() -> None:
    models = tuple(
        m.model_copy(update={"capacity": m.capacity.model_copy(update={"mode": "open"})})
        for m in FULL.models
        if m.capacity
    )
    drawn = charts(load.section(FULL.model_copy(update={"models": models})))
    assert all(">requests/s, log scale</text>" in one for one in drawn)
    assert "8 requests/s" in drawn[0]


def test_a_bound_shades_the_accepted_side_of_each_axis() -> None:
    series = [Series("a", "s0", (Point(1, 0.5, "a"),)), Series("b", "s1", (Point(3, 0.9, "b"),))]

    def shaded(at_most: float | None, at_least: float | None) -> list[float]:
        x = Axis("x", formatting.tick, range=(0, 4), bound=Bound("x", at_most, is_minimum=False))
        y = Axis("y", formatting.percent, range=(0, 1), bound=Bound("y", at_least))
        drawn = str(chart.draw("k", "t", (500, 300), series, x, y, joined=False))
        assert ('visibility="hidden"' in drawn) is (at_most is None and at_least is None)
        [rect] = re.findall(r'<rect x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)" class', drawn)
        return [float(number) for number in rect]

    left, top, width, height = shaded(None, None)
    assert shaded(1, None) == [left, top, width / 4, height]
    assert shaded(None, 0.75) == [left, top, width, height / 4]
    assert shaded(9, -1) == [left, top, width, height]


def test_a_chart_without_points_is_not_drawn() -> None:
    axis = Axis("x", formatting.tick)
    assert chart.draw("k", "t", (500, 300), [Series("a", "s0", ())], axis, axis) is None


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0 s"), (99, "99 s"), (101, "2 min"), (7260, "2 h 1 min")]
)
def test_the_time_left_is_written_in_whole_units(seconds: float, written: str) -> None:
    assert formatting.clock(seconds) == written


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("closed-1-until_eos", "1 user, until EOS"),
        ("closed-16-fixed-in1500", "16 users, fixed length, 1500 words"),
        ("open-2.5-fixed", "2.5 requests/s, fixed length"),
        ("capacity-closed-8", "capacity search, 8 users"),
        ("warm-up", "warm-up"),
    ],
)
def test_the_key_of_a_stage_is_written_in_words(key: str, words: str) -> None:
    assert formatting.stage_key(key) == words
