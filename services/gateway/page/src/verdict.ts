/** Which size is enough, in words: what the gateway found to agree. */

import { sizeFigures } from "./figures";
import { parts, t, type Key } from "./language";
import { ratio } from "./numbers";
import type { Run } from "./run";

/** A size in the sentence, which is set off: as `smallest`, for example. */
export interface Named {
  role: string;
  model: string;
}

export interface Verdict {
  kind: "running" | "broken" | "nothing" | "smaller" | "largest" | "single";
  sentence: (string | Named)[];
}

/** Below this ratio two sizes are equally fast. */
const NOTICEABLE = 1.05;

export function verdict(run: Run): Verdict {
  if (run.seconds === null) {
    const finished = run.answers.filter(({ ending }) => ending !== null).length;
    const answers = run.answers.length;
    return say("running", answers === 1 ? "answeringOne" : "answering", {}, { finished, answers });
  }
  if (run.broken !== null) return { kind: "broken", sentence: [run.broken] };
  const sizes = sizeFigures(run).filter(({ answered }) => answered > 0);
  const last = sizes.at(-1);
  if (last === undefined) return say("nothing", "verdictNothing");
  const agreement = run.summary?.agreement;
  if (sizes.length === 1 || !agreement) return say("single", "verdictSingle", { model: last.model });
  const { smallest, largest } = agreement;
  if (smallest === largest) return say("largest", "verdictLargest", { largest });
  const work = (model: string) => sizes.find((size) => size.model === model)?.work ?? 0;
  const times = work(largest) / work(smallest);
  const isFaster = work(smallest) > 0 && times >= NOTICEABLE;
  const faster = isFaster ? t("verdictFaster", { ratio: ratio(times) }) : "";
  return say("smaller", "verdictSmaller", { smallest, largest }, { faster });
}

function say(
  kind: Verdict["kind"],
  key: Key,
  models: Record<string, string> = {},
  values: Record<string, string | number> = {},
): Verdict {
  const named = Object.entries(models).map(([role, model]) => [role, { role, model }]);
  const texts = Object.entries(values).map(([name, value]) => [name, String(value)]);
  return { kind, sentence: parts<string | Named>(key, Object.fromEntries([...named, ...texts])) };
}

export function verdictText(run: Run): string {
  return verdict(run).sentence.map((part) => (typeof part === "string" ? part : part.model)).join("");
}
