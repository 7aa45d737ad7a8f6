"""curl, in the forms of the documentation of Ollama and OpenAI."""

import json
import subprocess
from typing import Any

from clients import questions as q


class TestOllama:
    """Without a Content-Type of JSON: `curl .../api/chat -d '{...}'`."""

    def test_models(self, url: str) -> None:
        models = json.loads(curl(f"{url}/api/tags"))["models"]
        assert q.MODEL in [model["name"] for model in models]
        assert json.loads(curl(f"{url}/api/show", model=q.MODEL))["model_info"]
        assert curl("--head", url).startswith("HTTP/1.1 200")

    def test_chat(self, url: str) -> None:
        assert chatted(url)["message"]["content"] == q.ANSWER
        text = curl(
            f"{url}/api/generate", model=q.MODEL, prompt=q.QUESTION, stream=False, options=GREEDY
        )
        assert json.loads(text)["response"] == q.ANSWER

    def test_stream(self, url: str) -> None:
        text = curl(f"{url}/api/chat", model=q.MODEL, messages=q.asked(q.COUNT), options=GREEDY)
        parts = [json.loads(line) for line in text.splitlines()]
        assert "".join(part["message"]["content"] for part in parts) == q.COUNTED
        assert [part["done"] for part in parts] == [False] * (len(parts) - 1) + [True]

    def test_system(self, url: str) -> None:
        reply = chatted(url, messages=q.asked(q.SYSTEM_QUESTION, q.SYSTEM))
        assert reply["message"]["content"] == q.SYSTEM_ANSWER

    def test_tools(self, url: str) -> None:
        messages = q.asked(q.WEATHER_QUESTION)
        message = chatted(url, messages=messages, tools=[q.TOOL])["message"]
        (call,) = message["tool_calls"]
        result = q.get_weather(**call["function"]["arguments"])
        messages += [message, {"role": "tool", "tool_name": "get_weather", "content": result}]
        final = chatted(url, messages=messages, tools=[q.TOOL])
        assert final["message"]["content"] == q.WEATHER_ANSWER

    def test_tool_stream(self, url: str) -> None:
        messages = q.asked(q.WEATHER_QUESTION)
        body = {"model": q.MODEL, "messages": messages, "tools": [q.TOOL], "options": GREEDY}
        parts = [json.loads(line) for line in curl(f"{url}/api/chat", **body).splitlines()]
        (call,) = [call for part in parts for call in part["message"].get("tool_calls", ())]
        assert call["function"]["arguments"] == q.ARGUMENTS

    def test_schema(self, url: str) -> None:
        assert q.is_answer(json.loads(chatted(url, format=q.SCHEMA)["message"]["content"]))

    def test_embeddings(self, url: str) -> None:
        reply = json.loads(curl(f"{url}/api/embed", model=q.MODEL, input=[q.QUESTION, q.COUNT]))
        assert [len(vector) for vector in reply["embeddings"]] == [q.DIMENSIONS] * 2

    def test_logprobs(self, url: str) -> None:
        tokens = chatted(url, logprobs=True)["logprobs"]
        assert "".join(token["token"] for token in tokens) == q.ANSWER

    def test_stop(self, url: str) -> None:
        reply = chatted(url, options={**GREEDY, "stop": [q.STOP]})
        assert reply["message"]["content"] == q.BEFORE_STOP

    def test_seed(self, url: str) -> None:
        one, same, other = (
            chatted(url, model=q.ENDLESS, options={"seed": seed, "num_predict": 16})["message"]
            for seed in (1, 1, 2)
        )
        assert one == same != other

    def test_usage(self, url: str) -> None:
        body = {"model": q.MODEL, "messages": q.asked(), "options": GREEDY}
        last = json.loads(curl(f"{url}/api/chat", **body).splitlines()[-1])
        complete = chatted(url)
        for count in ("prompt_eval_count", "eval_count"):
            assert last[count] == complete[count] > 0

    def test_unknown_model(self, url: str) -> None:
        text = curl("--write-out", " %{http_code}", f"{url}/api/chat", model=q.UNKNOWN)
        body, _, status = text.rpartition(" ")
        assert status == "404"
        assert isinstance(json.loads(body)["error"], str)

    def test_manage(self, url: str) -> None:
        pulled = curl(f"{url}/api/pull", model=q.MODEL).splitlines()
        assert json.loads(pulled[-1]) == {"status": "success"}
        body = {"model": q.CREATED, "from": q.MODEL, "system": q.SYSTEM, "parameters": GREEDY}
        created = curl(f"{url}/api/create", **body).splitlines()
        assert json.loads(created[-1]) == {"status": "success"}
        reply = chatted(url, model=q.CREATED, messages=q.asked(q.SYSTEM_QUESTION))
        assert reply["message"]["content"] == q.SYSTEM_ANSWER
        curl("--fail", f"{url}/api/copy", source=q.CREATED, destination=q.COPIED)
        for name in (q.CREATED, q.COPIED):
            curl("--fail", "-X", "DELETE", f"{url}/api/delete", model=name)
        names = [model["name"] for model in json.loads(curl(f"{url}/api/tags"))["models"]]
        assert not {f"{q.CREATED}:latest", f"{q.COPIED}:latest"} & set(names)

    async def test_cancel(self, url: str) -> None:
        body = {"model": q.ENDLESS, "messages": q.asked(), "stream": True}
        async with q.one_cancelled(url):
            interrupt(f"{url}/api/chat", **body)


