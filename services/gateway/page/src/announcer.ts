/** What screen readers hear: a sentence when something ends, never the text that streams. */

/** Sentences of this time are spoken together. */
const PAUSE_MS = 2000;
/** Of twelve sizes that end at once, the last few are named. */
const MOST_SENTENCES = 3;

export class Announcer {
  private waiting: string[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly speak: (text: string) => void) {}

  say(sentence: string): void {
    this.waiting.push(sentence);
    this.timer ??= setTimeout(() => this.flush(), PAUSE_MS);
  }

  /** Says it at once, with what has been waiting. */
  sayNow(sentence: string): void {
    this.waiting.push(sentence);
    this.flush();
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.speak(this.waiting.slice(-MOST_SENTENCES).join(" "));
    this.waiting = [];
  }
}
