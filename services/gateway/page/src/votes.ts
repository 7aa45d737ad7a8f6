/** Which sizes were good enough for which questions, as the reader judged them. */

import { csv, type Cell } from "./csv";
import { sizeFigures } from "./figures";
import type { Turn } from "./conversation";
import { readSetting, writeSetting } from "./settings";

export interface Vote {
  turn: string;
  at: string;
  prompt: string;
  model: string;
  good: boolean;
  ttft: number | null;
  tokensPerSecond: number | null;
  total: number | null;
  tokens: number | null;
  atOnce: number | null;
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
  const same = turn.run.summary?.agreement?.same;
  return sizeFigures(turn.run).map((size) => ({
    turn: turn.id,
    at: turn.at,
    prompt: turn.prompt.slice(0, LONGEST_PROMPT),
    model: size.model,
    good: good.has(size.model),
    ttft: size.ttft,
    tokensPerSecond: size.tokensPerSecond,
    total: size.total,
    tokens: size.tokens,
    atOnce: size.atOnce,
    sameAsLargest: same ? same.includes(size.model) : null,
  }));
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
  const head = [
    "asked_at", "question", "model", "good_enough", "ttft_seconds", "tokens_per_second",
    "total_seconds", "tokens", "at_once", "same_as_largest",
  ];
  const rows: Cell[][] = votes.map((vote) => [
    vote.at, vote.prompt, vote.model, vote.good, vote.ttft, vote.tokensPerSecond,
    vote.total, vote.tokens, vote.atOnce, vote.sameAsLargest,
  ]);
  return csv([head, ...rows]);
}

/** The table of one question, a row per answer. */
export function turnCsv(turn: Turn, votes: Vote[]): string {
  const same = turn.run.summary?.agreement?.same;
  const head = [
    "asked_at", "question", "model", "parameters", "sample", "seed", "ended", "ttft_seconds",
    "tokens_per_second", "total_seconds", "queue_seconds", "load_seconds", "prefill_seconds",
    "decode_seconds", "prompt_tokens", "tokens", "at_once", "cost", "currency", "same_as_largest",
    "good_enough", "text",
  ];
  const parameters = new Map(turn.run.models.map((each) => [each.model, each.parameters]));
  const rows: Cell[][] = turn.run.answers.map((answer) => {
    const { figures } = answer;
    return [
      turn.at, turn.prompt, answer.model, parameters.get(answer.model) ?? null, answer.sample,
      turn.run.seed === null ? null : turn.run.seed + answer.sample, answer.ending,
      figures?.ttft_seconds ?? null, figures?.tokens_per_second ?? null,
      figures?.total_seconds ?? null, figures?.queue_seconds ?? null, figures?.load_seconds ?? null,
      figures?.prefill_seconds ?? null, figures?.decode_seconds ?? null,
      figures?.prompt_tokens ?? null, figures?.tokens ?? null, figures?.at_once ?? null,
      figures?.cost?.amount ?? null, figures?.cost?.currency ?? null,
      same ? same.includes(answer.model) : null, isGood(votes, turn.id, answer.model), answer.text,
    ];
  });
  return csv([head, ...rows]);
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
