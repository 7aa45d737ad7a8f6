/** Blocks of a Markdown text that grows: a closed block never changes again, so that only the open one is
 * rendered at each frame. Lines are read once, whatever the length of the text.
 */

export type Block =
  | { kind: "text"; source: string }
  | { kind: "code"; language: string; source: string }
  | { kind: "formula"; source: string }
  /** Text too long to be parsed: shown as it is. */
  | { kind: "plain"; source: string };

/** A longer line, or a longer block, is divided, so that no single block can stall the page. */
const LONGEST_LINE = 16_000;
const LONGEST_BLOCK = 48_000;

const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([^`]*)$/;
const INDENTED_FENCE = /^\s*(`{3,}|~{3,})/;
const LIST_ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
/** Of these only a list that begins with 1 interrupts a paragraph: a year may begin a line. */
const INTERRUPTING_ITEM = /^ {0,3}(?:[-*+]|1[.)])\s/;
const HEADING = /^ {0,3}#{1,6}(?:\s|$)/;
const ENVIRONMENT = /^\\begin\{((?:equation|align|alignat|gather|multline)\*?)\}/;

type State =
  | { kind: "text" }
  | { kind: "list"; afterBlank: boolean; fence: string | null }
  | { kind: "code"; language: string; fence: string }
  | { kind: "formula"; opening: string; closing: string };

export class BlockSplitter {
  private state: State = { kind: "text" };
  private current = "";
  private partial = "";
  /** The rest of this line belongs to a line that was divided. */
  private inLongLine = false;
  private closed: Block[] = [];

