/** Small settings that stay in this browser. A browser may forbid storage: then they last as long as the page. */

type Name = "language" | "models" | "shortcuts" | "theme" | "votes";

const PREFIX = "sizeup.";
const unsaved = new Map<Name, string>();

export function readSetting(name: Name): string | null {
  try {
    return localStorage.getItem(PREFIX + name) ?? unsaved.get(name) ?? null;
  } catch {
    return unsaved.get(name) ?? null;
  }
}

export function writeSetting(name: Name, value: string): void {
  unsaved.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // It lasts as long as the page.
  }
}
