/** What the page shows of an answer: live while it runs, the gateway's figures once it has ended. */

import type { Cost, Figures } from "./contract";
import { answersOf, SEGMENTS, type Answer, type Durations, type Run } from "./run";

export interface Shown {
  durations: Durations;
  total: number;
  ttft: number | null;
  tokensPerSecond: number | null;
  tokens: number;
  isFinal: boolean;
}

/** A rate over less than this is noise. */
const SHORTEST_RATE_SECONDS = 0.25;

export function shown(answer: Answer, now: number): Shown {
  const { figures } = answer;
  if (figures !== null) {
    return {
      durations: durationsOf(figures),
      total: figures.total_seconds,
      ttft: figures.ttft_seconds,
      tokensPerSecond: figures.tokens_per_second,
      tokens: figures.tokens,
      isFinal: true,
    };
  }
  const durations = { ...answer.spent };
  if (answer.segment !== null) {
    durations[answer.segment] += Math.max(0, now - answer.segmentSince) / 1000;
  }
  const { decode } = durations;
  const total = SEGMENTS.reduce((sum, segment) => sum + durations[segment], 0);
  return {
    durations,
    total,
    ttft: answer.ttft,
    tokensPerSecond: decode >= SHORTEST_RATE_SECONDS ? answer.tokens / decode : null,
    tokens: answer.tokens,
    isFinal: answer.ending !== null,
  };
}

/** Segments that end where the answer ended. Load, prefill and decode were measured by the replica, and the time
 * to the first token and the total by the gateway: the rest up to the first token is the queue, and all after it
 * is decoding.
 */
export function durationsOf(figures: Figures): Durations {
  const { load_seconds: load, prefill_seconds: prefill, total_seconds: total } = figures;
  const first = figures.ttft_seconds ?? Math.max(0, total - figures.decode_seconds);
  const queue = Math.max(0, first - load - prefill);
  return { queue, load, prefill, decode: Math.max(0, total - queue - load - prefill) };
}

/** Figures of one size over its samples. */
export interface SizeFigures {
  model: string;
  answers: Answer[];
  /** The first that still runs. */
  live: Answer | undefined;
  answered: number;
  ttft: number | null;
  tokensPerSecond: number | null;
  total: number | null;
  /** Prefill and decode: the size's own speed, without the queue and the start of a cold size. */
  work: number | null;
  tokens: number | null;
  cost: Cost | null;
  /** The most sizes that generated at the same time. */
  atOnce: number | null;
  /** Whether it said the same as the largest; null where the gateway has not compared them. */
  isSame: boolean | null;
  /** The smallest of those that said the same, if there is a smaller one. */
  isChosen: boolean;
}

/** Medians of the samples that ended with figures; the cost is that of all of them. */
export function sizeFigures(run: Run): SizeFigures[] {
  const agreement = run.summary?.agreement;
  return run.models.map(({ model }) => {
    const answers = answersOf(run, model);
    const figures = answers.flatMap((answer) => answer.figures ?? []);
    const costs = figures.flatMap((each) => each.cost ?? []);
    const [first] = costs;
    return {
      model,
      answers,
      live: answers.find(({ ending }) => ending === null),
      answered: answers.filter(({ ending }) => ending === "stop" || ending === "length").length,
      ttft: median(figures.map((each) => each.ttft_seconds)),
      tokensPerSecond: median(figures.map((each) => each.tokens_per_second)),
      total: median(figures.map((each) => each.total_seconds)),
      work: median(figures.map(durationsOf).map(({ prefill, decode }) => prefill + decode)),
      tokens: median(figures.map((each) => each.tokens)),
      cost: first ? { ...first, amount: costs.reduce((sum, { amount }) => sum + amount, 0) } : null,
      atOnce: figures.length > 0 ? Math.max(...figures.map((each) => each.at_once)) : null,
      isSame: agreement ? agreement.same.includes(model) : null,
      isChosen: agreement?.smallest === model && agreement.largest !== model,
    };
  });
}

export function median(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  const middle = Math.floor(known.length / 2);
  const upper = known[middle];
  if (upper === undefined) return null;
  const lower = known[middle - 1];
  return known.length % 2 === 0 && lower !== undefined ? (lower + upper) / 2 : upper;
}
