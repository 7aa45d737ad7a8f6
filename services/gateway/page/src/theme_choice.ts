/** Light, dark, or what the system prefers. */

import { readSetting, writeSetting } from "./settings";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export function storedTheme(): Theme {
  const stored = readSetting("theme");
  return THEMES.find((theme) => theme === stored) ?? "auto";
}

export function applyTheme(theme: Theme): void {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset["theme"] = theme === "auto" ? (dark ? "dark" : "light") : theme;
}

export function chooseTheme(theme: Theme): void {
  writeSetting("theme", theme);
  applyTheme(theme);
}
