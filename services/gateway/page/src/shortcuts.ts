/** Keys of the page outside of fields, and Enter in a field. */

import type { Page } from "./page";

/** A number is the place of a column. */
export type Action = "focusQuestion" | "history" | "help" | "new" | "stopAll" | number;

export interface Pressed {
  key: string;
  /** Whether the key is typed into a field. */
  inField: boolean;
  /** Ctrl, Alt or Meta. */
  modified: boolean;
}

const SINGLE: Record<string, Action> = { "/": "focusQuestion", h: "history", "?": "help", n: "new" };

/** `singleKeys` can be switched off: speech input types letters. */
export function action({ key, inField, modified }: Pressed, singleKeys: boolean): Action | null {
  if (modified) return null;
  if (key === "Escape") return "stopAll";
  if (inField || !singleKeys) return null;
  return /^[1-9]$/.test(key) ? Number(key) - 1 : (SINGLE[key] ?? null);
}

/** Acts on the keys of the page from now on. */
export function listen(page: Page): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || page.dialog !== null) return;
    const target = event.target instanceof HTMLElement ? event.target : null;
    const inField = target?.closest("input, textarea, select") != null;
    const modified = event.ctrlKey || event.altKey || event.metaKey;
    const found = action({ key: event.key, inField, modified }, page.singleKeys);
    if (found === null) return;
    if (found !== "stopAll") event.preventDefault();
    perform(page, found);
  });
}

function perform(page: Page, found: Action): void {
  if (found === "stopAll") page.stopAll();
  else if (found === "focusQuestion") focusQuestion();
  else if (typeof found === "number") focusColumn(found);
  else if (found === "new") {
    page.startNew();
    requestAnimationFrame(focusQuestion);
  } else page.show(found);
}

export function focusQuestion(): void {
  document.getElementById("question")?.focus();
}

/** The answer of the n-th size to the last question. */
function focusColumn(index: number): void {
  const last = document.querySelector(".turn:last-of-type");
  last?.querySelectorAll<HTMLElement>(".column")[index]?.focus();
}

/** Sends the form of a field; Enter that chooses a word of an input method belongs to it. */
export function sendOnEnter(event: KeyboardEvent & { currentTarget: HTMLTextAreaElement }): void {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.currentTarget.form?.requestSubmit();
}
