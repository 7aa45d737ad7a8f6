import { Component, createRef } from "preact";
import type { Turn } from "../conversation";
import { t } from "../language";
import type { Page } from "../page";
import { verdict } from "../verdict";
import { verdictParts } from "../verdict_text";
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
  const { run } = turn;
  const found = verdict(run);
  const name = (model: string, role: string) => <strong class={role}>{model}</strong>;
  return (
    <div class={`headline ${found.kind}`}>
      <p class="verdict">{verdictParts(run, name)}</p>
      <p class="soft note">
        <Note page={page} turn={turn} kind={found.kind} />
      </p>
    </div>
  );
}

function Note({ page, turn, kind }: { page: Page; turn: Turn; kind: string }) {
  const { run } = turn;
  const enough = run.models.find(({ model }) => isGood(page.votes, turn.id, model));
  if (enough) return <>{t("voteEnough", { model: enough.model })}</>;
  if (kind === "smaller") return <>{t(run.samples > 1 ? "verdictNoteSamples" : "verdictNote")}</>;
  if (kind === "largest") return <>{t("verdictRead")}</>;
  return <>{"\u00a0"}</>;
}
