/** Small settings that stay in this browser. A browser may forbid storage: then they last as long as the page. */

type Name = "language" | "models" | "options" | "shortcuts" | "theme" | "votes";

const PREFIX = "sizeup.";
const unsaved = new Map<Name, string>();

export function readSetting(name: Name): string | null {
  try {
    return localStorage.getItem(PREFIX + name) ?? unsaved.get(name) ?? null;
  } catch {
    return unsaved.get(name) ?? null;
  }
}

/** Returns whether the browser keeps it. */
export function writeSetting(name: Name, value: string): boolean {
  unsaved.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, value);
    return true;
  } catch {
    return false;
  }
}
