/** Character references: `&lt;`, `&#60;`, `&#x3c;`. The page decodes them itself, since it parses no HTML. */

const NAMED: Record<string, string> = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™",
  hellip: "…", mdash: "—", ndash: "–", lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", laquo: "«",
  raquo: "»", bull: "•", middot: "·", times: "×", divide: "÷", plusmn: "±", deg: "°", micro: "µ",
  le: "≤", ge: "≥", ne: "≠", asymp: "≈", infin: "∞", larr: "←", rarr: "→", harr: "↔", rArr: "⇒",
  sum: "∑", radic: "√", pi: "π", alpha: "α", beta: "β", gamma: "γ", delta: "δ", lambda: "λ", mu: "μ",
  sigma: "σ", theta: "θ", omega: "ω", euro: "€", pound: "£", yen: "¥", cent: "¢", sect: "§",
  para: "¶", ensp: "\u2002", emsp: "\u2003", thinsp: "\u2009", frac12: "½", sup2: "²", sup3: "³",
  check: "✓", lbrace: "{", rbrace: "}", lbrack: "[", rbrack: "]", vert: "|", ast: "*", lowbar: "_",
};

export function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z][a-z0-9]*));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return NAMED[name as string] ?? whole;
    const code = hex !== undefined ? parseInt(hex, 16) : parseInt(decimal, 10);
    const isCharacter = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return isCharacter ? String.fromCodePoint(code) : "\ufffd";
  });
}
