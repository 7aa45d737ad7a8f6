/** Calls of the gateway. Addresses are relative: the page works below any path. */

import type { Chunk, CompareRequest, Size } from "./contract";
import { objects } from "./ndjson";

const KEY = "sizeup.key";

/** The gateway answered with an error; `status` 401 asks for an API key. */
export class GatewayError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** The API key, kept until the tab is closed. */
export function apiKey(): string {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export function setApiKey(key: string): void {
  if (key === "") sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

export async function fetchSizes(signal: AbortSignal): Promise<Size[]> {
  const response = await call("api/sizes", { signal });
  const body = (await response.json()) as { models?: Size[] };
  return body.models ?? [];
}

/** The chunks of a comparison; closing the signal cancels every answer. */
export async function* compare(
  request: CompareRequest,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const response = await call("api/compare", { body: request, signal });
  if (response.body === null) return;
  for await (const object of objects(response.body)) yield object as Chunk;
}

/** Ends one size's answers; whether the gateway knew the comparison, and could be reached. */
export function stop(id: string, model: string): Promise<boolean> {
  return call("api/compare/stop", { body: { id, model } }).then(() => true, () => false);
}

/** Sends the body, if there is one, as JSON. */
async function call(path: string, { body, signal }: { body?: unknown; signal?: AbortSignal }): Promise<Response> {
  const headers = new Headers({ Accept: "application/json, application/x-ndjson" });
  const key = apiKey();
  if (key !== "") headers.set("Authorization", `Bearer ${key}`);
  if (body !== undefined) headers.set("Content-Type", "application/json");
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, { ...sent, headers, signal: signal ?? null, cache: "no-store" });
  if (!response.ok) throw new GatewayError(response.status, await reason(response));
  return response;
}

async function reason(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { error?: string | { message?: string } };
    if (typeof body.error === "string") return body.error;
    if (typeof body.error?.message === "string") return body.error.message;
  } catch {
    // A proxy answers in HTML: the status says more.
  }
  return `HTTP ${response.status} ${response.statusText}`.trim();
}
