/** Numbers as the page shows them, in its language: three significant digits, and the unit beside them. */

import type { Cost } from "./contract";
import { language } from "./language";

export const NONE = "–";

function format(value: number, options: Intl.NumberFormatOptions = {}): string {
  return new Intl.NumberFormat(language(), options).format(value);
}

function rounded(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return format(value, { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

/** "6.2 ms", "340 ms", "1.24 s", "75.0 s", "3 min 20 s". */
export function seconds(value: number | null): string {
  if (value === null) return NONE;
  if (value < 0.9995) return `${rounded(value * 1000)} ms`;
  if (value < 120) return `${rounded(value)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** A mark of the time scale: as short as its value allows. */
export function tick(value: number, end: number): string {
  if (value === 0) return "0";
  const [size, unit] = end < 1 ? [1000, "ms"] : [1, "s"];
  return `${format(value * size, { maximumSignificantDigits: 3 })} ${unit}`;
}

export function rate(value: number | null): string {
  return value === null ? NONE : rounded(value).replace(/^(\d\.\d)\d$/, "$1");
}

export function count(value: number | null): string {
  return value === null ? NONE : format(value);
}

export function percent(share: number | null): string {
  return share === null ? NONE : `${format(share * 100, { maximumFractionDigits: 0 })} %`;
}

/** A ratio: "1.7", "12". */
export function ratio(value: number): string {
  return format(value, { maximumSignificantDigits: 2 });
}

export function money(cost: Cost | null): string {
  if (cost === null) return NONE;
  const { amount, currency } = cost;
  const digits = { maximumSignificantDigits: 2, minimumSignificantDigits: 1 };
  try {
    return format(amount, { style: "currency", currency, currencyDisplay: "narrowSymbol", ...digits });
  } catch {
    // Not the code of a currency: whatever the operator wrote.
    return `${format(amount, digits)} ${currency}`;
  }
}

/** "494 M", "7.6 B": parameters as model cards write them. */
export function parameters(value: number | null): string {
  if (value === null) return "";
  const [unit, size] = value >= 999.5e6 ? ["B", 1e9] : value >= 999.5e3 ? ["M", 1e6] : ["k", 1e3];
  const digits = value / size >= 100 ? 3 : 2;
  return `${format(value / size, { maximumSignificantDigits: digits })} ${unit}`;
}
