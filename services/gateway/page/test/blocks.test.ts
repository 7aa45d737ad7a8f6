import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockSplitter, type Block } from "../src/markdown/blocks";

function split(text: string, pieceLength = text.length || 1): Block[] {
  const splitter = new BlockSplitter();
  const blocks: Block[] = [];
  for (let at = 0; at < text.length; at += pieceLength) {
    blocks.push(...splitter.push(text.slice(at, at + pieceLength)));
  }
  return [...blocks, ...splitter.end()];
}

const kinds = (text: string) => split(text).map(({ kind }) => kind);

test("blank lines and headings divide text", () => {
  assert.deepEqual(split("# A\nb\nc\n\nd"), [
    { kind: "text", source: "# A" },
    { kind: "text", source: "b\nc\n" },
    { kind: "text", source: "d\n" },
  ]);
});

test("the pieces of the stream make no difference", () => {
  const text = "Intro\r\n\n- a\n\n  b\n- c\n\n```py\nx = 1\n\ny = 2\n```\n| a | b |\n|--|--|\n| 1 | 2 |\n\n$$\nx^2\n$$\nend";
  for (const length of [1, 2, 3, 7]) assert.deepEqual(split(text, length), split(text));
  assert.deepEqual(kinds(text), ["text", "text", "code", "text", "formula", "text"]);
});

test("a list goes on after blank lines, and ends with the text after it", () => {
  assert.deepEqual(kinds("1. a\n\n   more\n\n2. b\n\nText"), ["text", "text"]);
  assert.deepEqual(kinds("See:\n- a\n- b"), ["text", "text"]);
  assert.deepEqual(kinds("In\n1984. he\n"), ["text"]);
});

test("code in a list item stays in the item", () => {
  assert.deepEqual(kinds("- a\n  ```\n  x\n\n  y\n  ```\n- b\n"), ["text"]);
  assert.deepEqual(kinds("1. a\n```\nx\n```\n2. b\n"), ["text", "code", "text"]);
});

test("code ends with a fence of its own kind and length, or with the text", () => {
  assert.deepEqual(split("````md\n```\nx\n```\n````\ny"), [
    { kind: "code", language: "md", source: "```\nx\n```" },
    { kind: "text", source: "y\n" },
  ]);
  assert.deepEqual(split("~~~\nx"), [{ kind: "code", language: "", source: "x" }]);
});

test("open blocks are seen while they grow", () => {
  const splitter = new BlockSplitter();
  assert.equal(splitter.open, null);
  splitter.push("Hel");
  assert.deepEqual(splitter.open, { kind: "text", source: "Hel" });
  splitter.push("lo\n\n```js\nlet");
  assert.deepEqual(splitter.open, { kind: "code", language: "js", source: "let" });
});

test("formulas are blocks in each of their forms", () => {
  assert.deepEqual(split("$$ a $$"), [{ kind: "formula", source: " a " }]);
  assert.deepEqual(split("\\[\na\n\\]"), [{ kind: "formula", source: "a\n" }]);
  const environment = "\\begin{align*}\na &= b\n\\end{align*}";
  assert.deepEqual(split(environment), [{ kind: "formula", source: environment }]);
});

test("what begins like a formula and does not end like one is text", () => {
  assert.deepEqual(kinds("$$ in my pocket\n\nmore"), ["text", "text"]);
  assert.deepEqual(kinds("$$ in my pocket"), ["text"]);
  assert.deepEqual(split("$$ in my pocket").map(({ source }) => source.trim()), ["$$ in my pocket"]);
});

test("nothing of a megabyte is lost, and no block is large", () => {
  for (const line of ["word ".repeat(200_000), "x".repeat(1_000_000), "| a ".repeat(20) + "|\n"]) {
    const text = line.length > 500_000 ? line : line.repeat(12_000);
    const blocks = split(text, 1000);
    assert.equal(blocks.map(({ source }) => source).join("").replaceAll("\n", ""), text.replaceAll("\n", ""));
    assert.ok(Math.max(...blocks.map(({ source }) => source.length)) < 50_000);
  }
});

test("a megabyte in small pieces takes linear time", () => {
  const splitter = new BlockSplitter();
  const begun = performance.now();
  for (let count = 0; count < 100_000; count += 1) splitter.push("0123456789");
  splitter.end();
  assert.ok(performance.now() - begun < 2000);
});
