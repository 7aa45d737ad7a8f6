/** Elements of parsed Markdown. No string of HTML is parsed anywhere: HTML in an answer is text. */

import type { Token, Tokens } from "marked";
import { decodeEntities } from "./entities";
import { safeLink } from "./links";
import type { FormulaToken } from "./parser";
import { codeElement, formulaElement } from "./rich";

/** Nested deeper than this, Markdown is shown as its source. */
const DEEPEST = 24;
/** The headings of an answer stand below the name of its size, a heading of level 3. */
const HEADING_OFFSET = 3;

export function elements(tokens: Token[], depth = 0): DocumentFragment {
  const fragment = document.createDocumentFragment();
  for (const token of tokens) {
    fragment.append(depth > DEEPEST ? token.raw : element(token, depth + 1));
  }
  return fragment;
}

function element(token: Token, depth: number): Node | string {
  switch (token.type) {
    case "space":
    case "def":
      return "";
    case "paragraph":
      return wrap("p", token, depth);
    case "heading":
      return wrap(headingName(token as Tokens.Heading), token, depth);
    case "blockquote":
      return wrap("blockquote", token, depth);
    case "strong":
      return wrap("strong", token, depth);
    case "em":
      return wrap("em", token, depth);
    case "del":
      return wrap("del", token, depth);
    case "list":
      return list(token as Tokens.List, depth);
    case "table":
      return table(token as Tokens.Table, depth);
    case "code":
      return codeElement((token as Tokens.Code).lang ?? "", (token as Tokens.Code).text);
    case "codespan":
      return create("code", (token as Tokens.Codespan).text);
    case "formula":
      return formulaElement((token as FormulaToken).source, (token as FormulaToken).display);
    case "hr":
      return create("hr");
    case "br":
      return create("br");
    case "link":
      return link(token as Tokens.Link, depth);
    case "image":
      return image(token as Tokens.Image);
    case "html":
      return /^<br\s*\/?>\s*$/i.test(token.raw) ? create("br") : html(token as Tokens.HTML);
    case "escape":
      return (token as Tokens.Escape).text;
    default:
      return text(token, depth);
  }
}

function text(token: Token, depth: number): Node | string {
  if ("tokens" in token && token.tokens) return elements(token.tokens, depth);
  return decodeEntities("text" in token ? String(token.text) : token.raw);
}

/** A block of HTML keeps its lines. */
function html(token: Tokens.HTML | Tokens.Tag): Node | string {
  if (!("block" in token) || !token.block) return token.raw;
  const paragraph = create("p", token.raw.trim());
  paragraph.className = "source";
  return paragraph;
}

function create(name: string, content = ""): HTMLElement {
  const created = document.createElement(name);
  if (content !== "") created.textContent = content;
  return created;
}

function wrap(name: string, token: Token, depth: number): HTMLElement {
  const wrapper = create(name);
  wrapper.append(elements(("tokens" in token && token.tokens) || [], depth));
  return wrapper;
}

function headingName(token: Tokens.Heading): string {
  return `h${Math.min(6, token.depth + HEADING_OFFSET)}`;
}

function list(token: Tokens.List, depth: number): HTMLElement {
  const created = create(token.ordered ? "ol" : "ul");
  if (token.ordered && typeof token.start === "number" && token.start !== 1) {
    created.setAttribute("start", String(token.start));
  }
  for (const item of token.items) {
    const entry = create("li");
    if (item.task) entry.append(item.checked ? "☑ " : "☐ ");
    entry.append(elements(item.tokens, depth));
    created.append(entry);
  }
  return created;
}

/** A table scrolls inside its column, by keyboard as well. */
function table(token: Tokens.Table, depth: number): HTMLElement {
  const created = create("table");
  const row = (name: string, cells: Tokens.TableCell[]) => {
    const line = create("tr");
    cells.forEach((cell, index) => {
      const entry = create(name);
      const align = token.align[index];
      if (align) entry.className = `align-${align}`;
      entry.append(elements(cell.tokens, depth));
      line.append(entry);
    });
    return line;
  };
  const head = create("thead");
  head.append(row("th", token.header));
  const body = create("tbody");
  body.append(...token.rows.map((cells) => row("td", cells)));
  created.append(head, body);
  const scroll = create("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.append(created);
  return scroll;
}

function link(token: Tokens.Link, depth: number): HTMLElement {
  return linkTo(token.href, elements(token.tokens, depth));
}

/** An image is never loaded: its description leads to its address. */
function image(token: Tokens.Image): HTMLElement {
  const shown = linkTo(token.href, decodeEntities(token.text) || token.href.slice(0, 80));
  shown.classList.add("image");
  return shown;
}

function linkTo(address: string, content: Node | string): HTMLElement {
  const target = safeLink(decodeEntities(address));
  const shown = create(target === null ? "span" : "a");
  shown.title = address.slice(0, 300);
  if (target === null) {
    shown.className = "inert";
  } else {
    shown.setAttribute("href", target);
    shown.setAttribute("target", "_blank");
    shown.setAttribute("rel", "noopener noreferrer nofollow");
  }
  shown.append(content);
  return shown;
}
