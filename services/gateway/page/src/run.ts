/** One comparison: the answers to one question, built from the chunks of the stream.
 *
 * Plain data, so that the history can store it. Times are milliseconds of one clock, as the browser sees
 * them, until an answer ends: then the gateway's figures replace them.
 */

import type { Chunk, Failure, Figures, Header, Status, Summary } from "./contract";

export const SEGMENTS = ["queue", "load", "prefill", "decode"] as const;
export type Segment = (typeof SEGMENTS)[number];
export type Durations = Record<Segment, number>;

export type Ending = "stop" | "length" | "cancelled" | "error";

export interface Answer {
  model: string;
  sample: number;
  status: Status | "asked" | "answering";
  progress: number | null;
  promptTokens: number | null;
  text: string;
  thinking: string;
  /** Received so far; the figures have the exact count. */
  tokens: number;
  /** Seconds by segment, without the one that is running. */
  spent: Durations;
  segment: Segment | null;
  segmentSince: number;
  /** Seconds to the first token, as the browser saw it. */
  ttft: number | null;
  ending: Ending | null;
  failure: Failure | null;
  figures: Figures | null;
}

export interface Run {
  id: string | null;
  models: { model: string; parameters: number | null }[];
  samples: number;
  seed: number | null;
  oneAtATime: boolean;
  startedAt: number;
  /** Seconds from start to end; null while it runs. */
  seconds: number | null;
  answers: Answer[];
  summary: Summary | null;
  /** Why the stream ended early. */
  broken: string | null;
}

export function newRun(sizes: Run["models"], samples: number, oneAtATime: boolean, now: number): Run {
  const models = sizes.map(({ model, parameters }) => ({ model, parameters }));
  const answers = models.flatMap(({ model }) =>
    Array.from({ length: samples }, (_, sample) => newAnswer(model, sample, oneAtATime, now)),
  );
  return {
    id: null,
    models,
    samples,
    seed: null,
    oneAtATime,
    startedAt: now,
    seconds: null,
    answers,
    summary: null,
    broken: null,
  };
}

function newAnswer(model: string, sample: number, oneAtATime: boolean, now: number): Answer {
  return {
    model,
    sample,
    status: oneAtATime ? "waiting" : "asked",
    progress: null,
    promptTokens: null,
    text: "",
    thinking: "",
    tokens: 0,
    spent: { queue: 0, load: 0, prefill: 0, decode: 0 },
    segment: oneAtATime ? null : "queue",
    segmentSince: now,
    ttft: null,
    ending: null,
    failure: null,
    figures: null,
  };
}

export function answersOf(run: Run, model: string): Answer[] {
  return run.answers.filter((answer) => answer.model === model);
}

export function isRunning(run: Run): boolean {
  return run.seconds === null;
}

/** Applies one line of the stream. */
export function apply(run: Run, chunk: Chunk, now: number): void {
  if (chunk.compare !== undefined) {
    if (chunk.done) run.summary = chunk.compare as Summary;
    else begin(run, chunk.compare as Header, now);
    return;
  }
  const answer = run.answers.find(
    ({ model, sample }) => model === chunk.model && sample === (chunk.sample ?? 0),
  );
  // What still arrives of an answer that was ended here is dropped.
  if (answer === undefined || answer.ending !== null) return;
  if (chunk.done) finish(answer, chunk, now);
  else if (chunk.status !== undefined) setStatus(answer, chunk, chunk.status, now);
  else addText(answer, chunk, now);
}

function begin(run: Run, header: Header, now: number): void {
  const { id, seed, models, samples, one_at_a_time: oneAtATime } = header;
  Object.assign(run, newRun(models, samples, oneAtATime, now), { id, seed, startedAt: run.startedAt });
}

const SEGMENT_OF: Record<Status, Segment | null> = {
  waiting: null,
  unloaded: "load",
  downloading: "load",
  loading: "load",
  busy: "queue",
  queued: "queue",
  generating: "prefill",
};

function setStatus(answer: Answer, chunk: Chunk, status: Status, now: number): void {
  answer.status = status;
  answer.progress = chunk.progress ?? null;
  answer.promptTokens = chunk.prompt_tokens ?? answer.promptTokens;
  enter(answer, SEGMENT_OF[status], now);
}

function addText(answer: Answer, chunk: Chunk, now: number): void {
  answer.text += chunk.message?.content ?? "";
  answer.thinking += chunk.message?.thinking ?? "";
  answer.tokens += chunk.tokens ?? 0;
  if (answer.ttft === null) {
    enter(answer, "decode", now);
    answer.ttft = answer.spent.queue + answer.spent.load + answer.spent.prefill;
  }
  answer.status = "answering";
}

function finish(answer: Answer, chunk: Chunk, now: number): void {
  enter(answer, null, now);
  answer.ending = chunk.done_reason ?? "stop";
  answer.failure = chunk.failure ?? null;
  answer.figures = chunk.figures ?? null;
  answer.text = chunk.text ?? answer.text + (chunk.message?.content ?? "");
  answer.thinking = chunk.thinking ?? answer.thinking;
}

function enter(answer: Answer, segment: Segment | null, now: number): void {
  if (answer.segment === segment) return;
  if (answer.segment !== null) {
    answer.spent[answer.segment] += Math.max(0, now - answer.segmentSince) / 1000;
  }
  answer.segment = segment;
  answer.segmentSince = now;
}

/** Ends the answers of one size without waiting for the gateway. */
export function ignore(run: Run, model: string, now: number): void {
  for (const answer of answersOf(run, model)) {
    if (answer.ending !== null) continue;
    enter(answer, null, now);
    answer.ending = "cancelled";
  }
}

/** Ends the comparison; answers that have not ended are cancelled, or lost with the stream. */
export function end(run: Run, now: number, broken: string | null): void {
  run.seconds = Math.max(0, now - run.startedAt) / 1000;
  run.broken = broken;
  for (const answer of run.answers) {
    if (answer.ending !== null) continue;
    enter(answer, null, now);
    answer.ending = broken === null ? "cancelled" : "error";
  }
}
