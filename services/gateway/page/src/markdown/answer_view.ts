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

export class AnswerView {
  private splitter = new BlockSplitter();
  private shown = "";
  private queue: Block[] = [];
  private tail: HTMLElement | null = null;
  private tailKind = "";
  private tailSource = "";
  private notBefore = 0;
  private ended = false;
  private frame = 0;

  constructor(private readonly root: HTMLElement) {}

  /** Shows the text; `done` when it will not grow any more. */
  update(text: string, done: boolean): void {
    if (this.ended && text === this.shown) return;
    const grows = !this.ended && text.length >= this.shown.length;
    // The end of the stream repeats the text: only then is it compared as a whole.
    if (!grows || (done && !text.startsWith(this.shown))) this.reset();
    if (text.length > this.shown.length) {
      this.queue.push(...this.splitter.push(text.slice(this.shown.length)));
      this.shown = text;
    }
    if (done && !this.ended) {
      this.queue.push(...this.splitter.end());
      this.ended = true;
    }
    this.drain();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
  }

  private reset(): void {
    this.splitter = new BlockSplitter();
    this.shown = "";
    this.queue = [];
    this.tail = null;
    this.tailSource = "";
    this.ended = false;
    this.root.replaceChildren();
  }

  private drain(): void {
    const begun = performance.now();
    let next = 0;
    for (; next < this.queue.length; next += 1) {
      if (next > 0 && performance.now() - begun > BUDGET) break;
      const block = this.queue[next];
      if (block) this.append(render(block));
    }
    this.queue.splice(0, next);
    cancelAnimationFrame(this.frame);
    if (this.queue.length > 0) this.frame = requestAnimationFrame(() => this.drain());
    else this.showTail(begun);
  }

  /** A closed block takes the place of the open one. */
  private append(block: HTMLElement): void {
    if (this.tail) this.tail.replaceWith(block);
    else this.root.append(block);
    this.tail = null;
    this.tailSource = "";
    this.notBefore = 0;
  }

  private showTail(now: number): void {
    const open = this.ended ? null : this.splitter.open;
    if (open === null) {
      this.tail?.remove();
      this.tail = null;
      return;
    }
    if (this.tail && open.source === this.tailSource && open.kind === this.tailKind) return;
    if (now < this.notBefore) return;
    const text = this.tailText(open);
    if (text && open.source.startsWith(this.tailSource)) {
      text.appendData(open.source.slice(this.tailSource.length));
    } else {
      const element = open.source.length > LONGEST_OPEN ? plain(open.source) : render(open, true);
      if (this.tail) this.tail.replaceWith(element);
      else this.root.append(element);
      this.tail = element;
    }
    this.tailKind = open.kind;
    this.tailSource = open.source;
    this.notBefore = now + (performance.now() - now) * PATIENCE;
  }

  /** The text node that grows, where the open block is not parsed. */
  private tailText(open: Block): Text | null {
    if (!this.tail || this.tailKind !== open.kind) return null;
    const holder = open.kind === "code" ? this.tail.querySelector("code") : this.tail;
    const isPlain = open.kind === "code" || this.tail.classList.contains("plain");
    const text = isPlain ? holder?.firstChild : null;
    return text instanceof Text && holder?.childNodes.length === 1 ? text : null;
  }
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
