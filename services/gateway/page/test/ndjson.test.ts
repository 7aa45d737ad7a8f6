import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokenStream, LineSplitter, objects } from "../src/ndjson";

function stream(...pieces: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

async function all(source: ReadableStream<Uint8Array>): Promise<object[]> {
  const found: object[] = [];
  for await (const object of objects(source)) found.push(object);
  return found;
}

test("lines end where the line breaks are, not where the pieces are", () => {
  const splitter = new LineSplitter();
  assert.deepEqual(splitter.push('{"a":'), []);
  assert.deepEqual(splitter.push('1}\n{"b":2}\n\n{"c"'), ['{"a":1}', '{"b":2}']);
  assert.deepEqual(splitter.push(":3}"), []);
  assert.deepEqual(splitter.end(), ['{"c":3}']);
  assert.deepEqual(splitter.end(), []);
});

test("a character may be divided between pieces", async () => {
  const bytes = new TextEncoder().encode('{"text":"世界 😀"}\n{"done":true}');
  const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte));
  assert.deepEqual(await all(stream(...pieces)), [{ text: "世界 😀" }, { done: true }]);
});

test("a line that is no object breaks the stream", async () => {
  const encoder = new TextEncoder();
  for (const line of ["<html>\n", "3\n", "null\n", '{"a":']) {
    await assert.rejects(all(stream(encoder.encode(line))), BrokenStream);
  }
});

test("a megabyte in small pieces is joined once", () => {
  const splitter = new LineSplitter();
  const piece = "x".repeat(100);
  for (let count = 0; count < 10_000; count += 1) splitter.push(piece);
  const [line] = splitter.push("\n");
  assert.equal(line?.length, 1_000_000);
});
