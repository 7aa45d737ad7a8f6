import { sizeColor } from "../colors";
import { shown, sizeFigures, type Shown } from "../figures";
import { language, t, type Key } from "../language";
import * as numbers from "../numbers";
import { isRunning, SEGMENTS, type Answer, type Run, type Segment } from "../run";
import { scaleEnd, ticks } from "../scale";

const NAMES = {
  queue: "segmentQueue",
  load: "segmentLoad",
  prefill: "segmentPrefill",
  decode: "segmentDecode",
} as const satisfies Record<Segment, Key>;

const HINTS = {
  queue: "segmentQueueHint",
  load: "segmentLoadHint",
  prefill: "segmentPrefillHint",
  decode: "segmentDecodeHint",
} as const satisfies Record<Segment, Key>;

interface Props {
  run: Run;
  now: number;
  /** Asks again, one size at a time; null while it cannot. */
  onAskAlone: (() => void) | null;
}

/** Where the time of every answer went, on one scale. */
export function TimeBars({ run, now, onAskAlone }: Props) {
  const figures = new Map(run.answers.map((answer) => [answer, shown(answer, now)]));
  const longest = Math.max(0, ...[...figures.values()].map(({ total }) => total));
  const end = scaleEnd(longest);
  const width = Math.max(...run.models.map(({ model }) => model.length));
  return (
    <section class="times" aria-label={t("time")} style={{ "--name": `${width}ch` }}>
      <div class="time-head">
        <Legend />
        <SharedNote run={run} onAskAlone={onAskAlone} />
      </div>
      <ul>
        {run.models.map(({ model }, rank) => (
          <li key={model} class="time-row sized" style={sizeColor(rank, run.models.length)}>
            <span class="name">
              <span class="dot" aria-hidden="true" />
              {model}
            </span>
            <span class="tracks">
              {run.answers.map((answer) =>
                answer.model === model ? (
                  <Track key={answer.sample} answer={answer} figures={figures.get(answer)} end={end} samples={run.samples} />
                ) : null,
              )}
            </span>
            <Total run={run} model={model} figures={figures} />
          </li>
        ))}
      </ul>
      <div class="axis" aria-hidden="true">
        {ticks(end).map((value) => (
          <span key={value} style={{ left: `${(value / end) * 100}%` }}>
            {numbers.tick(value, end, language())}
          </span>
        ))}
      </div>
    </section>
  );
}

interface TrackProps {
  answer: Answer;
  figures: Shown | undefined;
  end: number;
  samples: number;
}

function Track({ answer, figures, end, samples }: TrackProps) {
  if (figures === undefined) return null;
  let left = 0;
  const segments = SEGMENTS.map((segment) => {
    const from = left;
    left += figures.durations[segment];
    return { segment, from, seconds: figures.durations[segment] };
  });
  const label = figures.isFinal ? spoken(answer, figures, samples) : answer.model;
  return (
    <span class={`track ${answer.ending ?? "open"}`} role="img" aria-label={label} title={figures.isFinal ? label : undefined}>
      {segments.map(({ segment, from, seconds }) =>
        seconds > 0 ? (
          <i
            key={segment}
            class={`segment ${segment}`}
            style={{ left: `${(from / end) * 100}%`, width: `${(seconds / end) * 100}%` }}
          />
        ) : null,
      )}
    </span>
  );
}

function spoken(answer: Answer, figures: Shown, samples: number): string {
  const parts = SEGMENTS.filter((segment) => figures.durations[segment] > 0)
    .map((segment) => `${t(NAMES[segment])} ${numbers.seconds(figures.durations[segment], language())}`)
    .join(", ");
  const total = numbers.seconds(figures.total, language());
  const values = { model: answer.model, sample: answer.sample + 1, parts, total };
  return t(samples > 1 ? "timeOfSample" : "timeOf", values);
}

/** The median of the samples that have ended, or the time of the first that runs. */
function Total({ run, model, figures }: { run: Run; model: string; figures: Map<Answer, Shown> }) {
  const median = sizeFigures(run).find((size) => size.model === model)?.total ?? null;
  const live = run.answers.find((answer) => answer.model === model && answer.ending === null);
  const value = live ? (figures.get(live)?.total ?? null) : median;
  return <span class={live ? "value live" : "value"}>{numbers.seconds(value, language())}</span>;
}

function Legend() {
  return (
    <p class="legend">
      {SEGMENTS.map((segment) => (
        <span key={segment} title={t(HINTS[segment])}>
          <i class={`segment ${segment}`} />
          {t(NAMES[segment])}
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
        <button type="button" class="quiet small" title={t("oneAtATimeHint")} onClick={onAskAlone}>
          {t("askAlone")}
        </button>
      )}
    </p>
  );
}
