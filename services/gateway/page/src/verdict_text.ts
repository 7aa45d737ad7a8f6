/** The verdict in words. */

import { language, parts, t, type Key } from "./language";
import { ratio } from "./numbers";
import type { Run } from "./run";
import { verdict } from "./verdict";

/** The key of the sentence, and what stands in it; the names of models are set off. */
export interface Sentence {
  key: Key;
  models: Record<string, string>;
  values: Record<string, string>;
}

export function sentence(run: Run): Sentence | string {
  const found = verdict(run);
  switch (found.kind) {
    case "running": {
      const key = found.answers === 1 ? "answeringOne" : "answering";
      const values = { finished: String(found.finished), answers: String(found.answers) };
      return { key, models: {}, values };
    }
    case "broken":
      return found.reason;
    case "nothing":
      return { key: "verdictNothing", models: {}, values: {} };
    case "single":
      return { key: "verdictSingle", models: { model: found.model }, values: {} };
    case "largest":
      return { key: "verdictLargest", models: { largest: found.largest }, values: {} };
    case "smaller": {
      const { faster, smallest, largest } = found;
      const times = faster === null ? "" : t("verdictFaster", { ratio: ratio(faster, language()) });
      return { key: "verdictSmaller", models: { smallest, largest }, values: { faster: times } };
    }
  }
}

export function verdictText(run: Run): string {
  const found = sentence(run);
  return typeof found === "string" ? found : t(found.key, { ...found.models, ...found.values });
}

/** The sentence in pieces, with the models as `element` makes them. */
export function verdictParts<Part>(
  run: Run,
  element: (model: string, role: string) => Part,
): (string | Part)[] {
  const found = sentence(run);
  if (typeof found === "string") return [found];
  const models = Object.entries(found.models).map(([role, model]) => [role, element(model, role)]);
  return parts<string | Part>(found.key, { ...found.values, ...Object.fromEntries(models) });
}
