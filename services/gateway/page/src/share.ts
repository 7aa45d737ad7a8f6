/** A link that fills in the page. It asks nothing by itself: a click does. */

import { MAX_MODELS, MAX_SAMPLES } from "./contract";

export interface Options {
  system: string;
  temperature: string;
  seed: string;
  maxTokens: string;
  samples: number;
  oneAtATime: boolean;
  think: "" | "on" | "off";
}

export const DEFAULT_OPTIONS: Options = {
  system: "",
  temperature: "",
  seed: "",
  maxTokens: "",
  samples: 1,
  oneAtATime: false,
  think: "",
};

export interface Draft {
  models: string[];
  prompt: string;
  options: Partial<Options>;
}

/** A text of a link is cut here: servers and browsers bound the length of an address. */
const LONGEST_TEXT = 4000;

/** Reads the query of a link; parts that are missing or make no sense are left out. */
export function readLink(query: string): Draft {
  const given = new URLSearchParams(query);
  const text = (name: string) => (given.get(name) ?? "").slice(0, LONGEST_TEXT);
  const options: Partial<Options> = {};
  if (text("system") !== "") options.system = text("system");
  if (isNumber(text("temperature"))) options.temperature = text("temperature");
  if (isInteger(text("seed"))) options.seed = text("seed");
  if (isInteger(text("num_predict"))) options.maxTokens = text("num_predict");
  const samples = Number(text("samples"));
  if (Number.isInteger(samples) && samples >= 1 && samples <= MAX_SAMPLES) options.samples = samples;
  if (given.has("one_at_a_time")) options.oneAtATime = text("one_at_a_time") !== "0";
  const models = text("models").split(",").map((model) => model.trim());
  return {
    models: [...new Set(models.filter((model) => model !== ""))].slice(0, MAX_MODELS),
    prompt: text("prompt"),
    options,
  };
}

/** The link to a page with these fields filled in; `page` is its address without a query. */
export function writeLink(page: string, models: string[], prompt: string, options: Options): string {
  const fields: [string, string][] = [
    ["models", models.join(",")],
    ["prompt", prompt.slice(0, LONGEST_TEXT)],
    ["system", options.system.slice(0, LONGEST_TEXT)],
    ["temperature", options.temperature],
    ["seed", options.seed],
    ["num_predict", options.maxTokens],
    ["samples", options.samples === 1 ? "" : String(options.samples)],
    ["one_at_a_time", options.oneAtATime ? "1" : ""],
  ];
  const query = fields
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replace(/%2C|%3A/g, decodeURIComponent)}`);
  return `${page}?${query.join("&")}`;
}

export function isNumber(text: string): boolean {
  return /^\d+(\.\d+)?$/.test(text.trim());
}

export function isInteger(text: string): boolean {
  return /^\d{1,15}$/.test(text.trim());
}
