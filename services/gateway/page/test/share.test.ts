import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_OPTIONS, readLink, writeLink } from "../src/share";

test("a link fills in models and prompt", () => {
  assert.deepEqual(readLink("?models=a:1b,b:2b&prompt=What%20is%201%2B1%3F"), {
    models: ["a:1b", "b:2b"],
    prompt: "What is 1+1?",
    options: {},
  });
});

test("an empty or strange link fills in nothing", () => {
  const nothing = { models: [], prompt: "", options: {} };
  assert.deepEqual(readLink(""), nothing);
  assert.deepEqual(readLink("?models=,,&temperature=hot&seed=-1&num_predict=1e9&samples=99"), nothing);
});

test("models are distinct and bounded, texts too", () => {
  const many = Array.from({ length: 40 }, (_, index) => `m:${index}`).join(",");
  assert.equal(readLink(`?models=${many},m:1,m:1`).models.length, 16);
  assert.deepEqual(readLink("?models=a,a,%20a").models, ["a"]);
  assert.equal(readLink(`?prompt=${"x".repeat(9000)}`).prompt.length, 4000);
});

test("what is written is read", () => {
  const options = {
    ...DEFAULT_OPTIONS, system: "Be brief & kind, 请", temperature: "0.5", seed: "7", maxTokens: "64",
    samples: 3, oneAtATime: true,
  };
  const link = writeLink("https://x.example/a/", ["toy:2m", "Qwen/Q+w"], "1 + 1 = #?&\n你好", options);
  assert.ok(link.startsWith("https://x.example/a/?models=toy:2m,Qwen%2FQ%2Bw&prompt="));
  const read = readLink(new URL(link).search);
  assert.deepEqual(read.models, ["toy:2m", "Qwen/Q+w"]);
  assert.equal(read.prompt, "1 + 1 = #?&\n你好");
  assert.deepEqual({ ...DEFAULT_OPTIONS, ...read.options }, options);
});

test("what is not set is not in the link", () => {
  assert.equal(writeLink("http://h/", ["a"], "b", DEFAULT_OPTIONS), "http://h/?models=a&prompt=b");
});