class TestOpenAI:
    """With the headers that OpenAI's documentation shows."""

    def test_models(self, url: str) -> None:
        models = json.loads(curl(*HEADERS, f"{url}/v1/models"))["data"]
        assert q.MODEL in [model["id"] for model in models]
        assert json.loads(curl(*HEADERS, f"{url}/v1/models/{q.ENDLESS}"))["object"] == "model"

    def test_chat(self, url: str) -> None:
        assert completed(url)["message"]["content"] == q.ANSWER

    def test_stream(self, url: str) -> None:
        chunks = streamed(url, messages=q.asked(q.COUNT))
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        assert "".join(delta.get("content") or "" for delta in deltas) == q.COUNTED

    def test_system(self, url: str) -> None:
        choice = completed(url, messages=q.asked(q.SYSTEM_QUESTION, q.SYSTEM))
        assert choice["message"]["content"] == q.SYSTEM_ANSWER

    def test_tools(self, url: str) -> None:
        messages = q.asked(q.WEATHER_QUESTION)
        message = completed(url, messages=messages, tools=[q.TOOL], tool_choice=q.FORCED)["message"]
        (call,) = message["tool_calls"]
        result = q.get_weather(**json.loads(call["function"]["arguments"]))
        messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": result}]
        final = completed(url, messages=messages, tools=[q.TOOL])
        assert final["message"]["content"] == q.WEATHER_ANSWER

    def test_tool_stream(self, url: str) -> None:
        messages = q.asked(q.WEATHER_QUESTION)
        chunks = streamed(url, messages=messages, tools=[q.TOOL], tool_choice=q.FORCED)
        calls = [c for chunk in chunks for c in chunk["choices"][0]["delta"].get("tool_calls", ())]
        assert [call["function"].get("name") for call in calls][:2] == ["get_weather", None]
        pieces = [call["function"].get("arguments", "") for call in calls]
        assert json.loads("".join(pieces)) == q.ARGUMENTS

    def test_schema(self, url: str) -> None:
        answer = {"name": "answer", "strict": True, "schema": q.SCHEMA}
        choice = completed(url, response_format={"type": "json_schema", "json_schema": answer})
        assert q.is_answer(json.loads(choice["message"]["content"]))

    def test_embeddings(self, url: str) -> None:
        body = {"model": q.MODEL, "input": q.QUESTION, "encoding_format": "float"}
        reply = json.loads(curl(*HEADERS, f"{url}/v1/embeddings", **body))
        assert len(reply["data"][0]["embedding"]) == q.DIMENSIONS

    def test_logprobs(self, url: str) -> None:
        tokens = completed(url, logprobs=True, top_logprobs=2)["logprobs"]["content"]
        assert "".join(token["token"] for token in tokens) == q.ANSWER

    def test_n(self, url: str) -> None:
        body = {"model": q.ENDLESS, "messages": q.asked(), "n": 2, "max_tokens": 8}
        reply = json.loads(curl(*HEADERS, f"{url}/v1/chat/completions", **body))
        first, second = (choice["message"]["content"] for choice in reply["choices"])
        assert first != second

    def test_stop(self, url: str) -> None:
        assert completed(url, stop=[q.STOP])["message"]["content"] == q.BEFORE_STOP

    def test_seed(self, url: str) -> None:
        one, same, other = (
            completed(url, model=q.ENDLESS, temperature=1, seed=seed, max_tokens=16)["message"]
            for seed in (1, 1, 2)
        )
        assert one == same != other

    def test_usage(self, url: str) -> None:
        *chunks, last = streamed(url, stream_options={"include_usage": True})
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] > 0
        assert all(chunk["usage"] is None for chunk in chunks)

    def test_unknown_model(self, url: str) -> None:
        body = {"model": q.UNKNOWN, "messages": q.asked()}
        status = ("--write-out", " %{http_code}")
        text = curl(*HEADERS, *status, f"{url}/v1/chat/completions", **body)
        reply, _, code = text.rpartition(" ")
        assert code == "404"
        assert json.loads(reply)["error"]["code"] == "model_not_found"

    async def test_cancel(self, url: str) -> None:
        body = {"model": q.ENDLESS, "messages": q.asked(), "stream": True}
        async with q.one_cancelled(url):
            interrupt(*HEADERS, f"{url}/v1/chat/completions", **body)


GREEDY = {"temperature": 0}
HEADERS = ("-H", "Content-Type: application/json", "-H", "Authorization: Bearer none")


def curl(*arguments: str, **body: Any) -> str:
    """Return what curl prints; with a body it sends a POST."""
    done = subprocess.run(_argv(arguments, body), capture_output=True, text=True, check=True)
    return done.stdout


def interrupt(*arguments: str, **body: Any) -> None:
    """Stop curl after the first line, as Ctrl-C does."""
    with subprocess.Popen(_argv(arguments, body), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()


def _argv(arguments: tuple[str, ...], body: dict[str, Any]) -> list[str]:
    data = ["-d", json.dumps(body)] if body else []
    return ["curl", "--silent", "--show-error", "--no-buffer", *arguments, *data]


def chatted(url: str, **fields: Any) -> Any:
    """Return the reply of /api/chat."""
    body = {"model": q.MODEL, "messages": q.asked(), "stream": False, "options": GREEDY}
    return json.loads(curl(f"{url}/api/chat", **body | fields))


def completed(url: str, **fields: Any) -> Any:
    """Return the choice of /v1/chat/completions."""
    body = {"model": q.MODEL, "messages": q.asked(), "temperature": 0}
    (choice,) = json.loads(curl(*HEADERS, f"{url}/v1/chat/completions", **body | fields))["choices"]
    return choice


def streamed(url: str, **fields: Any) -> list[Any]:
    """Return the chunks of a stream of /v1/chat/completions."""
    body = {"model": q.MODEL, "messages": q.asked(), "temperature": 0, "stream": True}
    text = curl(*HEADERS, f"{url}/v1/chat/completions", **body | fields)
    *events, done = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert done == "[DONE]"
    return [json.loads(event) for event in events]
