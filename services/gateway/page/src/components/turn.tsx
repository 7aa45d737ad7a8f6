import { Component, createRef } from "preact";
import type { Turn } from "../conversation";
import { t } from "../language";
import type { Page } from "../page";
import { verdict, type Verdict } from "../verdict";
import { isGood } from "../votes";
import { Columns } from "./columns";
import { FiguresTable } from "./figures_table";
import { Prompt } from "./prompt";
import { TimeBars } from "./time_bars";

interface Props {
  page: Page;
  turn: Turn;
  index: number;
  isRunning: boolean;
  /** Changes with what the turn shows. */
  stamp: string;
}

/** One question and its answers. A turn that has ended is rendered only when it changes. */
export class TurnView extends Component<Props> {
  private readonly section = createRef<HTMLElement>();

  /** A question that has just been asked comes to the top of the window. */
  override componentDidMount(): void {
    if (!this.props.isRunning) return;
    if (this.props.index === 0) window.scrollTo(0, 0);
    else this.section.current?.scrollIntoView();
  }

  override shouldComponentUpdate(next: Props): boolean {
    const { isRunning, stamp, turn } = this.props;
    return isRunning || next.isRunning || next.stamp !== stamp || next.turn !== turn;
  }

  render({ page, turn, index, isRunning }: Props) {
    const now = performance.now();
    const canAsk = page.running === null && page.selected.size > 0;
    const askAlone = canAsk ? () => page.askAlone(turn) : null;
    return (
      <section class="turn" ref={this.section} aria-labelledby={`prompt-${turn.id}`}>
        <Prompt page={page} turn={turn} index={index} isRunning={isRunning} />
        <Headline page={page} turn={turn} />
        <TimeBars run={turn.run} now={now} onAskAlone={askAlone} />
        <Columns page={page} turn={turn} now={now} />
        {!isRunning && <FiguresTable page={page} turn={turn} />}
      </section>
    );
  }
}

function Headline({ page, turn }: { page: Page; turn: Turn }) {
  const { kind, sentence } = verdict(turn.run);
  return (
    <div class={`headline ${kind}`}>
      <p class="verdict">
        {sentence.map((part) =>
          typeof part === "string" ? part : <strong class={part.role}>{part.model}</strong>,
        )}
      </p>
      <p class="soft note">{note(page, turn, kind)}</p>
    </div>
  );
}

function note(page: Page, turn: Turn, kind: Verdict["kind"]): string {
  const { models, samples } = turn.run;
  const enough = models.find(({ model }) => isGood(page.votes, turn.id, model));
  if (enough) return t("voteEnough", { model: enough.model });
  if (kind === "smaller") return t(samples > 1 ? "verdictNoteSamples" : "verdictNote");
  return kind === "largest" ? t("verdictRead") : "\u00a0";
}
