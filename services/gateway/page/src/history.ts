/** The last comparisons, in this browser's IndexedDB. Without it, as in some private windows, there are none. */

import type { Comparison } from "./conversation";

export const MOST_COMPARISONS = 50;
/** A longer answer is stored up to here. */
const LONGEST_TEXT = 200_000;

const DATABASE = "sizeup";
const VERSION = 1;
/** Lists are read without the texts. */
const ENTRIES = "entries";
const COMPARISONS = "comparisons";

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
  return [...entries].sort((a, b) => b.at.localeCompare(a.at)).slice(most);
}

/** The newest first; null where the browser keeps none. */
export async function list(): Promise<Entry[] | null> {
  const database = await open();
  if (database === null) return null;
  const entries = await result(database.transaction(ENTRIES).objectStore(ENTRIES).getAll());
  return (entries as Entry[]).sort((a, b) => b.at.localeCompare(a.at));
}

export async function load(id: string): Promise<Comparison | null> {
  const database = await open();
  if (database === null) return null;
  const found: unknown = await result(
    database.transaction(COMPARISONS).objectStore(COMPARISONS).get(id),
  );
  return (found as Comparison | undefined) ?? null;
}

export async function save(comparison: Comparison): Promise<void> {
  if (comparison.turns.length === 0) return;
  const database = await open();
  if (database === null) return;
  const transaction = database.transaction([ENTRIES, COMPARISONS], "readwrite");
  const entries = transaction.objectStore(ENTRIES);
  const comparisons = transaction.objectStore(COMPARISONS);
  entries.put(entryOf(comparison));
  comparisons.put(shortened(comparison));
  for (const { id } of surplus((await result(entries.getAll())) as Entry[])) {
    entries.delete(id);
    comparisons.delete(id);
  }
  await completed(transaction);
}

export async function remove(ids: string[]): Promise<void> {
  const database = await open();
  if (database === null) return;
  const transaction = database.transaction([ENTRIES, COMPARISONS], "readwrite");
  for (const id of ids) {
    transaction.objectStore(ENTRIES).delete(id);
    transaction.objectStore(COMPARISONS).delete(id);
  }
  await completed(transaction);
}

function shortened(comparison: Comparison): Comparison {
  const copy = structuredClone(comparison);
  for (const answer of copy.turns.flatMap((turn) => turn.run.answers)) {
    answer.text = answer.text.slice(0, LONGEST_TEXT);
    answer.thinking = answer.thinking.slice(0, LONGEST_TEXT);
  }
  return copy;
}

let opened: Promise<IDBDatabase | null> | undefined;

function open(): Promise<IDBDatabase | null> {
  opened ??= new Promise((resolve) => {
    let request: IDBOpenDBRequest;
    try {
      request = indexedDB.open(DATABASE, VERSION);
    } catch {
      resolve(null);
      return;
    }
    request.onupgradeneeded = () => {
      request.result.createObjectStore(ENTRIES, { keyPath: "id" });
      request.result.createObjectStore(COMPARISONS, { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => resolve(null);
  });
  return opened;
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
