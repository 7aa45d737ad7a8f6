"""Items that call a tool, and items that report a tool's result."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tasks import Item, Message, Tool
from words import CITIES, NAMES

VERBS = ("get", "find", "show", "read")
TOPICS = ("weather", "time", "news", "price", "map", "hotel")
PLACE_ARGUMENTS = ("city", "place", "location", "town")
RESULTS = ("sunny", "late", "open", "closed", "near", "full", "good")


def _function(name: str, description: str | None, arguments: dict[str, str]) -> Tool:
    """Return a function tool in OpenAI's format; `arguments` maps names to JSON types."""
    function: dict[str, Any] = {"name": name}
    if description is not None:
        function["description"] = description
    properties = {argument: {"type": kind} for argument, kind in arguments.items()}
    function["parameters"] = {
        "type": "object",
        "properties": properties,
        "required": list(arguments),
    }
    return {"type": "function", "function": function}


def call_text(name: str, arguments: dict[str, Any]) -> str:
    """Return a tool call as formatted by the chat template."""
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def _topic_tool(rng: Random, topic: str) -> tuple[str, str, Tool]:
    """Draw a tool for a topic: its name, its argument's name, its definition."""
    verb, argument = rng.choice(VERBS), rng.choice(PLACE_ARGUMENTS)
    name = f"{verb}_{topic}"
    description = f"{verb} the {topic}" if rng.random() < 0.5 else None
    return name, argument, _function(name, description, {argument: "string"})


def _question(rng: Random, topic: str, city: str) -> str:
    return rng.choice(
        ("What is the {t} in {c}?", "Tell me the {t} in {c}.", "I need the {t} in {c}.")
    ).format(t=topic, c=city)


def tool_one(rng: Random) -> Item:
    """Call the only tool, or the matching one of two, with one argument."""
    topics = rng.sample(TOPICS, rng.randint(1, 2))
    drawn = [_topic_tool(rng, topic) for topic in topics]
    city, (name, argument, _) = rng.choice(CITIES), drawn[0]
    question = _question(rng, topics[0], city)
    tools = [tool for _, _, tool in drawn]
    rng.shuffle(tools)
    messages: tuple[Message, ...] = ({"role": "user", "content": question},)
    answer = call_text(name, {argument: city})
    return Item("tool-one", f"{name}({argument}={city})", messages, answer, tuple(tools))


def tool_two(rng: Random) -> Item:
    """Call a tool that takes a name and a number."""
    verb, thing = (
        rng.choice(("send", "give", "book", "order")),
        rng.choice(("coins", "tickets", "books", "cups")),
    )
    recipient, quantity = (
        rng.choice(("name", "person", "user", "to")),
        rng.choice(("number", "count", "amount", "n")),
    )
    person, number = rng.choice(NAMES), rng.randint(2, 99)
    name = f"{verb}_{thing}"
    tool = _function(name, None, {recipient: "string", quantity: "integer"})
    messages: tuple[Message, ...] = (
        {"role": "user", "content": f"{verb} {number} {thing} for {person}"},
    )
    answer = call_text(name, {recipient: person, quantity: number})
    return Item(
        "tool-two", f"{name}({recipient}={person},{quantity}={number})", messages, answer, (tool,)
    )


def tool_result(rng: Random) -> Item:
    """Report the tool's result in a sentence."""
    topic, city, result = rng.choice(TOPICS), rng.choice(CITIES), rng.choice(RESULTS)
    name, argument, tool = _topic_tool(rng, topic)
    arguments = {argument: city}
    messages: tuple[Message, ...] = (
        {"role": "user", "content": _question(rng, topic, city)},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"type": "function", "function": {"name": name, "arguments": arguments}}
            ],
        },
        {"role": "tool", "content": json.dumps({topic: result})},
    )
    subject = f"{name}({argument}={city}) gave {result}"
    return Item("tool-result", subject, messages, f"The {topic} in {city} is {result}.", (tool,))
