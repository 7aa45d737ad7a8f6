/** Lines of JSON out of a stream whose pieces end anywhere. */

export class BrokenStream extends Error {}

/** The objects of the stream, as they arrive; raises BrokenStream for a line that is no object. */
export async function* objects(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<object> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  /** The line that has not ended. One of many pieces is joined once, when it ends. */
  let pieces: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const [rest = "", ...begun] = (done ? "\n" : value).split("\n");
      pieces.push(rest);
      for (const piece of begun) {
        const line = pieces.join("");
        pieces = [piece];
        if (line.trim() !== "") yield parsed(line);
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // an aborted stream cannot be cancelled
  }
}

function parsed(line: string): object {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // It is reported below.
  }
  throw new BrokenStream(line.slice(0, 200));
}
