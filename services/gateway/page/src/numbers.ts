/** Numbers as the page shows them: three significant digits, and the unit beside them. */

export const NONE = "–";

function rounded(value: number, language: string): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return new Intl.NumberFormat(language, {
    maximumFractionDigits: digits,
    minimumFractionDigits: digits,
  }).format(value);
}

/** "6.2 ms", "340 ms", "1.24 s", "75.0 s", "3 min 20 s". */
export function seconds(value: number | null, language: string): string {
  if (value === null) return NONE;
  if (value < 0.9995) return `${rounded(value * 1000, language)} ms`;
  if (value < 120) return `${rounded(value, language)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** A mark of the time scale: as short as its value allows. */
export function tick(value: number, end: number, language: string): string {
  const format = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
  if (end < 1) return value === 0 ? "0" : `${format.format(value * 1000)} ms`;
  return value === 0 ? "0" : `${format.format(value)} s`;
}

export function rate(value: number | null, language: string): string {
  return value === null ? NONE : rounded(value, language).replace(/^(\d\.\d)\d$/, "$1");
}

export function count(value: number | null, language: string): string {
  return value === null ? NONE : new Intl.NumberFormat(language).format(value);
}

export function percent(share: number | null, language: string): string {
  if (share === null) return NONE;
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(share * 100)} %`;
}

/** A ratio: "1.7", "12". */
export function ratio(value: number, language: string): string {
  return new Intl.NumberFormat(language, { maximumSignificantDigits: 2 }).format(value);
}

export function money(cost: { amount: number; currency: string } | null, language: string): string {
  if (cost === null) return NONE;
  const digits = { maximumSignificantDigits: 2, minimumSignificantDigits: 1 };
  try {
    const style = { style: "currency", currency: cost.currency, currencyDisplay: "narrowSymbol" } as const;
    return new Intl.NumberFormat(language, { ...style, ...digits }).format(cost.amount);
  } catch {
    // Not the code of a currency: whatever the operator wrote.
    return `${new Intl.NumberFormat(language, digits).format(cost.amount)} ${cost.currency}`;
  }
}

/** "494 M", "7.6 B": parameters as model cards write them. */
export function parameters(value: number | null, language: string): string {
  if (value === null) return "";
  const [unit, size] = value >= 999.5e6 ? ["B", 1e9] : value >= 999.5e3 ? ["M", 1e6] : ["k", 1e3];
  const digits = value / size >= 100 ? 3 : 2;
  return `${new Intl.NumberFormat(language, { maximumSignificantDigits: digits }).format(value / size)} ${unit}`;
}
