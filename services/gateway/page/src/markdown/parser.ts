/** Markdown as GitHub has it, with formulas: `$x$`, `\(x\)`, `$$x$$`, `\[x\]`. */

import { Marked, type Token } from "marked";

export type FormulaToken = { type: "formula"; raw: string; source: string; display: boolean };

const DISPLAY = /^(?:\$\$(?!\s*\$)([^$]+?)\$\$|\\\[([\s\S]+?)\\\])/;
/** As in pandoc: no space inside the dollars and no digit after them, so that "$5 and $6" is money. */
const INLINE = /^(?:\$(?![\s$])((?:\\.|[^\\$\n])+?)(?<![\s\\])\$(?![\d$])|\\\(([\s\S]+?)\\\))/;
const START = /\$|\\\(|\\\[/;

const marked = new Marked({ gfm: true }).use({
  extensions: [
    {
      name: "formula",
      level: "inline",
      start: (source) => {
        const at = source.search(START);
        return at < 0 ? undefined : at;
      },
      tokenizer(source): FormulaToken | undefined {
        const display = DISPLAY.exec(source);
        const found = display ?? INLINE.exec(source);
        if (!found) return undefined;
        const formula = (found[1] ?? found[2] ?? "").trim();
        return { type: "formula", raw: found[0], source: formula, display: display !== null };
      },
    },
  ],
});

export function parse(source: string): Token[] {
  return marked.lexer(source);
}
