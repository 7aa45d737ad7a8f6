import assert from "node:assert/strict";
import { test } from "node:test";
import { areValid, historyOf, toRequest, type Turn } from "../src/conversation";
import { surplus } from "../src/history";
import { apply, end, newRun } from "../src/run";
import { action } from "../src/shortcuts";
import { DEFAULT_OPTIONS } from "../src/share";
import { tally, toggle, turnCsv, votesCsv, type Vote } from "../src/votes";

/** A turn that has ended, with one answer of each size. */
function turn(id: string, prompt: string, texts: Record<string, string>): Turn {
  const models = Object.keys(texts);
  const run = newRun(models.map((model) => ({ model, parameters: 1 })), 1, false, 0);
  for (const [model, text] of Object.entries(texts)) apply(run, { model, done: true, text }, 0);
  end(run, 1000, null);
  return { id, at: "2026-11-30T00:00:00Z", prompt, models, options: DEFAULT_OPTIONS, run, version: 0 };
}

const FIRST = turn("t1", "1 + 1?", { "a:1": "3", "a:2": "2" });

test("each size sees its own earlier answers", () => {
  const second = turn("t2", "Sure?", { "a:1": "", "a:2": "", "a:3": "" });
  const request = toRequest(second, [FIRST]);
  assert.deepEqual(request.messages, [{ role: "user", content: "Sure?" }]);
  assert.deepEqual(Object.keys(request.history!), ["a:1", "a:2"]);
  assert.deepEqual(request.history!["a:1"], [{ role: "user", content: "1 + 1?" }, { role: "assistant", content: "3" }]);
});

test("failed and empty answers are not part of the conversation", () => {
  const failed = turn("t", "x", { "a:1": "part", "a:2": "" });
  failed.run.answers[0]!.ending = "error";
  assert.deepEqual(historyOf("a:1", [failed]), []);
  assert.deepEqual(historyOf("a:2", [failed]), []);
});

test("options that are not set are not sent", () => {
  assert.deepEqual(Object.keys(toRequest(FIRST, [])), ["models", "messages"]);
  const options = { ...DEFAULT_OPTIONS, system: "s", temperature: "0", seed: "5", maxTokens: "9", samples: 2, oneAtATime: true, think: "off" as const };
  const { models, messages, ...rest } = toRequest({ ...FIRST, options }, []);
  assert.deepEqual(rest, {
    system: "s", options: { temperature: 0, seed: 5, num_predict: 9 }, samples: 2, one_at_a_time: true, think: false,
  });
  assert.ok(models && messages);
});

test("numbers of options are checked", () => {
  assert.ok(areValid({ ...DEFAULT_OPTIONS, temperature: "1.5", seed: "0", maxTokens: "10" }));
  for (const wrong of [{ temperature: "hot" }, { temperature: "3" }, { seed: "-1" }, { seed: "1.5" }, { maxTokens: "0" }]) {
    assert.equal(areValid({ ...DEFAULT_OPTIONS, ...wrong }), false, JSON.stringify(wrong));
  }
});

test("a vote enters every size of the question, and its withdrawal removes them", () => {
  let votes: Vote[] = toggle([], FIRST, "a:2");
  assert.deepEqual(votes.map(({ model, good }) => [model, good]), [["a:1", false], ["a:2", true]]);
  votes = toggle(votes, FIRST, "a:1");
  votes = toggle(votes, turn("t3", "y", { "a:1": "z" }), "a:1");
  assert.deepEqual(tally(votes), [{ model: "a:1", good: 2, asked: 2 }, { model: "a:2", good: 1, asked: 1 }]);
  votes = toggle(toggle(votes, FIRST, "a:1"), FIRST, "a:2");
  assert.deepEqual(votes.map(({ turn: id }) => id), ["t3"]);
});

test("exports have a row per answer, and no formula in them", () => {
  const hostile = turn("t4", "=1+1", { "a:1": "@SUM(A1)" });
  const rows = turnCsv(hostile, []).trimEnd().split("\r\n");
  assert.equal(rows.length, 2);
  assert.ok(rows[1]!.includes(",'=1+1,") && rows[1]!.endsWith(",'@SUM(A1)"));
  assert.ok(votesCsv(toggle([], hostile, "a:1")).includes(",'=1+1,"));
});

test("the oldest comparisons leave the history", () => {
  const entry = (at: string) => ({ id: at, at, prompt: "", models: [], turns: 1 });
  assert.deepEqual(surplus([entry("1"), entry("3"), entry("2")], 2).map(({ id }) => id), ["1"]);
});

test("single keys act outside of fields only, and can be switched off", () => {
  const press = (key: string, inField = false, modified = false) => action({ key, inField, modified }, true);
  assert.equal(press("/"), "focusQuestion");
  assert.equal(press("3"), 2);
  assert.equal(press("/", true), null);
  assert.equal(press("n", false, true), null);
  assert.equal(action({ key: "n", inField: false, modified: false }, false), null);
  assert.equal(action({ key: "Escape", inField: true, modified: false }, false), "stopAll");
});
