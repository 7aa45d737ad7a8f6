/** Which size is enough: what the gateway found to agree, and what the reader voted for. */

import { sizeFigures } from "./figures";
import type { Run } from "./run";

export type Verdict =
  | { kind: "running"; finished: number; answers: number }
  | { kind: "broken"; reason: string }
  | { kind: "nothing" }
  /** A smaller size said the same as the largest; `faster` is the ratio of their prefill and decode. */
  | { kind: "smaller"; smallest: string; largest: string; faster: number | null }
  /** Only the largest said it. */
  | { kind: "largest"; largest: string }
  /** One size, or one that answered: there is nothing to compare. */
  | { kind: "single"; model: string };

/** Below this ratio two sizes are equally fast. */
const NOTICEABLE = 1.05;

export function verdict(run: Run): Verdict {
  if (run.seconds === null) {
    const finished = run.answers.filter(({ ending }) => ending !== null).length;
    return { kind: "running", finished, answers: run.answers.length };
  }
  if (run.broken !== null) return { kind: "broken", reason: run.broken };
  const sizes = sizeFigures(run).filter(({ answered }) => answered > 0);
  const largest = sizes.at(-1);
  if (largest === undefined) return { kind: "nothing" };
  const agreement = run.summary?.agreement;
  if (sizes.length === 1 || !agreement) return { kind: "single", model: largest.model };
  if (agreement.smallest === agreement.largest) return { kind: "largest", largest: agreement.largest };
  const work = (model: string) => sizes.find((size) => size.model === model)?.work ?? null;
  const [small, large] = [work(agreement.smallest), work(agreement.largest)];
  const ratio = small && large ? large / small : null;
  return {
    kind: "smaller",
    smallest: agreement.smallest,
    largest: agreement.largest,
    faster: ratio !== null && ratio >= NOTICEABLE ? ratio : null,
  };
}
