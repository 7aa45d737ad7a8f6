/** The state of the page, and what a reader can do with it. */

import { Announcer } from "./announcer";
import type { Size } from "./contract";
import { areValid, newComparison, randomId, toRequest, type Comparison, type Turn } from "./conversation";
import { shown } from "./figures";
import * as gateway from "./gateway";
import * as history from "./history";
import { t, type Key } from "./language";
import { BrokenStream } from "./ndjson";
import * as numbers from "./numbers";
import { apply, answersOf, end, ignore, isRunning, newRun, type Run } from "./run";
import { firstChoice, limit } from "./selection";
import { readSetting, writeSetting } from "./settings";
import { DEFAULT_OPTIONS, readLink, type Options } from "./share";
import { SizesWatch } from "./sizes_watch";
import { verdictText } from "./verdict";
import { storedVotes, storeVotes, toggle, type Vote } from "./votes";

export type Dialog = "history" | "help" | "key" | null;

export class Page {
  sizes: Size[] | null = null;
  sizesError: string | null = null;
  selected = new Set<string>();
  /** Named by a link, and not served here. */
  missing: string[] = [];
  draft = "";
  options: Options = { ...DEFAULT_OPTIONS };
  comparison: Comparison = newComparison();
  running: Turn | null = null;
  dialog: Dialog = null;
  keyRejected = false;
  announcement = "";
  votes: Vote[] = storedVotes();
  singleKeys = readSetting("shortcuts") !== "off";

  private abort: AbortController | null = null;
  private afterKey: (() => void) | null = null;
  private wanted: string[] = [];
  private frame = 0;
  private readonly watch = new SizesWatch({
    found: (sizes) => this.setSizes(sizes),
    failed: (error) => this.sizesFailed(error),
    isBusy: () => this.running !== null,
  });
  private readonly announcer = new Announcer((text) => {
    this.announcement = text;
    this.changed();
  });

  constructor(private readonly draw: () => void) {}

  get turns(): Turn[] {
    return this.comparison.turns;
  }

  /** Why the question cannot be asked now; null when it can. */
  get obstacle(): Key | "empty" | null {
    if (this.selected.size === 0 || this.draft.trim() === "") return "empty";
    if (!areValid(this.options)) return "invalidNumber";
    return limit(this.selected.size, this.options.samples);
  }

  start(query: string): void {
    const link = readLink(query);
    this.wanted = link.models;
    this.draft = link.prompt;
    this.options = { ...DEFAULT_OPTIONS, ...link.options };
    this.watch.start();
  }

