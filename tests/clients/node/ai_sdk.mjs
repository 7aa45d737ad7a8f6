// What both providers of the AI SDK offer.
import assert from "node:assert/strict";
import test from "node:test";

import { APICallError, embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import * as q from "./questions.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const Answer = z.object({ color: z.enum(["red", "blue"]), count: z.number().int() });

// `stopped` and `seeded` return settings, where the provider has them.
export function checkProvider(provider, { forced, stopped, seeded, embeds = true }) {
  const greedy = { model: provider(q.MODEL), temperature: 0, maxRetries: 0 };
  const endless = { model: provider(q.ENDLESS), maxRetries: 0 };
  const weather = tool({
    description: q.TOOL.function.description,
    inputSchema: jsonSchema(q.TOOL.function.parameters),
    execute: q.getWeather,
  });
  const loop = { prompt: q.WEATHER_QUESTION, tools: { get_weather: weather }, stopWhen: stepCountIs(2) };
  // The call is forced in the first step; the second one answers.
  const prepareStep = ({ stepNumber }) => (stepNumber === 0 ? forced : {});

  test("chat", q.LIMIT, async () => {
    const { text, finishReason } = await generateText({ ...greedy, prompt: q.QUESTION });
    assert.deepEqual([text, finishReason], [q.ANSWER, "stop"]);
  });

  test("stream", q.LIMIT, async () => {
    const pieces = await q.collected(streamText({ ...greedy, prompt: q.COUNT }).textStream);
    assert.equal(pieces.join(""), q.COUNTED);
    assert.ok(pieces.length > 2);
  });

  test("system", q.LIMIT, async () => {
    const { text } = await generateText({ ...greedy, system: q.SYSTEM, prompt: q.SYSTEM_QUESTION });
    assert.equal(text, q.SYSTEM_ANSWER);
  });

  test("tools", q.LIMIT, async () => {
    const { text, steps } = await generateText({ ...greedy, ...loop, prepareStep });
    assert.equal(steps[0].toolCalls[0].toolName, "get_weather");
    assert.equal(text, q.WEATHER_ANSWER);
  });

  test("tool_stream", q.LIMIT, async () => {
    const parts = await q.collected(streamText({ ...greedy, ...loop, prepareStep }).fullStream);
    const texts = (type) => parts.filter((part) => part.type === type);
    assert.deepEqual(texts("tool-call").map((part) => part.input), [q.ARGUMENTS]);
    assert.equal(texts("text-delta").map((part) => part.text).join(""), q.WEATHER_ANSWER);
  });

  test("schema", q.LIMIT, async () => {
    const { output } = await generateText({
      ...greedy,
      prompt: q.QUESTION,
      output: Output.object({ schema: Answer }),
    });
    q.assertAnswer(output);
  });

  if (embeds) test("embeddings", q.LIMIT, async () => {
    const model = provider.textEmbeddingModel(q.MODEL);
    const { embeddings } = await embedMany({ model, values: [q.QUESTION, q.COUNT], maxRetries: 0 });
    assert.deepEqual(embeddings.map((vector) => vector.length), [q.DIMENSIONS, q.DIMENSIONS]);
  });

  if (stopped) test("stop", q.LIMIT, async () => {
    const { text } = await generateText({ ...greedy, prompt: q.QUESTION, ...stopped(q.STOP) });
    assert.equal(text, q.BEFORE_STOP);
  });

  if (seeded) test("seed", q.LIMIT, async () => {
    const text = async (seed) =>
      (await generateText({ ...endless, prompt: q.STORY, ...seeded(seed, 16) })).text;
    const [one, same, other] = [await text(1), await text(1), await text(2)];
    assert.ok(one === same && one !== other);
  });

  test("usage", q.LIMIT, async () => {
    const complete = await generateText({ ...greedy, prompt: q.QUESTION });
    const streamed = streamText({ ...greedy, prompt: q.QUESTION });
    await streamed.consumeStream();
    assert.equal((await streamed.usage).totalTokens, complete.usage.totalTokens);
    assert.ok(complete.usage.totalTokens > 0);
  });

  test("unknown_model", q.LIMIT, async () => {
    const request = generateText({ model: provider(q.UNKNOWN), prompt: q.QUESTION, maxRetries: 0 });
    await assert.rejects(request, (error) => APICallError.isInstance(error) && error.statusCode === 404);
  });

  test("cancel", q.LIMIT, () =>
    q.oneCancelled(async () => {
      const controller = new AbortController();
      const stream = streamText({ ...endless, prompt: q.STORY, abortSignal: controller.signal });
      for await (const _ of stream.textStream) {
        controller.abort();
        break;
      }
    }),
  );
}
