// What every client asks, and what the models answer at temperature 0: questions.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export const URL = process.env.SIZEUP_URL;
export const LIMIT = { timeout: 60_000 };

export const {
  MODEL, ENDLESS, UNKNOWN, CREATED, COPIED, QUESTION, ANSWER, STOP, BEFORE_STOP, COUNT, COUNTED, SYSTEM, SYSTEM_QUESTION,
  SYSTEM_ANSWER, STORY, WEATHER_QUESTION, WEATHER_ANSWER, ARGUMENTS, RESULT, TOOL, SCHEMA, DIMENSIONS,
  CANCEL_SECONDS,
} = JSON.parse(readFileSync(`${import.meta.dirname}/../questions.json`));

export function getWeather(given) {
  assert.deepEqual(given, ARGUMENTS);
  return RESULT;
}

export function asked(text = QUESTION, system = undefined) {
  const user = { role: "user", content: text };
  return system === undefined ? [user] : [{ role: "system", content: system }, user];
}

export function assertAnswer(value) {
  assert.deepEqual(Object.keys(value).sort(), ["color", "count"]);
  assert.ok(["red", "blue"].includes(value.color) && Number.isInteger(value.count));
}

export async function collected(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

// The gateway counts one more request as cancelled soon after the action.
export async function oneCancelled(action) {
  const before = await cancelled();
  await action();
  const deadline = Date.now() + CANCEL_SECONDS * 1000;
  while ((await cancelled()) === before && Date.now() < deadline) await sleep(50);
  assert.equal(await cancelled(), before + 1);
}

async function cancelled() {
  const text = await (await fetch(`${URL}/metrics`)).text();
  const counts = text.matchAll(/requests_total\{[^}]*outcome="cancelled"[^}]*\} (\S+)/g);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}