  /** Adds text and returns the blocks that it closes. */
  push(text: string): Block[] {
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      const line = this.partial + text.slice(start, end);
      this.partial = "";
      this.addLine(line.endsWith("\r") ? line.slice(0, -1) : line);
      start = end + 1;
    }
    this.partial += text.slice(start);
    while (this.partial.length > LONGEST_LINE) this.divideLine();
    return this.take();
  }

  /** The block that still grows. */
  get open(): Block | null {
    const source = this.current + this.partial;
    if (this.inLongLine) return source === "" ? null : { kind: "plain", source };
    if (this.state.kind === "code") {
      return { kind: "code", language: this.state.language, source };
    }
    if (source.trim() === "") return null;
    if (this.state.kind === "formula") return { kind: "formula", source };
    const opening = FENCE.exec(this.partial);
    if (opening && this.current === "") return { kind: "code", language: "", source: "" };
    return { kind: "text", source };
  }

  /** Ends the text and returns the last blocks. */
  end(): Block[] {
    if (this.partial !== "") this.addLine(this.partial);
    this.partial = "";
    // A formula that never ends is text with a dollar sign.
    if (this.state.kind === "formula") this.turnIntoText(this.state);
    this.close();
    return this.take();
  }

  private take(): Block[] {
    const { closed } = this;
    this.closed = [];
    return closed;
  }

  private addLine(line: string): void {
    if (this.inLongLine) {
      this.closed.push({ kind: "plain", source: line });
      this.inLongLine = false;
      return;
    }
    if (this.state.kind === "code") this.addToCode(line, this.state);
    else if (this.state.kind === "formula") this.addToFormula(line, this.state);
    else if (this.state.kind === "list") this.addToList(line, this.state);
    else this.addToText(line);
    if (this.current.length > LONGEST_BLOCK) this.divideBlock();
  }

  private addToText(line: string): void {
    if (line.trim() === "") {
      this.close();
    } else if (!this.opens(line)) {
      const begins = this.current === "" ? LIST_ITEM : INTERRUPTING_ITEM;
      if (begins.test(line)) {
        this.close();
        this.state = { kind: "list", afterBlank: false, fence: null };
      }
      this.current += `${line}\n`;
    }
  }

  private addToList(line: string, state: Extract<State, { kind: "list" }>): void {
    if (state.fence !== null) {
      if (line.trim().startsWith(state.fence)) state.fence = null;
      this.current += `${line}\n`;
      return;
    }
    if (line.trim() === "") {
      state.afterBlank = true;
      this.current += "\n";
      return;
    }
    const leaves = state.afterBlank && !/^\s{2,}/.test(line) && !LIST_ITEM.test(line);
    if (leaves || (!/^\s/.test(line) && !LIST_ITEM.test(line) && this.interrupts(line))) {
      this.close();
      this.addToText(line);
      return;
    }
    state.afterBlank = false;
    state.fence = INDENTED_FENCE.exec(line)?.[1] ?? null;
    this.current += `${line}\n`;
  }

  private interrupts(line: string): boolean {
    return FENCE.test(line) || HEADING.test(line) || formulaOpening(line) !== null;
  }

  /** Begins a block of its own with this line, if it is one that does. */
  private opens(line: string): boolean {
    const fence = FENCE.exec(line);
    if (fence) {
      this.close();
      const language = (fence[3] ?? "").trim().split(/\s/)[0] ?? "";
      this.state = { kind: "code", language, fence: fence[2] ?? "" };
      return true;
    }
    if (HEADING.test(line)) {
      this.close();
      this.closed.push({ kind: "text", source: line });
      return true;
    }
    const found = formulaOpening(line);
    if (found === null) return false;
    this.close();
    const state: State = { kind: "formula", opening: found.opening, closing: found.closing };
    this.state = state;
    if (found.rest.trim() !== "") this.addToFormula(found.rest, state);
    return true;
  }

  private addToCode(line: string, state: Extract<State, { kind: "code" }>): void {
    const closing = line.trim();
    const fence = state.fence[0] ?? "`";
    const closes = closing.length >= state.fence.length && closing === fence.repeat(closing.length);
    if (closes && !/^ {4}/.test(line)) this.close();
    else this.current += `${line}\n`;
  }

  private addToFormula(line: string, state: Extract<State, { kind: "formula" }>): void {
    const keeps = state.opening === ""; // an environment, with its begin and end
    const end = keeps ? line.lastIndexOf(state.closing) : line.indexOf(state.closing);
    if (line.trim() === "") {
      // TeX knows no blank line in a formula: it was none.
      this.turnIntoText(state);
      this.close();
    } else if (end >= 0 && line.slice(end + state.closing.length).trim() === "") {
      this.current += keeps ? line : line.slice(0, end);
      this.close();
    } else {
      this.current += `${line}\n`;
    }
  }

  private turnIntoText(state: Extract<State, { kind: "formula" }>): void {
    this.current = state.opening + this.current;
    this.state = { kind: "text" };
  }

  private close(): void {
    const { state, current } = this;
    this.state = { kind: "text" };
    this.current = "";
    if (state.kind === "code") {
      this.closed.push({ kind: "code", language: state.language, source: current.replace(/\n$/, "") });
    } else if (current.trim() !== "") {
      const isFormula = state.kind === "formula" || isEnvironment(current);
      this.closed.push({ kind: isFormula ? "formula" : "text", source: current });
    }
  }

  private divideLine(): void {
    const piece = this.partial.slice(0, LONGEST_LINE);
    this.partial = this.partial.slice(LONGEST_LINE);
    if (this.state.kind === "code") {
      const { language } = this.state;
      this.closed.push({ kind: "code", language, source: this.current + piece });
      this.current = "";
      return;
    }
    if (!this.inLongLine) this.close();
    this.inLongLine = true;
    this.closed.push({ kind: "plain", source: piece });
  }

  private divideBlock(): void {
    const { state } = this;
    this.close();
    if (state.kind === "code") this.state = state;
  }
}

function isEnvironment(source: string): boolean {
  return ENVIRONMENT.test(source) && /\\end\{[a-z*]+\}\s*$/.test(source);
}

/** The beginning of a formula in a block of its own, and the rest of its line, which may end it. */
function formulaOpening(line: string): { opening: string; closing: string; rest: string } | null {
  const text = line.trim();
  const environment = ENVIRONMENT.exec(text)?.[1];
  if (environment !== undefined) return { opening: "", closing: `\\end{${environment}}`, rest: text };
  const opening = text.slice(0, 2);
  if (opening !== "$$" && opening !== "\\[") return null;
  const closing = opening === "$$" ? "$$" : "\\]";
  const rest = text.slice(opening.length);
  const end = rest.indexOf(closing);
  const isWhole = end > 0 && end + closing.length === rest.length;
  return end < 0 || isWhole ? { opening, closing, rest } : null;
}
