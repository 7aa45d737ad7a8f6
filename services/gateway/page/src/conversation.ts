/** A conversation that forks per size: every size sees the questions and its own answers. */

import type { CompareRequest, Message, SamplingOptions } from "./contract";
import { answersOf, type Answer, type Run } from "./run";
import { isInteger, isNumber, type Options } from "./share";

export interface Turn {
  id: string;
  at: string;
  prompt: string;
  models: string[];
  options: Options;
  run: Run;
  /** Grows with each change; what has not changed is not rendered again. */
  version: number;
}

export interface Comparison {
  id: string;
  at: string;
  turns: Turn[];
}

export function newComparison(turns: Turn[] = []): Comparison {
  return { id: randomId(), at: new Date().toISOString(), turns };
}

export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("");
}

/** What a size has seen so far. With samples, its first answer goes on. */
export function historyOf(model: string, turns: Turn[]): Message[] {
  return turns.flatMap(({ prompt, run }) => {
    const answer = answersOf(run, model).find(hasAnswered);
    if (answer === undefined) return [];
    const question: Message = { role: "user", content: prompt };
    return [question, { role: "assistant", content: answer.text }];
  });
}

function hasAnswered(answer: Answer): boolean {
  return answer.ending !== null && answer.ending !== "error" && answer.text !== "";
}

/** The request of a turn that follows `before`. */
export function toRequest(turn: Turn, before: Turn[]): CompareRequest {
  const { options, models } = turn;
  const request: CompareRequest = { models, messages: [{ role: "user", content: turn.prompt }] };
  const histories = models.map((model) => [model, historyOf(model, before)] as const);
  const known = histories.filter(([, messages]) => messages.length > 0);
  if (known.length > 0) request.history = Object.fromEntries(known);
  if (options.system.trim() !== "") request.system = options.system;
  const sampling = samplingOptions(options);
  if (Object.keys(sampling).length > 0) request.options = sampling;
  if (options.samples > 1) request.samples = options.samples;
  if (options.oneAtATime) request.one_at_a_time = true;
  if (options.think !== "") request.think = options.think === "on";
  return request;
}

function samplingOptions({ temperature, seed, maxTokens }: Options): SamplingOptions {
  const options: SamplingOptions = {};
  if (temperature.trim() !== "") options.temperature = Number(temperature);
  if (seed.trim() !== "") options.seed = Number(seed);
  if (maxTokens.trim() !== "") options.num_predict = Number(maxTokens);
  return options;
}

export type NumberField = "temperature" | "seed" | "maxTokens";

export function isValid(field: NumberField, text: string): boolean {
  if (text.trim() === "") return true;
  if (field === "temperature") return isNumber(text) && Number(text) <= 2;
  return isInteger(text) && (field === "seed" || Number(text) > 0);
}

export function areValid(options: Options): boolean {
  const fields: NumberField[] = ["temperature", "seed", "maxTokens"];
  return fields.every((field) => isValid(field, options[field]));
}
