/** The texts of the page in the reader's language. */

import { readSetting, writeSetting } from "./settings";
import { en, type Texts } from "./strings/en";
import { zh } from "./strings/zh";

export const LANGUAGES = { en: "English", "zh-CN": "中文" } as const;
export type Language = keyof typeof LANGUAGES;
export type Key = keyof Texts;

const TEXTS: Record<Language, Texts> = { en, "zh-CN": zh };

let current: Language = "en";

export function language(): Language {
  return current;
}

/** The stored choice, or the first of the browser's languages that the page has. */
export function preferredLanguage(stored: string | null, browser: readonly string[]): Language {
  const match = [stored ?? "", ...browser].find((tag) => /^(en|zh)\b/i.test(tag));
  return match !== undefined && /^zh/i.test(match) ? "zh-CN" : "en";
}

export function initLanguage(): void {
  apply(preferredLanguage(readSetting("language"), navigator.languages));
}

export function chooseLanguage(chosen: Language): void {
  writeSetting("language", chosen);
  apply(chosen);
}

function apply(chosen: Language): void {
  current = chosen;
  document.documentElement.lang = chosen;
  document.title = t("title");
}

/** A text with its `{names}` replaced. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return TEXTS[current][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A text whose `{names}` are replaced by elements. */
export function parts<Part>(key: Key, values: Record<string, Part>): (string | Part)[] {
  return TEXTS[current][key]
    .split(/(\{\w+\})/)
    .filter((piece) => piece !== "")
    .map((piece) => values[/^\{(\w+)\}$/.exec(piece)?.[1] ?? ""] ?? piece);
}

/** One of two texts: English has a singular. */
export function plural(count: number, one: Key, many: Key, values: Record<string, string> = {}): string {
  return t(count === 1 ? one : many, { n: count, ...values });
}
