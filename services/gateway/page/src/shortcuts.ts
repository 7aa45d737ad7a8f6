/** Keys of the page outside of fields. Enter in the question is the field's own. */

export type Action =
  | { name: "focusQuestion" | "history" | "help" | "new" | "stopAll" }
  | { name: "focusColumn"; index: number };

export interface Pressed {
  key: string;
  /** Whether the key is typed into a field. */
  inField: boolean;
  /** Ctrl, Alt or Meta. */
  modified: boolean;
}

const SINGLE: Record<string, "focusQuestion" | "history" | "help" | "new"> = {
  "/": "focusQuestion",
  h: "history",
  "?": "help",
  n: "new",
};

/** `singleKeys` can be switched off: speech input types letters. */
export function action(pressed: Pressed, singleKeys: boolean): Action | null {
  if (pressed.modified) return null;
  if (pressed.key === "Escape") return { name: "stopAll" };
  if (pressed.inField || !singleKeys) return null;
  const name = SINGLE[pressed.key];
  if (name !== undefined) return { name };
  if (/^[1-9]$/.test(pressed.key)) return { name: "focusColumn", index: Number(pressed.key) - 1 };
  return null;
}
