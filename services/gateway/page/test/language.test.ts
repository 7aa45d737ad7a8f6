import assert from "node:assert/strict";
import { test } from "node:test";
import { preferredLanguage } from "../src/language";
import { en } from "../src/strings/en";
import { zh } from "../src/strings/zh";

const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("both languages have the same keys", () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
});

test("both languages fill in the same names", () => {
  for (const [key, text] of Object.entries(en)) {
    assert.deepEqual(names(zh[key as keyof typeof en]), names(text), key);
  }
});

test("no text is empty", () => {
  for (const [key, text] of [...Object.entries(en), ...Object.entries(zh)]) assert.notEqual(text.trim(), "", key);
});

test("the stored language wins, then the browser's first one that the page has", () => {
  assert.equal(preferredLanguage(null, ["zh-TW", "en"]), "zh-CN");
  assert.equal(preferredLanguage(null, ["fr", "zh"]), "zh-CN");
  assert.equal(preferredLanguage(null, ["fr", "en-GB", "zh"]), "en");
  assert.equal(preferredLanguage(null, ["fr"]), "en");
  assert.equal(preferredLanguage("en", ["zh"]), "en");
  assert.equal(preferredLanguage("zh-CN", ["en"]), "zh-CN");
});
