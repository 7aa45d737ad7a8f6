/** The text of one answer, kept up to date while it grows. */

import { BlockSplitter, type Block } from "./blocks";
import { create } from "./create";
import { elements } from "./elements";
import { parse } from "./parser";
import { codeElement, formulaElement } from "./rich";

/** A longer open block is shown as plain text until it closes. */
const LONGEST_OPEN = 12_000;
/** The open block is rendered again when this multiple of the time it took has passed. */
const PATIENCE = 8;
/** Milliseconds of a frame that closed blocks may take; the rest waits for the next frame. */
const BUDGET = 6;

/** What is shown of the block that still grows. */
interface Tail {
  block: Block;
  element: HTMLElement;
}

export class AnswerView {
  private readonly splitter = new BlockSplitter();
  private readonly queue: Block[] = [];
  private shown = "";
  private tail: Tail | null = null;
  private notBefore = 0;
  private ended = false;
  private frame = 0;

  constructor(private readonly root: HTMLElement) {
    root.replaceChildren();
  }

  /** Whether the text goes on where the one that is shown ends. */
  continues(text: string, done: boolean): boolean {
    if (this.ended) return text === this.shown;
    // The end of the stream repeats the text: only then is it compared as a whole.
    return text.length >= this.shown.length && (!done || text.startsWith(this.shown));
  }

  /** Shows the text; `done` when it will not grow any more. */
  update(text: string, done: boolean): void {
    if (this.ended) return;
    this.queue.push(...this.splitter.push(text.slice(this.shown.length)));
    if (done) this.queue.push(...this.splitter.end());
    this.shown = text;
    this.ended = done;
    this.drain();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
  }

  private drain(): void {
    const begun = performance.now();
    let next = 0;
    for (; next < this.queue.length; next += 1) {
      if (next > 0 && performance.now() - begun > BUDGET) break;
      const block = this.queue[next];
      // A closed block takes the place of the open one.
      if (block) this.putLast(render(block));
      this.tail = null;
      this.notBefore = 0;
    }
    this.queue.splice(0, next);
    cancelAnimationFrame(this.frame);
    if (this.queue.length > 0) this.frame = requestAnimationFrame(() => this.drain());
    else this.showTail(begun);
  }

  private putLast(element: HTMLElement): void {
    if (this.tail) this.tail.element.replaceWith(element);
    else this.root.append(element);
  }

  private showTail(now: number): void {
    const block = this.ended ? null : this.splitter.open;
    const { tail } = this;
    if (block === null) {
      tail?.element.remove();
      this.tail = null;
      return;
    }
    if (tail && block.source === tail.block.source && block.kind === tail.block.kind) return;
    if (now < this.notBefore) return;
    const text = tail && growingText(tail, block);
    if (text) {
      text.appendData(block.source.slice(text.length));
      tail.block = block;
    } else {
      const element = block.source.length > LONGEST_OPEN ? plain(block.source) : render(block, true);
      this.putLast(element);
      this.tail = { block, element };
    }
    this.notBefore = now + (performance.now() - now) * PATIENCE;
  }
}

/** The text node to which the rest of the block is added, where the block is not parsed. */
function growingText({ block, element }: Tail, next: Block): Text | null {
  if (block.kind !== next.kind || !next.source.startsWith(block.source)) return null;
  // The language is known once its line has ended.
  if (block.kind === "code" && next.kind === "code" && block.language !== next.language) return null;
  const holder = block.kind === "code" ? element.querySelector("code") : element;
  const isPlain = block.kind === "code" || element.classList.contains("plain");
  const text = isPlain ? holder?.firstChild : null;
  return text instanceof Text && holder?.childNodes.length === 1 ? text : null;
}

function render(block: Block, grows = false): HTMLElement {
  if (block.kind === "plain") return plain(block.source);
  return create("div", { class: "block" }, content(block, grows));
}

function content(block: Block, grows: boolean): Node {
  if (block.kind === "code") return codeElement(block.language, block.source, grows);
  if (block.kind === "formula") return formulaElement(block.source, true);
  return elements(parse(block.source));
}

function plain(source: string): HTMLElement {
  return create("div", { class: "block plain" }, source);
}
