/** Which sizes are asked. */

import { MAX_ANSWERS, MAX_MODELS, type Size } from "./contract";

/** So many columns are read at a glance. */
const MOST_AT_FIRST = 6;

export interface Family {
  name: string;
  sizes: Size[];
}

/** Families in the order of their smallest size, the sizes ascending. */
export function families(sizes: Size[]): Family[] {
  const found = new Map<string, Size[]>();
  for (const size of sizes) found.set(size.family, [...(found.get(size.family) ?? []), size]);
  return [...found].map(([name, members]) => ({ name, sizes: members }));
}

/** The first choice: the family with the most sizes that are ready. */
export function firstChoice(sizes: Size[]): string[] {
  const usable = (family: Family) => family.sizes.filter(({ state }) => state !== "failed");
  const ready = (family: Family) => family.sizes.filter(({ state }) => state === "ready").length;
  const [best] = families(sizes).sort(
    (a, b) => ready(b) - ready(a) || usable(b).length - usable(a).length,
  );
  return best === undefined ? [] : usable(best).slice(0, MOST_AT_FIRST).map(({ model }) => model);
}

/** The shortest name within its family: "0.5b" of "qwen2.5:0.5b". */
export function tag(size: Pick<Size, "model" | "family">): string {
  const prefix = `${size.family}:`;
  return size.model.startsWith(prefix) ? size.model.slice(prefix.length) : size.model;
}

export type Limit = "tooManySizes" | "tooManyAnswers" | null;

export function limit(models: number, samples: number): Limit {
  if (models > MAX_MODELS) return "tooManySizes";
  return models * samples > MAX_ANSWERS ? "tooManyAnswers" : null;
}
