/** The last comparisons, in this browser's IndexedDB. Without it, as in some private windows, there are none. */

import type { Comparison } from "./conversation";

export const MOST_COMPARISONS = 50;
/** A longer answer is stored up to here. */
const LONGEST_TEXT = 200_000;

export interface Entry {
  id: string;
  at: string;
  prompt: string;
  models: string[];
  turns: number;
}

export function entryOf(comparison: Comparison): Entry {
  const [first] = comparison.turns;
  return {
    id: comparison.id,
    at: comparison.at,
    prompt: (first?.prompt ?? "").slice(0, 300),
    models: [...new Set(comparison.turns.flatMap((turn) => turn.models))],
    turns: comparison.turns.length,
  };
}

/** Entries beyond the bound, the oldest. */
export function surplus(entries: Entry[], most = MOST_COMPARISONS): Entry[] {
  return newestFirst(entries).slice(most);
}

function newestFirst(entries: Entry[]): Entry[] {
  return [...entries].sort((a, b) => b.at.localeCompare(a.at));
}

/** The newest first; null where the browser keeps none. */
export async function list(): Promise<Entry[] | null> {
  const entries = await within("readonly", ({ entries }) => result<Entry[]>(entries.getAll()));
  return entries && newestFirst(entries);
}

export async function load(id: string): Promise<Comparison | null> {
  const found = await within("readonly", ({ comparisons }) =>
    result<Comparison | undefined>(comparisons.get(id)),
  );
  return found ?? null;
}

export async function save(comparison: Comparison): Promise<void> {
  if (comparison.turns.length === 0) return;
  await within("readwrite", async (stores) => {
    stores.entries.put(entryOf(comparison));
    stores.comparisons.put(shortened(comparison));
    drop(stores, surplus(await result<Entry[]>(stores.entries.getAll())).map(({ id }) => id));
  });
}

export async function remove(ids: string[]): Promise<void> {
  await within("readwrite", (stores) => drop(stores, ids));
}

function drop(stores: Stores, ids: string[]): void {
  for (const id of ids) for (const store of Object.values(stores)) store.delete(id);
}

function shortened(comparison: Comparison): Comparison {
  const copy = structuredClone(comparison);
  for (const answer of copy.turns.flatMap((turn) => turn.run.answers)) {
    answer.text = answer.text.slice(0, LONGEST_TEXT);
    answer.thinking = answer.thinking.slice(0, LONGEST_TEXT);
  }
  return copy;
}

/** Lists are read from `entries`, without the texts. */
const NAMES = ["entries", "comparisons"] as const;
type Stores = Record<(typeof NAMES)[number], IDBObjectStore>;

/** What `use` returns, once its transaction has completed; null where the browser keeps nothing. */
async function within<Value>(
  mode: IDBTransactionMode,
  use: (stores: Stores) => Value | Promise<Value>,
): Promise<Value | null> {
  opened ??= open();
  const transaction = (await opened)?.transaction(NAMES, mode);
  if (transaction === undefined) return null;
  const stores = { entries: transaction.objectStore("entries"), comparisons: transaction.objectStore("comparisons") };
  const [value] = await Promise.all([use(stores), completed(transaction)]);
  return value;
}

let opened: Promise<IDBDatabase | null> | undefined;

async function open(): Promise<IDBDatabase | null> {
  try {
    const request = indexedDB.open("sizeup", 1);
    request.onupgradeneeded = () => {
      for (const name of NAMES) request.result.createObjectStore(name, { keyPath: "id" });
    };
    return await result(request);
  } catch {
    return null;
  }
}

function result<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
  });
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB"));
  });
}
