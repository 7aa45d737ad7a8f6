/** Code and formulas: shown as their source at once, and highlighted or set when their part of the page has
 * loaded, which happens when the first answer needs it.
 */

import { copyText } from "../clipboard";
import { t } from "../language";

/** Longer code is not highlighted, and a longer formula is not set. */
const LONGEST_CODE = 20_000;
const LONGEST_FORMULA = 4_000;

let highlighting: Promise<typeof import("../code")> | undefined;
let typesetting: Promise<typeof import("../formulas")> | undefined;

/** Code that still grows is not highlighted yet. */
export function codeElement(language: string, source: string, grows = false): HTMLElement {
  const block = document.createElement("div");
  block.className = "code";
  const bar = document.createElement("div");
  bar.className = "code-bar";
  const name = document.createElement("span");
  name.textContent = language.slice(0, 30);
  bar.append(name, copyButton(() => source));
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  const code = document.createElement("code");
  code.textContent = source;
  pre.append(code);
  block.append(bar, pre);
  const isHighlighted = !grows && language !== "" && source.length <= LONGEST_CODE;
  if (isHighlighted) void highlight(code, language, source);
  return block;
}

async function highlight(code: HTMLElement, language: string, source: string): Promise<void> {
  highlighting ??= import("../code");
  const { highlighted } = await highlighting;
  const nodes = highlighted(language.toLowerCase(), source);
  if (nodes !== null) code.replaceChildren(nodes);
}

export function formulaElement(source: string, display: boolean): HTMLElement {
  const shown = document.createElement(display ? "div" : "span");
  shown.className = display ? "formula display" : "formula";
  if (display) shown.tabIndex = 0;
  const code = document.createElement("code");
  code.textContent = source;
  shown.append(code);
  if (source.length <= LONGEST_FORMULA) void typeset(shown, source, display);
  return shown;
}

async function typeset(shown: HTMLElement, source: string, display: boolean): Promise<void> {
  typesetting ??= import("../formulas");
  const { formula } = await typesetting;
  const math = formula(source, display);
  if (math !== null) shown.replaceChildren(math);
}

export function copyButton(source: () => string): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet small";
  button.textContent = t("copy");
  button.addEventListener("click", () => {
    void copyText(source()).then((copied) => {
      if (copied) button.textContent = t("copied");
    });
  });
  button.addEventListener("blur", () => {
    button.textContent = t("copy");
  });
  return button;
}
