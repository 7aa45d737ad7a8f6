import { useRef } from "preact/hooks";
import { perRow } from "../balance";
import { sizeColor } from "../colors";
import type { Turn } from "../conversation";
import { shown, sizeFigures, type Shown, type SizeFigures } from "../figures";
import { t } from "../language";
import * as numbers from "../numbers";
import type { Page } from "../page";
import type { Answer } from "../run";
import { AnswerBody } from "./answer_body";
import { CopyButton } from "./copy_button";
import { QuietButton } from "./quiet_button";
import { VoteButton } from "./vote_button";

/** Of more columns than stand beside each other, each has a bounded height and scrolls. */
const MOST_BESIDE = 4;
/** Live figures change a few times a second: digits that flicker cannot be read. */
const CALM_MS = 200;

interface Props {
  page: Page;
  turn: Turn;
  now: number;
}

export function Columns({ page, turn, now }: Props) {
  const sizes = sizeFigures(turn.run);
  const bounded = sizes.length > MOST_BESIDE;
  return (
    <div
      class={bounded ? "columns bounded" : "columns"}
      style={{ "--per-row": perRow(sizes.length, MOST_BESIDE) }}
    >
      {sizes.map((size, rank) => (
        <Column
          key={size.model}
          page={page}
          turn={turn}
          size={size}
          now={now}
          color={sizeColor(rank, sizes.length)}
          bounded={bounded}
        />
      ))}
    </div>
  );
}

interface ColumnProps extends Props {
  size: SizeFigures;
  color: Record<string, string>;
  bounded: boolean;
}

function Column({ page, turn, size, now, color, bounded }: ColumnProps) {
  const { model } = size;
  const largest = turn.run.summary?.agreement?.largest ?? model;
  const runs = size.live !== undefined;
  const id = `answer-${turn.id}-${model}`;
  return (
    <article
      class={size.isChosen ? "column sized chosen" : "column sized"}
      style={color}
      tabIndex={-1}
      aria-labelledby={id}
      aria-busy={runs}
    >
      <header>
        <h3 id={id}>
          <span class="dot" aria-hidden="true" />
          {model}
        </h3>
        {runs ? (
          <QuietButton
            icon="stop"
            look="small"
            aria-label={t("stopModel", { model })}
            onClick={() => void page.stopModel(model)}
          >
            {t("stop")}
          </QuietButton>
        ) : (
          size.isSame && largest !== model && <span class="badge">{t("sameAs", { model: largest })}</span>
        )}
      </header>
      <ColumnFigures size={size} now={now} />
      <div class="answers">
        {size.answers.map((answer) => (
          <Sample key={answer.sample} answer={answer} samples={turn.run.samples} bounded={bounded} now={now} />
        ))}
      </div>
      <footer>
        {!runs && size.answered > 0 && (
          <>
            <VoteButton page={page} turn={turn} model={model} />
            <CopyButton
              look="small"
              aria-label={t("copyAnswer", { model })}
              text={() => size.answers.map(({ text }) => text).join("\n\n")}
            />
          </>
        )}
      </footer>
    </article>
  );
}

/** The median of the samples once they have ended, and before the figures of the first that runs. */
function ColumnFigures({ size, now }: { size: SizeFigures; now: number }) {
  const { live } = size;
  const kept = useRef<{ at: number; figures: Shown } | null>(null);
  let figures: Pick<SizeFigures, "ttft" | "tokensPerSecond" | "tokens"> = size;
  if (live) {
    if (kept.current === null || now - kept.current.at >= CALM_MS) {
      kept.current = { at: now, figures: shown(live, now) };
    }
    figures = kept.current.figures;
  } else if (size.total === null && size.answers[0]) {
    figures = shown(size.answers[0], now); // stopped or failed: as far as it came
  }
  return (
    <dl class={live ? "figures soft" : "figures"}>
      <Figure name={t("ttft")} value={numbers.seconds(figures.ttft)} />
      <Figure name={t("tokensPerSecond")} value={numbers.rate(figures.tokensPerSecond)} />
      <Figure name={t("tokens")} value={numbers.count(figures.tokens)} />
    </dl>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">{value}</dd>
    </div>
  );
}

interface SampleProps {
  answer: Answer;
  samples: number;
  bounded: boolean;
  now: number;
}

function Sample({ answer, samples, bounded, now }: SampleProps) {
  return (
    <div class="sample">
      {samples > 1 && (
        <h4 class="sample-head">
          <span>{t("sample", { n: answer.sample + 1 })}</span>
          <span class="soft number">{numbers.seconds(shown(answer, now).total)}</span>
        </h4>
      )}
      <AnswerBody answer={answer} bounded={bounded} />
    </div>
  );
}
