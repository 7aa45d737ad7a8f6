/** CSV as RFC 4180 has it, in which a spreadsheet finds no formulas. */

type Cell = string | number | boolean | null | undefined;

/** The first characters by which spreadsheets recognize a formula, full-width forms included. */
const FORMULA = /^[\s]*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]/;

/** Rows that have the same names, in the same order, below these names. */
export function csv(rows: Record<string, Cell>[]): string {
  const lines = [Object.keys(rows[0] ?? {}), ...rows.map(Object.values<Cell>)];
  return lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Hands the file to the browser. Spreadsheets read it as UTF-8 because of the byte order mark. */
export function download(name: string, content: string): void {
  const url = URL.createObjectURL(new Blob(["\ufeff", content], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // after the download has begun
}
