import { Component } from "preact";
import { useState } from "preact/hooks";
import type { Turn } from "../conversation";
import { download } from "../csv";
import { language, t } from "../language";
import type { Page } from "../page";
import { writeLink } from "../share";
import { verdict } from "../verdict";
import { verdictParts } from "../verdict_text";
import { isGood, turnCsv } from "../votes";
import { Columns } from "./columns";
import { FiguresTable } from "./figures_table";
import { Icon } from "./icons";
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
  override shouldComponentUpdate(next: Props): boolean {
    const { isRunning, stamp, turn } = this.props;
    return isRunning || next.isRunning || next.stamp !== stamp || next.turn !== turn;
  }

  render({ page, turn, index, isRunning }: Props) {
    const now = performance.now();
    return (
      <section class="turn" aria-labelledby={`prompt-${turn.id}`}>
        <Prompt page={page} turn={turn} index={index} />
        <Headline page={page} turn={turn} />
        <TimeBars run={turn.run} now={now} />
        <Columns page={page} turn={turn} now={now} />
        {!isRunning && <FiguresTable page={page} turn={turn} />}
        {!isRunning && <Actions page={page} turn={turn} />}
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

function Actions({ page, turn }: { page: Page; turn: Turn }) {
  const [copied, setCopied] = useState(false);
  const share = () => {
    const address = location.origin + location.pathname;
    const link = writeLink(address, turn.models, turn.prompt, turn.options);
    void navigator.clipboard.writeText(link).then(() => setCopied(true));
  };
  const save = () => download(`sizeup-${turn.at.slice(0, 10)}.csv`, turnCsv(turn, page.votes));
  return (
    <div class="actions">
      <button
        type="button"
        class="quiet"
        title={t("askAgainHint")}
        disabled={page.running !== null || page.selected.size === 0}
        onClick={() => page.askAgain(turn, turn.prompt)}
      >
        <Icon name="repeat" />
        <span>{t("askAgain")}</span>
      </button>
      <button type="button" class="quiet" title={t("linkHint")} onClick={share} onBlur={() => setCopied(false)}>
        <Icon name={copied ? "check" : "link"} />
        <span>{t(copied ? "linkCopied" : "share")}</span>
      </button>
      <button type="button" class="quiet" onClick={save}>
        <Icon name="file" />
        <span>{t("csv")}</span>
      </button>
      {turn.run.seed !== null && (
        <span class="soft seed">
          {t("seed")} {turn.run.seed.toLocaleString(language(), { useGrouping: false })}
        </span>
      )}
    </div>
  );
}
