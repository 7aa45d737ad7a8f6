/** What the page sends, and what it reads of the gateway's answers: /api/sizes and /api/compare. */

export interface Measured {
  tokens_per_second: number | null;
  ability: number | null;
  ability_low: number | null;
  ability_high: number | null;
  at: string | null;
}

export interface Size {
  model: string;
  family: string;
  parameters: number | null;
  state: "ready" | "loading" | "downloading" | "failed" | "unloaded";
  progress: number | null;
  capabilities: string[];
  measured: Measured | null;
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface SamplingOptions {
  temperature?: number;
  seed?: number;
  num_predict?: number;
}

export interface CompareRequest {
  models: string[];
  messages: Message[];
  system?: string;
  history?: Record<string, Message[]>;
  options?: SamplingOptions;
  think?: boolean;
  samples?: number;
  one_at_a_time?: boolean;
}

export const MAX_MODELS = 16;
export const MAX_ANSWERS = 64;
export const MAX_SAMPLES = 8;

export type Status =
  | "waiting"
  | "unloaded"
  | "downloading"
  | "loading"
  | "busy"
  | "queued"
  | "generating";

export interface Cost {
  amount: number;
  currency: string;
}

export interface Figures {
  queue_seconds: number;
  load_seconds: number;
  ttft_seconds: number | null;
  prefill_seconds: number;
  decode_seconds: number;
  total_seconds: number;
  prompt_tokens: number;
  tokens: number;
  tokens_per_second: number | null;
  at_once: number;
  cost: Cost | null;
}

export interface Agreement {
  largest: string;
  same: string[];
  smallest: string;
}

export interface Header {
  id: string;
  models: { model: string; parameters: number | null }[];
  samples: number;
  seed: number;
  one_at_a_time: boolean;
}

export interface Summary {
  agreement: Agreement | null;
}

export interface Failure {
  code: string;
  message: string;
}

/** One line of the stream; `model` and `sample` identify the answer that it belongs to. */
export interface Chunk {
  done: boolean;
  compare?: Header | Summary;
  model?: string;
  sample?: number;
  status?: Status;
  progress?: number | null;
  prompt_tokens?: number | null;
  message?: { content?: string; thinking?: string };
  tokens?: number;
  done_reason?: "stop" | "length" | "cancelled" | "error";
  failure?: Failure;
  figures?: Figures;
  text?: string;
  thinking?: string;
}
