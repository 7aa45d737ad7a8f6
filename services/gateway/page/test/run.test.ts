import assert from "node:assert/strict";
import { test } from "node:test";
import type { Chunk, Figures } from "../src/contract";
import { durationsOf, median, shown, sizeFigures } from "../src/figures";
import { apply, end, ignore, newRun, type Run } from "../src/run";
import { verdict, verdictText } from "../src/verdict";

const FIGURES: Figures = {
  queue_seconds: 0.1, load_seconds: 0, ttft_seconds: 0.3, prefill_seconds: 0.2, decode_seconds: 0.7,
  total_seconds: 1, prompt_tokens: 9, tokens: 7, tokens_per_second: 10, at_once: 2, cost: null,
};

function run(samples = 1, oneAtATime = false): Run {
  return newRun([{ model: "a:1", parameters: 1 }, { model: "a:2", parameters: 2 }], samples, oneAtATime, 0);
}

function finish(model: string, total: number): Chunk {
  return { model, sample: 0, done: true, done_reason: "stop", text: "4", figures: { ...FIGURES, total_seconds: total } };
}

test("the stages of an answer become the segments of its bar", () => {
  const found = run();
  const chunks: [Chunk, number][] = [
    [{ model: "a:1", sample: 0, status: "loading", progress: 0.5, done: false }, 100],
    [{ model: "a:1", sample: 0, status: "queued", done: false }, 400],
    [{ model: "a:1", sample: 0, status: "generating", prompt_tokens: 9, done: false }, 500],
    [{ model: "a:1", sample: 0, message: { content: "4" }, tokens: 1, done: false }, 700],
  ];
  for (const [chunk, now] of chunks) apply(found, chunk, now);
  const figures = shown(found.answers[0]!, 1700);
  assert.deepEqual(figures.durations, { queue: 0.2, load: 0.3, prefill: 0.2, decode: 1 });
  assert.equal(figures.ttft!.toFixed(3), "0.700");
  assert.equal(figures.tokensPerSecond, 1);
  assert.equal(figures.isFinal, false);
});

test("the gateway's figures replace the browser's", () => {
  const found = run();
  apply(found, { model: "a:1", sample: 0, message: { content: "fo" }, tokens: 1, done: false }, 5000);
  apply(found, finish("a:1", 1), 9000);
  const answer = found.answers[0]!;
  assert.equal(answer.text, "4");
  assert.equal(shown(answer, 99_000).total, 1);
  const { queue, load, prefill, decode } = shown(answer, 99_000).durations;
  assert.deepEqual([queue, load, prefill, decode].map((seconds) => seconds.toFixed(3)), ["0.100", "0.000", "0.200", "0.700"]);
});

test("segments end where the answer ended, whatever the replica measured", () => {
  const cases: [Partial<Figures>, number[]][] = [
    [{ ttft_seconds: 0.5, prefill_seconds: 0.1, decode_seconds: 9 }, [0.4, 0, 0.1, 0.5]],
    [{ ttft_seconds: 0.5, load_seconds: 0.3, prefill_seconds: 0.1 }, [0.1, 0.3, 0.1, 0.5]],
    [{ ttft_seconds: null, prefill_seconds: 0.1, decode_seconds: 0 }, [0.9, 0, 0.1, 0]],
  ];
  for (const [changes, expected] of cases) {
    const { queue, load, prefill, decode } = durationsOf({ ...FIGURES, queue_seconds: 0, ...changes });
    const found = [queue, load, prefill, decode].map((seconds) => Number(seconds.toFixed(6)));
    assert.deepEqual(found, expected);
  }
});

test("one at a time, waiting for a turn is not part of the time", () => {
  const found = run(1, true);
  apply(found, { model: "a:2", sample: 0, status: "waiting", done: false }, 100);
  apply(found, { model: "a:2", sample: 0, status: "queued", done: false }, 5000);
  assert.equal(shown(found.answers[1]!, 5100).total, 0.1);
});

test("the header replaces what was expected", () => {
  const found = run();
  const header = { id: "cmp-1", models: [{ model: "a:2", parameters: 2 }], samples: 2, seed: 7, one_at_a_time: false };
  apply(found, { done: false, compare: header }, 0);
  assert.deepEqual(found.answers.map(({ model, sample }) => [model, sample]), [["a:2", 0], ["a:2", 1]]);
  assert.equal(found.seed, 7);
});

test("chunks of unknown and ignored answers are dropped", () => {
  const found = run();
  apply(found, { model: "b", sample: 0, message: { content: "x" }, done: false }, 0);
  ignore(found, "a:1", 10);
  apply(found, { model: "a:1", sample: 0, message: { content: "x" }, done: false }, 20);
  assert.deepEqual(found.answers.map(({ text }) => text), ["", ""]);
  assert.equal(found.answers[0]!.ending, "cancelled");
});

test("a stream that breaks loses the answers that had not ended", () => {
  const found = run();
  apply(found, finish("a:1", 1), 10);
  end(found, 2000, "lost");
  assert.deepEqual(found.answers.map(({ ending }) => ending), ["stop", "error"]);
  assert.deepEqual(verdict(found), { kind: "broken", sentence: ["lost"] });
});

test("the verdict names the smallest size that agrees, and how much faster it was", () => {
  const found = run();
  assert.equal(verdictText(found), "0 of 2 answered");
  apply(found, finish("a:1", 1), 0);
  apply(found, finish("a:2", 3), 0);
  const agreement = { largest: "a:2", same: ["a:1", "a:2"], smallest: "a:1" };
  apply(found, { done: true, compare: { agreement } }, 0);
  end(found, 3000, null);
  assert.deepEqual(verdict(found).sentence.filter((part) => typeof part !== "string"), [
    { role: "largest", model: "a:2" }, { role: "smallest", model: "a:1" },
  ]);
  // 2.9 s and 0.9 s without the queue
  assert.equal(verdictText(found), "The smallest size that says the same as a:2 is a:1, 3.2 × as fast.");
  assert.deepEqual(sizeFigures(found).map(({ isSame, isChosen }) => [isSame, isChosen]), [[true, true], [true, false]]);
  found.summary = { agreement: { largest: "a:2", same: ["a:2"], smallest: "a:2" } };
  assert.equal(verdictText(found), "No smaller size says the same as a:2.");
  found.summary = { agreement: null };
  assert.equal(verdictText(found), "a:2 has answered.");
});

test("samples have medians, and their costs add up", () => {
  const found = run(3);
  for (const [sample, total] of [1, 5, 2].entries()) {
    const cost = { amount: 0.1, currency: "USD" };
    apply(found, { ...finish("a:1", total), sample, figures: { ...FIGURES, total_seconds: total, cost } }, 0);
  }
  const [small, large] = sizeFigures(found);
  assert.equal(small!.total, 2);
  assert.equal(small!.cost!.amount.toFixed(2), "0.30");
  assert.equal(large!.total, null);
  assert.equal(median([null, 1, 2, null]), 1.5);
});
