import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokenStream, objects } from "../src/ndjson";

type Bytes = Uint8Array<ArrayBuffer>;

const bytes = (text: string): Bytes => new TextEncoder().encode(text);

function stream(...pieces: Bytes[]): ReadableStream<Bytes> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

async function all(source: ReadableStream<Bytes>): Promise<object[]> {
  const found: object[] = [];
  for await (const object of objects(source)) found.push(object);
  return found;
}

test("lines end where the line breaks are, not where the pieces are", async () => {
  const pieces = ['{"a":', '1}\n{"b":2}\n\n{"c"', ":3}"].map(bytes);
  assert.deepEqual(await all(stream(...pieces)), [{ a: 1 }, { b: 2 }, { c: 3 }]);
  assert.deepEqual(await all(stream(...pieces, bytes("\n \n"))), [{ a: 1 }, { b: 2 }, { c: 3 }]);
});

test("an object is seen as soon as its line ends", async () => {
  const { readable, writable } = new TransformStream<Bytes, Bytes>();
  void writable.getWriter().write(bytes('{"a":1}\n{"b"'));
  assert.deepEqual((await objects(readable).next()).value, { a: 1 });
});

test("a character may be divided between pieces", async () => {
  const pieces = Array.from(bytes('{"text":"世界 😀"}\n{"done":true}'), (byte) => Uint8Array.of(byte));
  assert.deepEqual(await all(stream(...pieces)), [{ text: "世界 😀" }, { done: true }]);
});

test("a line that is no object breaks the stream", async () => {
  for (const line of ["<html>\n", "3\n", "null\n", '{"a":']) {
    await assert.rejects(all(stream(bytes(line))), BrokenStream);
  }
});

test("a megabyte in small pieces is one line", async () => {
  const pieces = ['{"x":"', ...Array.from({ length: 10_000 }, () => "x".repeat(100)), '"}\n'];
  assert.deepEqual(await all(stream(...pieces.map(bytes))), [{ x: "x".repeat(1_000_000) }]);
});
