/** Lines of JSON out of a stream whose pieces end anywhere. */

/** Joins pieces to lines. A line of many pieces is joined once, when it ends. */
export class LineSplitter {
  private pieces: string[] = [];

  push(piece: string): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = piece.indexOf("\n"); end >= 0; end = piece.indexOf("\n", start)) {
      this.pieces.push(piece.slice(start, end));
      lines.push(this.take());
      start = end + 1;
    }
    if (start < piece.length) this.pieces.push(piece.slice(start));
    return lines.filter((line) => line.trim() !== "");
  }

  /** The last line, where the stream ends without a line break. */
  end(): string[] {
    const line = this.take();
    return line.trim() === "" ? [] : [line];
  }

  private take(): string {
    const line = this.pieces.join("");
    this.pieces = [];
    return line;
  }
}

export class BrokenStream extends Error {}

/** The objects of the stream, as they arrive; raises BrokenStream for a line that is no object. */
export async function* objects(stream: ReadableStream<Uint8Array>): AsyncGenerator<object> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const splitter = new LineSplitter();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const lines = done
        ? [...splitter.push(decoder.decode()), ...splitter.end()]
        : splitter.push(decoder.decode(value, { stream: true }));
      for (const line of lines) yield parsed(line);
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // an aborted stream cannot be cancelled
  }
}

function parsed(line: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new BrokenStream(line.slice(0, 200));
  }
  if (typeof value !== "object" || value === null) throw new BrokenStream(line.slice(0, 200));
  return value;
}
