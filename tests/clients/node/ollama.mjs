// The npm package ollama.
import assert from "node:assert/strict";
import test from "node:test";

import { Ollama } from "ollama";

import * as q from "./questions.mjs";

const client = new Ollama({ host: q.URL });
const greedy = (text, system) => ({
  model: q.MODEL,
  messages: q.asked(text, system),
  options: { temperature: 0 },
});

test("models", q.LIMIT, async () => {
  assert.ok((await client.list()).models.some((model) => model.model === q.MODEL));
  assert.ok((await client.show({ model: q.MODEL })).capabilities.includes("tools"));
  assert.ok((await client.ps()).models.some((model) => model.model === q.MODEL));
});

test("chat", q.LIMIT, async () => {
  assert.equal((await client.chat(greedy(q.QUESTION))).message.content, q.ANSWER);
  const body = { model: q.MODEL, prompt: q.QUESTION, options: { temperature: 0 } };
  assert.equal((await client.generate(body)).response, q.ANSWER);
});

test("stream", q.LIMIT, async () => {
  const parts = await q.collected(await client.chat({ ...greedy(q.COUNT), stream: true }));
  assert.equal(parts.map((part) => part.message.content).join(""), q.COUNTED);
  assert.ok(parts.length > 2 && parts.at(-1).done);
});

test("system", q.LIMIT, async () => {
  const reply = await client.chat(greedy(q.SYSTEM_QUESTION, q.SYSTEM));
  assert.equal(reply.message.content, q.SYSTEM_ANSWER);
});

test("tools", q.LIMIT, async () => {
  const body = { ...greedy(q.WEATHER_QUESTION), tools: [q.TOOL] };
  const { message } = await client.chat(body);
  const [call] = message.tool_calls;
  const content = q.getWeather(call.function.arguments);
  const messages = [...body.messages, message, { role: "tool", tool_name: "get_weather", content }];
  assert.equal((await client.chat({ ...body, messages })).message.content, q.WEATHER_ANSWER);
});

test("tool_stream", q.LIMIT, async () => {
  const body = { ...greedy(q.WEATHER_QUESTION), tools: [q.TOOL], stream: true };
  const parts = await q.collected(await client.chat(body));
  const [call, ...others] = parts.flatMap((part) => part.message.tool_calls ?? []);
  assert.deepEqual(call.function.arguments, q.ARGUMENTS);
  assert.equal(others.length, 0);
});

test("schema", q.LIMIT, async () => {
  const reply = await client.chat({ ...greedy(q.QUESTION), format: q.SCHEMA });
  q.assertAnswer(JSON.parse(reply.message.content));
});

test("embeddings", q.LIMIT, async () => {
  const { embeddings } = await client.embed({ model: q.MODEL, input: [q.QUESTION, q.COUNT] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [q.DIMENSIONS, q.DIMENSIONS]);
  const { embedding } = await client.embeddings({ model: q.MODEL, prompt: q.QUESTION });
  assert.equal(embedding.length, q.DIMENSIONS);
});

test("logprobs", q.LIMIT, async () => {
  const { logprobs } = await client.chat({ ...greedy(q.QUESTION), logprobs: true, top_logprobs: 2 });
  assert.equal(logprobs.map(({ token }) => token).join(""), q.ANSWER);
  assert.ok(logprobs.every(({ top_logprobs }) => top_logprobs.length === 2));
});

test("stop", q.LIMIT, async () => {
  const options = { temperature: 0, stop: [q.STOP] };
  const reply = await client.chat({ ...greedy(q.QUESTION), options });
  assert.equal(reply.message.content, q.BEFORE_STOP);
});

test("seed", q.LIMIT, async () => {
  const text = async (seed) => {
    const options = { seed, num_predict: 16 };
    const body = { model: q.ENDLESS, messages: q.asked(q.STORY), options };
    return (await client.chat(body)).message.content;
  };
  const [one, same, other] = [await text(1), await text(1), await text(2)];
  assert.ok(one === same && one !== other);
});

test("usage", q.LIMIT, async () => {
  const complete = await client.chat(greedy(q.QUESTION));
  const last = (await q.collected(await client.chat({ ...greedy(q.QUESTION), stream: true }))).at(-1);
  assert.equal(last.prompt_eval_count, complete.prompt_eval_count);
  assert.equal(last.eval_count, complete.eval_count);
});

test("unknown_model", q.LIMIT, async () => {
  const request = client.chat({ model: q.UNKNOWN, messages: q.asked() });
  await assert.rejects(request, { name: "ResponseError", status_code: 404 });
});

test("manage", q.LIMIT, async () => {
  const pulled = await q.collected(await client.pull({ model: q.MODEL, stream: true }));
  assert.equal(pulled.at(-1).status, "success");
  await client.create({ model: q.CREATED, from: q.MODEL, system: q.SYSTEM, parameters: { temperature: 0 } });
  const body = { model: q.CREATED, messages: q.asked(q.SYSTEM_QUESTION) };
  assert.equal((await client.chat(body)).message.content, q.SYSTEM_ANSWER);
  await client.copy({ source: q.CREATED, destination: q.COPIED });
  await client.delete({ model: q.CREATED });
  const names = (await client.list()).models.map((model) => model.name);
  assert.ok(names.includes(`${q.COPIED}:latest`) && !names.includes(`${q.CREATED}:latest`));
  await client.delete({ model: q.COPIED });
});

test("cancel", q.LIMIT, () =>
  q.oneCancelled(async () => {
    const stream = await client.chat({ model: q.ENDLESS, messages: q.asked(), stream: true });
    const read = q.collected(stream);
    stream.abort();
    await assert.rejects(read, { name: "AbortError" });
  }),
);
