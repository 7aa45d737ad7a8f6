// The npm package openai.
import assert from "node:assert/strict";
import test from "node:test";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import * as q from "./questions.mjs";

const client = new OpenAI({ baseURL: `${q.URL}/v1`, apiKey: "none", maxRetries: 0 });
const completions = client.chat.completions;
const forced = { type: "function", function: { name: q.TOOL.function.name } };
const greedy = (text, system) => ({ model: q.MODEL, messages: q.asked(text, system), temperature: 0 });
const Answer = z.object({ color: z.enum(["red", "blue"]), count: z.number().int() });

test("models", q.LIMIT, async () => {
  assert.ok((await q.collected(await client.models.list())).some((model) => model.id === q.MODEL));
  assert.equal((await client.models.retrieve(q.ENDLESS)).id, q.ENDLESS);
});

test("chat", q.LIMIT, async () => {
  const reply = await completions.create(greedy(q.QUESTION));
  assert.equal(reply.choices[0].message.content, q.ANSWER);
  assert.equal(reply.choices[0].finish_reason, "stop");
});

test("stream", q.LIMIT, async () => {
  const parts = await q.collected(await completions.create({ ...greedy(q.COUNT), stream: true }));
  assert.equal(parts.map((part) => part.choices[0].delta.content ?? "").join(""), q.COUNTED);
  assert.equal(await completions.stream(greedy(q.COUNT)).finalContent(), q.COUNTED);
});

test("system", q.LIMIT, async () => {
  const reply = await completions.create(greedy(q.SYSTEM_QUESTION, q.SYSTEM));
  assert.equal(reply.choices[0].message.content, q.SYSTEM_ANSWER);
});

test("tools", q.LIMIT, async () => {
  const body = { ...greedy(q.WEATHER_QUESTION), tools: [q.TOOL] };
  const { message, finish_reason } = (await completions.create({ ...body, tool_choice: forced })).choices[0];
  assert.equal(finish_reason, "tool_calls");
  const [call] = message.tool_calls;
  const content = q.getWeather(JSON.parse(call.function.arguments));
  const messages = [...body.messages, message, { role: "tool", tool_call_id: call.id, content }];
  const final = await completions.create({ ...body, messages });
  assert.equal(final.choices[0].message.content, q.WEATHER_ANSWER);
});

test("tool_stream", q.LIMIT, async () => {
  const runner = completions.runTools({
    ...greedy(q.WEATHER_QUESTION),
    stream: true,
    tools: [{ ...q.TOOL, function: { ...q.TOOL.function, parse: JSON.parse, function: q.getWeather } }],
  });
  const pieces = [];
  runner.on("tool_calls.function.arguments.delta", ({ arguments_delta }) => pieces.push(arguments_delta));
  assert.equal(await runner.finalContent(), q.WEATHER_ANSWER);
  assert.deepEqual(JSON.parse(pieces.join("")), q.ARGUMENTS);
});

test("schema", q.LIMIT, async () => {
  const format = { response_format: zodResponseFormat(Answer, "answer") };
  const reply = await completions.parse({ ...greedy(q.QUESTION), ...format });
  q.assertAnswer(reply.choices[0].message.parsed);
  const final = await completions.stream({ ...greedy(q.QUESTION), ...format }).finalChatCompletion();
  assert.deepEqual(final.choices[0].message.parsed, reply.choices[0].message.parsed);
});

test("embeddings", q.LIMIT, async () => {
  const input = [q.QUESTION, q.COUNT];
  const base64 = await client.embeddings.create({ model: q.MODEL, input });
  const floats = await client.embeddings.create({ model: q.MODEL, input, encoding_format: "float" });
  for (const [i, { embedding }] of base64.data.entries()) {
    assert.equal(embedding.length, q.DIMENSIONS);
    embedding.forEach((x, j) => assert.ok(Math.abs(x - floats.data[i].embedding[j]) < 1e-6));
  }
});

test("logprobs", q.LIMIT, async () => {
  const reply = await completions.create({ ...greedy(q.QUESTION), logprobs: true, top_logprobs: 2 });
  const tokens = reply.choices[0].logprobs.content;
  assert.equal(tokens.map(({ token }) => token).join(""), q.ANSWER);
  assert.ok(tokens.every(({ top_logprobs }) => top_logprobs.length === 2));
});

test("n", q.LIMIT, async () => {
  const body = { model: q.ENDLESS, messages: q.asked(), n: 2, max_tokens: 8 };
  const [first, second] = (await completions.create(body)).choices;
  assert.notEqual(first.message.content, second.message.content);
});

test("stop", q.LIMIT, async () => {
  const reply = await completions.create({ ...greedy(q.QUESTION), stop: [q.STOP] });
  assert.equal(reply.choices[0].message.content, q.BEFORE_STOP);
});

test("seed", q.LIMIT, async () => {
  const text = async (seed) => {
    const body = { model: q.ENDLESS, messages: q.asked(q.STORY), seed, max_tokens: 16 };
    return (await completions.create(body)).choices[0].message.content;
  };
  const [one, same, other] = [await text(1), await text(1), await text(2)];
  assert.ok(one === same && one !== other);
});

test("usage", q.LIMIT, async () => {
  const complete = await completions.create(greedy(q.QUESTION));
  const options = { stream: true, stream_options: { include_usage: true } };
  const parts = await q.collected(await completions.create({ ...greedy(q.QUESTION), ...options }));
  assert.equal(parts.at(-1).usage.total_tokens, complete.usage.total_tokens);
});

test("unknown_model", q.LIMIT, async () => {
  const request = completions.create({ model: q.UNKNOWN, messages: q.asked() });
  await assert.rejects(request, { constructor: OpenAI.NotFoundError, code: "model_not_found" });
});

test("cancel", q.LIMIT, () =>
  q.oneCancelled(async () => {
    const stream = await completions.create({ model: q.ENDLESS, messages: q.asked(), stream: true });
    for await (const _ of stream) break;
  }),
);
