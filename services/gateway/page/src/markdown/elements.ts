/** Elements of parsed Markdown. No string of HTML is parsed anywhere: HTML in an answer is text. */

import type { MarkedToken, Token, Tokens } from "marked";
import { create } from "./create";
import { decodeEntities } from "./entities";
import { safeLink } from "./links";
import type { FormulaToken } from "./parser";
import { codeElement, formulaElement } from "./rich";

/** Nested deeper than this, Markdown is shown as its source. */
const DEEPEST = 24;
/** The headings of an answer stand below the name of its size, a heading of level 3. */
const HEADING_OFFSET = 3;
/** Elements without attributes, by the type of their token. */
const NAMES = { paragraph: "p", blockquote: "blockquote", strong: "strong", em: "em", del: "del" };

export function elements(tokens: Token[], depth = 0): DocumentFragment {
  const fragment = document.createDocumentFragment();
  for (const token of tokens) {
    fragment.append(depth > DEEPEST ? token.raw : element(token as MarkedToken | FormulaToken, depth + 1));
  }
  return fragment;
}

function element(token: MarkedToken | FormulaToken, depth: number): Node | string {
  switch (token.type) {
    case "space":
    case "def":
      return "";
    case "paragraph":
    case "blockquote":
    case "strong":
    case "em":
    case "del":
      return create(NAMES[token.type], {}, elements(token.tokens, depth));
    case "heading":
      return create(`h${Math.min(6, token.depth + HEADING_OFFSET)}`, {}, elements(token.tokens, depth));
    case "list":
      return list(token, depth);
    case "table":
      return table(token, depth);
    case "code":
      return codeElement(token.lang ?? "", token.text);
    case "codespan":
      return create("code", {}, token.text);
    case "formula":
      return formulaElement(token.source, token.display);
    case "hr":
    case "br":
      return create(token.type);
    case "link":
      return linkTo(token.href, elements(token.tokens, depth));
    case "image":
      return image(token);
    case "html":
      return html(token);
    case "escape":
      return token.text;
    default:
      return text(token, depth);
  }
}

function text(token: Token, depth: number): Node | string {
  if ("tokens" in token && token.tokens) return elements(token.tokens, depth);
  return decodeEntities("text" in token ? String(token.text) : token.raw);
}

/** A line break, or text; a block of HTML keeps its lines. */
function html(token: Tokens.HTML | Tokens.Tag): Node | string {
  if (/^<br\s*\/?>\s*$/i.test(token.raw)) return create("br");
  return token.block ? create("p", { class: "source" }, token.raw.trim()) : token.raw;
}

function list({ ordered, start, items }: Tokens.List, depth: number): HTMLElement {
  const isNumbered = ordered && start !== "" && start !== 1;
  const entries = items.map(({ task, checked, tokens }) =>
    create("li", {}, task ? (checked ? "☑ " : "☐ ") : "", elements(tokens, depth)),
  );
  return create(ordered ? "ol" : "ul", isNumbered ? { start: String(start) } : {}, ...entries);
}

/** A table scrolls inside its column, by keyboard as well. */
function table({ align, header, rows }: Tokens.Table, depth: number): HTMLElement {
  const row = (name: string, cells: Tokens.TableCell[]) => {
    const entries = cells.map(({ tokens }, index) =>
      create(name, align[index] ? { class: `align-${align[index]}` } : {}, elements(tokens, depth)),
    );
    return create("tr", {}, ...entries);
  };
  const head = create("thead", {}, row("th", header));
  const body = create("tbody", {}, ...rows.map((cells) => row("td", cells)));
  return create("div", { class: "scroll", tabindex: "0" }, create("table", {}, head, body));
}

/** An image is never loaded: its description leads to its address. */
function image(token: Tokens.Image): HTMLElement {
  const shown = linkTo(token.href, decodeEntities(token.text) || token.href.slice(0, 80));
  shown.classList.add("image");
  return shown;
}

function linkTo(address: string, content: Node | string): HTMLElement {
  const href = safeLink(decodeEntities(address));
  const title = address.slice(0, 300);
  if (href === null) return create("span", { title, class: "inert" }, content);
  return create("a", { title, href, target: "_blank", rel: "noopener noreferrer nofollow" }, content);
}
