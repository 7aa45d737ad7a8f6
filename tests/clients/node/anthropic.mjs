// The npm package @anthropic-ai/sdk.
import assert from "node:assert/strict";
import test from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import * as q from "./questions.mjs";

const client = new Anthropic({ baseURL: q.URL, apiKey: "none", maxRetries: 0 });
const greedy = (text, fields = {}) => ({
  model: q.MODEL,
  max_tokens: 200,
  messages: q.asked(text),
  temperature: 0,
  ...fields,
});
const { name, description, parameters } = q.TOOL.function;
const tools = [{ name, description, input_schema: parameters }];
const forced = { type: "tool", name };
const text = (message) => message.content.map((block) => block.text ?? "").join("");

test("models", q.LIMIT, async () => {
  assert.ok((await q.collected(client.models.list())).some((model) => model.id === q.MODEL));
});

test("chat", q.LIMIT, async () => {
  const message = await client.messages.create(greedy(q.QUESTION));
  assert.deepEqual([text(message), message.stop_reason], [q.ANSWER, "end_turn"]);
});

test("stream", q.LIMIT, async () => {
  const pieces = [];
  const stream = client.messages.stream(greedy(q.COUNT)).on("text", (piece) => pieces.push(piece));
  assert.equal(await stream.finalText(), q.COUNTED);
  assert.equal(pieces.join(""), q.COUNTED);
  assert.ok(pieces.length > 2);
});

test("system", q.LIMIT, async () => {
  const message = await client.messages.create(greedy(q.SYSTEM_QUESTION, { system: q.SYSTEM }));
  assert.equal(text(message), q.SYSTEM_ANSWER);
});

test("tools", q.LIMIT, async () => {
  const body = greedy(q.WEATHER_QUESTION, { tools });
  const { content, stop_reason } = await client.messages.create({ ...body, tool_choice: forced });
  assert.equal(stop_reason, "tool_use");
  const [call] = content;
  const result = { type: "tool_result", tool_use_id: call.id, content: q.getWeather(call.input) };
  const turns = [{ role: "assistant", content }, { role: "user", content: [result] }];
  const final = await client.messages.create({ ...body, messages: [...body.messages, ...turns] });
  assert.equal(text(final), q.WEATHER_ANSWER);
});

test("tool_stream", q.LIMIT, async () => {
  const pieces = [];
  const body = greedy(q.WEATHER_QUESTION, { tools, tool_choice: forced });
  const stream = client.messages.stream(body).on("inputJson", (piece) => pieces.push(piece));
  const [call] = (await stream.finalMessage()).content;
  assert.deepEqual(call.input, q.ARGUMENTS);
  assert.deepEqual(JSON.parse(pieces.join("")), q.ARGUMENTS);
});

test("schema", q.LIMIT, async () => {
  const output_config = { format: { type: "json_schema", schema: q.SCHEMA } };
  const message = await client.messages.create(greedy(q.QUESTION, { output_config }));
  q.assertAnswer(JSON.parse(text(message)));
});

test("stop", q.LIMIT, async () => {
  const message = await client.messages.create(greedy(q.QUESTION, { stop_sequences: [q.STOP] }));
  assert.deepEqual([text(message), message.stop_reason], [q.BEFORE_STOP, "stop_sequence"]);
});

test("usage", q.LIMIT, async () => {
  const complete = await client.messages.create(greedy(q.QUESTION));
  const streamed = await client.messages.stream(greedy(q.QUESTION)).finalMessage();
  assert.equal(streamed.usage.output_tokens, complete.usage.output_tokens);
});

test("unknown_model", q.LIMIT, async () => {
  const request = client.messages.create(greedy(q.QUESTION, { model: q.UNKNOWN }));
  await assert.rejects(request, { constructor: Anthropic.NotFoundError });
});

test("cancel", q.LIMIT, () =>
  q.oneCancelled(async () => {
    const stream = client.messages.stream(greedy(q.STORY, { model: q.ENDLESS, max_tokens: 2000 }));
    for await (const event of stream) if (event.type === "content_block_delta") break;
  }),
);
