/** Which sizes were good enough for which questions, as the reader judged them. */

import { csv } from "./csv";
import { sizeFigures, type SizeFigures } from "./figures";
import type { Turn } from "./conversation";
import { readSetting, writeSetting } from "./settings";

export interface Vote
  extends Pick<SizeFigures, "model" | "ttft" | "tokensPerSecond" | "total" | "tokens" | "atOnce"> {
  turn: string;
  at: string;
  prompt: string;
  good: boolean;
  sameAsLargest: boolean | null;
}

/** About half a megabyte of a browser's five. */
const MOST_VOTES = 2000;
const LONGEST_PROMPT = 200;

export function isGood(votes: Vote[], turn: string, model: string): boolean {
  return votes.some((vote) => vote.turn === turn && vote.model === model && vote.good);
}

/** Toggles a vote. The first one for a question enters every size that was asked: the others are not good
 * enough until they are voted for. Without any vote the question leaves the list.
 */
export function toggle(votes: Vote[], turn: Turn, model: string): Vote[] {
  const good = new Set(votes.filter((vote) => vote.turn === turn.id && vote.good).map((vote) => vote.model));
  if (!good.delete(model)) good.add(model);
  const others = votes.filter((vote) => vote.turn !== turn.id);
  if (good.size === 0) return others;
  return [...others, ...entries(turn, good)].slice(-MOST_VOTES);
}

function entries(turn: Turn, good: Set<string>): Vote[] {
  const { id, at } = turn;
  const prompt = turn.prompt.slice(0, LONGEST_PROMPT);
  return sizeFigures(turn.run).map(({ model, ttft, tokensPerSecond, total, tokens, atOnce, isSame }) => {
    const figures = { ttft, tokensPerSecond, total, tokens, atOnce };
    return { turn: id, at, prompt, model, good: good.has(model), ...figures, sameAsLargest: isSame };
  });
}

export interface Tally {
  model: string;
  good: number;
  asked: number;
}

/** How often each size was good enough, in the order of their first vote. */
export function tally(votes: Vote[]): Tally[] {
  const found = new Map<string, Tally>();
  for (const { model, good } of votes) {
    const entry = found.get(model) ?? { model, good: 0, asked: 0 };
    found.set(model, { model, good: entry.good + (good ? 1 : 0), asked: entry.asked + 1 });
  }
  return [...found.values()];
}

export function votesCsv(votes: Vote[]): string {
  return csv(
    votes.map((vote) => ({
      asked_at: vote.at, question: vote.prompt, model: vote.model, good_enough: vote.good,
      ttft_seconds: vote.ttft, tokens_per_second: vote.tokensPerSecond, total_seconds: vote.total,
      tokens: vote.tokens, at_once: vote.atOnce, same_as_largest: vote.sameAsLargest,
    })),
  );
}

/** The table of one question, a row per answer. */
export function turnCsv(turn: Turn, votes: Vote[]): string {
  const { models, seed, answers, summary } = turn.run;
  const same = summary?.agreement?.same;
  const parameters = new Map(models.map((each) => [each.model, each.parameters]));
  return csv(
    answers.map(({ model, sample, ending, text, figures }) => ({
      asked_at: turn.at, question: turn.prompt, model, parameters: parameters.get(model), sample,
      seed: seed === null ? null : seed + sample, ended: ending,
      ttft_seconds: figures?.ttft_seconds, tokens_per_second: figures?.tokens_per_second,
      total_seconds: figures?.total_seconds, queue_seconds: figures?.queue_seconds,
      load_seconds: figures?.load_seconds, prefill_seconds: figures?.prefill_seconds,
      decode_seconds: figures?.decode_seconds, prompt_tokens: figures?.prompt_tokens,
      tokens: figures?.tokens, at_once: figures?.at_once, cost: figures?.cost?.amount,
      currency: figures?.cost?.currency, same_as_largest: same?.includes(model),
      good_enough: isGood(votes, turn.id, model), text,
    })),
  );
}

export function storedVotes(): Vote[] {
  try {
    const stored: unknown = JSON.parse(readSetting("votes") ?? "[]");
    return Array.isArray(stored) ? (stored as Vote[]) : [];
  } catch {
    return []; // written by something else
  }
}

export function storeVotes(votes: Vote[]): void {
  writeSetting("votes", JSON.stringify(votes));
}
