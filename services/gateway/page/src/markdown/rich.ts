/** Code and formulas: shown as their source at once, and highlighted or set when their part of the page has
 * loaded, which happens when the first answer needs it.
 */

import { copyText } from "../clipboard";
import { t } from "../language";
import { create } from "./create";

/** Longer code is not highlighted, and a longer formula is not set. */
const LONGEST_CODE = 20_000;
const LONGEST_FORMULA = 4_000;

/** Code that still grows is not highlighted yet. */
export function codeElement(language: string, source: string, grows = false): HTMLElement {
  const code = create("code", {}, source);
  const name = create("span", {}, language.slice(0, 30));
  const bar = create("div", { class: "code-bar" }, name, copyButton(code));
  const isHighlighted = !grows && language !== "" && source.length <= LONGEST_CODE;
  if (isHighlighted) void highlight(code, language, source);
  return create("div", { class: "code" }, bar, create("pre", { tabindex: "0" }, code));
}

async function highlight(code: HTMLElement, language: string, source: string): Promise<void> {
  const { highlighted } = await import("../code");
  const nodes = highlighted(language.toLowerCase(), source);
  if (nodes !== null) code.replaceChildren(...nodes);
}

export function formulaElement(source: string, display: boolean): HTMLElement {
  const code = create("code", {}, source);
  const shown = display
    ? create("div", { class: "formula display", tabindex: "0" }, code)
    : create("span", { class: "formula" }, code);
  if (source.length <= LONGEST_FORMULA) void typeset(shown, source, display);
  return shown;
}

async function typeset(shown: HTMLElement, source: string, display: boolean): Promise<void> {
  const { formula } = await import("../formulas");
  const math = formula(source, display);
  if (math !== null) shown.replaceChildren(math);
}

/** Copies what the code has become by then. */
function copyButton(code: HTMLElement): HTMLElement {
  const button = create("button", { type: "button", class: "quiet small" }, t("copy"));
  button.addEventListener("click", () => {
    void copyText(code.textContent ?? "").then((copied) => {
      if (copied) button.textContent = t("copied");
    });
  });
  button.addEventListener("blur", () => {
    button.textContent = t("copy");
  });
  return button;
}
