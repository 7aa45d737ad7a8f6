import { sizeColor } from "../colors";
import { shown, sizeFigures, type Shown } from "../figures";
import { t } from "../language";
import * as numbers from "../numbers";
import { isRunning, SEGMENTS, type Answer, type Run } from "../run";
import { scaleEnd, ticks } from "../scale";
import { QuietButton } from "./quiet_button";

interface Props {
  run: Run;
  now: number;
  /** Asks again, one size at a time; null while it cannot. */
  onAskAlone: (() => void) | null;
}

/** Where the time of every answer went, on one scale. */
export function TimeBars({ run, now, onAskAlone }: Props) {
  const end = scaleEnd(Math.max(0, ...run.answers.map((answer) => shown(answer, now).total)));
  const width = Math.max(...run.models.map(({ model }) => model.length));
  return (
    <section class="times" aria-label={t("time")} style={{ "--name": `${width}ch` }}>
      <div class="time-head">
        <Legend />
        <SharedNote run={run} onAskAlone={onAskAlone} />
      </div>
      <ul>
        {sizeFigures(run).map(({ model, answers, live, total }, rank) => (
          <li key={model} class="time-row sized" style={sizeColor(rank, run.models.length)}>
            <span class="name">
              <span class="dot" aria-hidden="true" />
              {model}
            </span>
            <span class="tracks">
              {answers.map((answer) => (
                <Track key={answer.sample} answer={answer} figures={shown(answer, now)} end={end} samples={run.samples} />
              ))}
            </span>
            <span class={live ? "value soft" : "value"}>
              {numbers.seconds(live ? shown(live, now).total : total)}
            </span>
          </li>
        ))}
      </ul>
      <div class="axis soft number" aria-hidden="true">
        {ticks(end).map((value) => (
          <span key={value} style={{ left: `${(value / end) * 100}%` }}>
            {numbers.tick(value, end)}
          </span>
        ))}
      </div>
    </section>
  );
}

interface TrackProps {
  answer: Answer;
  figures: Shown;
  end: number;
  samples: number;
}

function Track({ answer, figures, end, samples }: TrackProps) {
  const { durations } = figures;
  const percent = (seconds: number) => `${(seconds / end) * 100}%`;
  let from = 0;
  const label = figures.isFinal ? spoken(answer, figures, samples) : answer.model;
  return (
    <span class={`track ${answer.ending ?? "open"}`} role="img" aria-label={label} title={figures.isFinal ? label : undefined}>
      {SEGMENTS.filter((segment) => durations[segment] > 0).map((segment) => {
        const style = { left: percent(from), width: percent(durations[segment]) };
        from += durations[segment];
        return <i key={segment} class={`segment ${segment}`} style={style} />;
      })}
    </span>
  );
}

function spoken(answer: Answer, figures: Shown, samples: number): string {
  const parts = SEGMENTS.filter((segment) => figures.durations[segment] > 0)
    .map((segment) => `${t(`segment.${segment}`)} ${numbers.seconds(figures.durations[segment])}`)
    .join(", ");
  const total = numbers.seconds(figures.total);
  const values = { model: answer.model, sample: answer.sample + 1, parts, total };
  return t(samples > 1 ? "timeOfSample" : "timeOf", values);
}

function Legend() {
  return (
    <p class="soft legend">
      {SEGMENTS.map((segment) => (
        <span key={segment} title={t(`segmentHint.${segment}`)}>
          <i class={`segment ${segment}`} />
          {t(`segment.${segment}`)}
        </span>
      ))}
    </p>
  );
}

/** Figures of sizes side by side disturb each other: the reader should know. */
function SharedNote({ run, onAskAlone }: Pick<Props, "run" | "onAskAlone">) {
  if (isRunning(run)) return null;
  const most = Math.max(0, ...run.answers.map(({ figures }) => figures?.at_once ?? 0));
  if (most === 0 || run.models.length === 1) return null;
  if (most === 1) return <p class="soft note">{t("aloneNote")}</p>;
  return (
    <p class="soft note">
      {t("sharedNote", { n: most })}
      {onAskAlone && (
        <QuietButton look="small" title={t("oneAtATimeHint")} onClick={onAskAlone}>
          {t("askAlone")}
        </QuietButton>
      )}
    </p>
  );
}
