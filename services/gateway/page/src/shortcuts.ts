/** Keys of the page outside of fields, and Enter in a field. */

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

/** Sends the form of a field; Enter that chooses a word of an input method belongs to it. */
export function sendOnEnter(event: KeyboardEvent & { currentTarget: HTMLTextAreaElement }): void {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.currentTarget.form?.requestSubmit();
}