  /** Renders with the next frame, and while answers arrive at every frame: their bars grow. */
  changed(): void {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
      if (this.running !== null) this.changed();
    });
  }

  refreshSizes(): void {
    this.watch.refresh();
  }

  private setSizes(sizes: Size[]): void {
    const isFirst = this.sizes === null;
    this.sizes = sizes;
    this.sizesError = null;
    const served = new Set(sizes.map(({ model }) => model));
    for (const model of this.selected) if (!served.has(model)) this.selected.delete(model);
    if (isFirst) this.selectFirst(served, sizes);
    this.changed();
  }

  private selectFirst(served: Set<string>, sizes: Size[]): void {
    const stored = (readSetting("models") ?? "").split(",");
    const choices = [this.wanted, stored].map((names) => names.filter((name) => served.has(name)));
    this.missing = this.wanted.filter((name) => !served.has(name));
    this.selected = new Set(choices.find((names) => names.length > 0) ?? firstChoice(sizes));
    this.wanted = [];
  }

  private sizesFailed(error: unknown): boolean {
    if (error instanceof gateway.GatewayError && error.status === 401) {
      this.sizesError = `${t("keyTitle")}.`;
      this.askKey(() => this.watch.refresh());
      return false;
    }
    this.sizesError = t("sizesFailed", { reason: reason(error) });
    this.changed();
    return true;
  }

  select(models: string[], selected: boolean): void {
    for (const model of models) {
      if (selected) this.selected.add(model);
      else this.selected.delete(model);
    }
    this.missing = [];
    writeSetting("models", [...this.selected].join(","));
    this.changed();
  }

  setDraft(text: string): void {
    this.draft = text;
    this.changed();
  }

  setOptions(options: Partial<Options>): void {
    this.options = { ...this.options, ...options };
    this.changed();
  }

  show(dialog: Dialog): void {
    this.dialog = dialog;
    this.changed();
  }

  ask(): void {
    if (this.obstacle !== null || this.running !== null) return;
    const prompt = this.draft.trim();
    this.draft = "";
    void this.run(prompt);
  }

  /** Asks a question again, changed or not; the turns after it are left to the history. */
  askAgain(turn: Turn, prompt: string): void {
    if (this.running !== null || prompt.trim() === "" || this.selected.size === 0) return;
    const before = this.turns.slice(0, this.turns.indexOf(turn));
    this.comparison = newComparison(before);
    void this.run(prompt.trim());
  }

  /** Asks again for figures that no other size disturbs. */
  askAlone(turn: Turn): void {
    this.setOptions({ oneAtATime: true });
    this.askAgain(turn, turn.prompt);
  }

  private async run(prompt: string): Promise<void> {
    const sizes = (this.sizes ?? []).filter(({ model }) => this.selected.has(model));
    const { options, comparison } = this;
    const before = [...comparison.turns];
    const run = newRun(sizes, options.samples, options.oneAtATime, performance.now());
    const models = sizes.map(({ model }) => model);
    const at = new Date().toISOString();
    const turn: Turn = { id: randomId(), at, prompt, models, options, run, version: 0 };
    comparison.turns.push(turn);
    this.running = turn;
    this.announcer.sayNow(t("saidAsked", { n: models.length }));
    this.changed();
    const abort = new AbortController();
    this.abort = abort;
    const error = await this.receive(turn, before, abort.signal);
    this.running = null;
    this.abort = null;
    this.settle(turn, comparison, error, abort.signal.aborted);
  }

  /** Applies the stream; returns what ended it early. */
  private async receive(turn: Turn, before: Turn[], signal: AbortSignal): Promise<unknown> {
    try {
      for await (const chunk of gateway.compare(toRequest(turn, before), signal)) {
        apply(turn.run, chunk, performance.now());
        turn.version += 1;
        if (chunk.done && chunk.model !== undefined) this.announceEnd(turn.run, chunk.model);
        this.changed();
      }
      return null;
    } catch (error) {
      return error;
    }
  }

  private settle(turn: Turn, comparison: Comparison, error: unknown, stopped: boolean): void {
    if (error instanceof gateway.GatewayError && error.status === 401) {
      comparison.turns.splice(comparison.turns.indexOf(turn), 1);
      this.askKey(() => void this.run(turn.prompt));
      return;
    }
    const complete = turn.run.summary !== null || stopped;
    end(turn.run, performance.now(), complete ? null : reason(error));
    turn.version += 1;
    this.announcer.sayNow(verdictText(turn.run));
    this.changed();
    this.watch.refresh();
    // A full disk loses the history, not the answers on the page.
    history.save(comparison).catch((failure: unknown) => console.warn(failure));
  }

  private announceEnd(run: Run, model: string): void {
    const answer = answersOf(run, model).findLast(({ ending }) => ending !== null);
    if (answer === undefined) return;
    if (answer.ending === "error") {
      this.announcer.say(t("saidFailed", { model, reason: answer.failure?.message ?? "" }));
    } else if (answer.ending === "cancelled") {
      this.announcer.say(t("saidStopped", { model }));
    } else {
      const { total } = shown(answer, performance.now());
      this.announcer.say(t("saidFinished", { model, total: numbers.seconds(total) }));
    }
  }

  stopAll(): void {
    this.abort?.abort();
  }

  async stopModel(model: string): Promise<void> {
    const turn = this.running;
    if (turn === null) return;
    const { id } = turn.run;
    const stopped = id !== null && (await gateway.stop(id, model));
    if (stopped || !isRunning(turn.run)) return;
    ignore(turn.run, model, performance.now());
    turn.version += 1;
    this.announcer.say(t("saidStopped", { model }));
    // Nothing is left to wait for.
    if (turn.run.answers.every(({ ending }) => ending !== null)) this.stopAll();
    this.changed();
  }

  startNew(): void {
    this.stopAll();
    this.comparison = newComparison();
    this.changed();
  }

  async open(id: string): Promise<void> {
    const found = await history.load(id);
    if (found === null) return;
    this.stopAll();
    this.comparison = found;
    const last = found.turns.at(-1);
    const served = new Set((this.sizes ?? []).map(({ model }) => model));
    const models = (last?.models ?? []).filter((model) => served.has(model));
    if (models.length > 0) this.selected = new Set(models);
    if (last) this.options = { ...DEFAULT_OPTIONS, ...last.options };
    this.dialog = null;
    this.changed();
  }

  vote(turn: Turn, model: string): void {
    this.votes = toggle(this.votes, turn, model);
    storeVotes(this.votes);
    turn.version += 1;
    this.changed();
  }

  setSingleKeys(on: boolean): void {
    this.singleKeys = on;
    writeSetting("shortcuts", on ? "on" : "off");
    this.changed();
  }

  private askKey(retry: () => void): void {
    this.keyRejected = gateway.apiKey() !== "";
    this.afterKey = retry;
    this.dialog = "key";
    this.changed();
  }

  useKey(key: string): void {
    gateway.setApiKey(key);
    this.dialog = null;
    this.changed();
    const retry = this.afterKey;
    this.afterKey = null;
    if (this.sizes === null) this.watch.refresh();
    retry?.();
  }

  forgetKey(): void {
    gateway.setApiKey("");
    this.changed();
  }
}

function reason(error: unknown): string {
  if (error instanceof gateway.GatewayError) return error.message;
  return t(error instanceof BrokenStream ? "brokenAnswer" : "brokenConnection");
}
