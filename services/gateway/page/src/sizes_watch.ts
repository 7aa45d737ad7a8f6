/** Asks for the sizes again and again: often while one loads, seldom otherwise, never in a hidden tab. */

import type { Size } from "./contract";
import { fetchSizes } from "./gateway";

const CHANGING_MS = 1_500;
const QUIET_MS = 15_000;
/** A gateway that does not answer is asked less often each time. */
const RETRY_MS = [2_000, 5_000, 15_000];

interface Callbacks {
  found(sizes: Size[]): void;
  /** Returns whether to go on asking. */
  failed(error: unknown): boolean;
  isBusy(): boolean;
}

export class SizesWatch {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private request: AbortController | null = null;

  constructor(private readonly callbacks: Callbacks) {}

  start(): void {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.refresh();
    });
    this.refresh();
  }

  refresh(): void {
    clearTimeout(this.timer);
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    void this.ask(request.signal);
  }

  private async ask(signal: AbortSignal): Promise<void> {
    try {
      const sizes = await fetchSizes(signal);
      if (signal.aborted) return;
      this.failures = 0;
      this.callbacks.found(sizes);
      const changing = sizes.some(({ state }) => state === "loading" || state === "downloading");
      this.wait(changing || this.callbacks.isBusy() ? CHANGING_MS : QUIET_MS);
    } catch (error) {
      if (signal.aborted) return;
      if (!this.callbacks.failed(error)) return;
      this.wait(RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)] ?? QUIET_MS);
      this.failures += 1;
    }
  }

  private wait(milliseconds: number): void {
    this.timer = setTimeout(() => {
      if (!document.hidden) this.refresh();
    }, milliseconds);
  }
}
