import assert from "node:assert/strict";
import { test } from "node:test";
import * as numbers from "../src/numbers";
import { scaleEnd, ticks } from "../src/scale";
import { families, firstChoice, limit, tag } from "../src/selection";
import type { Size } from "../src/contract";

test("times have three significant digits and a unit", () => {
  const shown = [0.0062, 0.34, 0.9999, 1.236, 75, 200, null].map((value) => numbers.seconds(value));
  assert.deepEqual(shown, ["6.20 ms", "340 ms", "1.00 s", "1.24 s", "75.0 s", "3 min 20 s", "–"]);
});

test("rates, ratios, parameters and money", () => {
  assert.deepEqual([8.44, 41.23, 849.6].map((value) => numbers.rate(value)), ["8.4", "41.2", "850"]);
  assert.equal(numbers.ratio(1.74), "1.7");
  const counts = [554_624, 2_160_576, 494e6, 7.62e9, 72.7e9].map((value) => numbers.parameters(value));
  assert.deepEqual(counts, ["555 k", "2.2 M", "494 M", "7.6 B", "73 B"]);
  assert.equal(numbers.money({ amount: 0.000123, currency: "USD" }), "$0.00012");
  assert.equal(numbers.money({ amount: 2, currency: "beans" }), "2 beans");
});

test("the scale holds the longest time, and grows in steps", () => {
  for (let seconds = 0.01; seconds < 1000; seconds *= 1.07) {
    const end = scaleEnd(seconds);
    assert.ok(end >= seconds * 0.999 && end <= seconds * 1.6, `${seconds} ${end}`);
    const marks = ticks(end);
    assert.ok(marks.length >= 4 && marks.length <= 5);
    assert.equal(marks[0], 0);
    assert.ok(Math.abs(marks.at(-1)! - end) < 1e-9);
  }
  assert.equal(scaleEnd(0.31), 0.4);
});

function size(model: string, state: Size["state"] = "ready"): Size {
  return {
    model, family: model.split(":")[0]!, parameters: 1, state, progress: null, capabilities: [], measured: null,
  };
}

test("the family with the most sizes that are ready is chosen first, without those that failed", () => {
  const sizes = [size("a:1"), size("b:1"), size("b:2"), size("b:3", "failed"), size("c:1", "unloaded"), size("c:2", "unloaded")];
  assert.deepEqual(firstChoice(sizes), ["b:1", "b:2"]);
  assert.deepEqual(firstChoice([]), []);
  assert.deepEqual(families(sizes).map(({ name }) => name), ["a", "b", "c"]);
  assert.equal(tag(sizes[1]!), "1");
  assert.equal(tag({ model: "./x", family: "./x" }), "./x");
});

test("the gateway's limits are the page's", () => {
  assert.equal(limit(16, 4), null);
  assert.equal(limit(17, 1), "tooManySizes");
  assert.equal(limit(16, 5), "tooManyAnswers");
});
