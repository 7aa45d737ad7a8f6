import type { ComponentChildren } from "preact";
import type { Size } from "../contract";
import { perRow } from "../balance";
import { sizeColor } from "../colors";
import { language, t, type Key } from "../language";
import * as numbers from "../numbers";
import type { Page } from "../page";
import { families, tag, type Family } from "../selection";
import { Bar } from "./bar";
import { QuietButton } from "./quiet_button";

const MOST_BESIDE = 5;

export function SizePicker({ page }: { page: Page }) {
  const { sizes, sizesError } = page;
  return (
    <div class="picker">
      {sizesError !== null && (
        <p class="problem" role="alert">
          {sizesError}{" "}
          <QuietButton onClick={() => page.refreshSizes()}>{t("tryAgain")}</QuietButton>
        </p>
      )}
      {sizes === null && sizesError === null && <p class="soft">{t("loadingSizes")}</p>}
      {sizes?.length === 0 && (
        <p class="soft">
          {t("noSizes")} <code>sizeup up --models toy:0.5m,toy:2m,toy:5m</code>
        </p>
      )}
      {page.missing.length > 0 && (
        <p class="problem">{t("missingSizes", { models: page.missing.join(", ") })}</p>
      )}
      {families(sizes ?? []).map((family) => (
        <FamilyGroup key={family.name} page={page} family={family} />
      ))}
    </div>
  );
}

function FamilyGroup({ page, family }: { page: Page; family: Family }) {
  const models = family.sizes.map(({ model }) => model);
  const isComplete = models.every((model) => page.selected.has(model));
  const fastest = Math.max(...family.sizes.map((size) => size.measured?.tokens_per_second ?? 0));
  return (
    <fieldset class="family">
      <legend>
        {family.name}
        {models.length > 1 && (
          <QuietButton
            look="small"
            aria-label={t(isComplete ? "noneOf" : "allOf", { family: family.name })}
            onClick={() => page.select(models, !isComplete)}
          >
            {t(isComplete ? "none" : "all")}
          </QuietButton>
        )}
      </legend>
      <div class="chips" style={{ "--per-row": perRow(models.length, MOST_BESIDE) }}>
        {family.sizes.map((size, rank) => (
          <Chip key={size.model} page={page} size={size} color={sizeColor(rank, models.length)} fastest={fastest} />
        ))}
      </div>
    </fieldset>
  );
}

interface ChipProps {
  page: Page;
  size: Size;
  color: Record<string, string>;
  fastest: number;
}

function Chip({ page, size, color, fastest }: ChipProps) {
  const selected = page.selected.has(size.model);
  const state = stateText(size);
  const parameters = numbers.parameters(size.parameters);
  return (
    <label class={`chip sized ${size.state}${selected ? " selected" : ""}`} style={color}>
      <span class="chip-head">
        <input
          type="checkbox"
          checked={selected}
          aria-label={`${size.model}, ${t("parametersHint", { n: parameters })}, ${state}`}
          onChange={(event) => page.select([size.model], event.currentTarget.checked)}
        />
        <span class="dot" aria-hidden="true" />
        <b>{tag(size)}</b>
        <small class="soft">{parameters !== "" && parameters !== tag(size) ? parameters : ""}</small>
      </span>
      <MeasuredBars size={size} fastest={fastest} />
      {size.state !== "ready" && (
        <span class="chip-state">
          {state}
          {size.progress !== null && <progress aria-label={state} value={size.progress} max={1} />}
        </span>
      )}
    </label>
  );
}

/** Speed falls and ability rises: both on scales that the family shares. */
function MeasuredBars({ size, fastest }: { size: Size; fastest: number }) {
  const { measured } = size;
  if (measured === null) return <span class="measured soft">{t("notMeasured")}</span>;
  const { ability, tokens_per_second: speed } = measured;
  return (
    <span class="measured" title={measuredText(size)}>
      {speed !== null && (
        <MeasuredBar name="speed" share={speed / fastest}>
          {numbers.rate(speed)}
          <small class="soft"> {t("tokensPerSecondUnit")}</small>
        </MeasuredBar>
      )}
      {ability !== null && (
        <MeasuredBar name="ability" share={ability}>
          {numbers.percent(ability)}
        </MeasuredBar>
      )}
    </span>
  );
}

interface BarProps {
  name: "speed" | "ability";
  share: number;
  children: ComponentChildren;
}

function MeasuredBar({ name, share, children }: BarProps) {
  return (
    <span class="measured-row">
      <span class="soft">{t(name)}</span>
      <Bar share={share} least={0.02} />
      <span class="value">{children}</span>
    </span>
  );
}

function measuredText({ measured }: Size): string {
  if (measured === null) return "";
  const { ability_low: low, ability_high: high, at } = measured;
  const { percent } = numbers;
  const range = low !== null && high !== null ? t("measuredRange", { low: percent(low), high: percent(high) }) : "";
  const date = at === null ? "" : t("measuredDate", { date: new Date(at).toLocaleDateString(language()) });
  const speed = numbers.rate(measured.tokens_per_second);
  return t("measuredHint", { speed, ability: percent(measured.ability), range, date });
}

const STATES = {
  ready: "stateReady",
  unloaded: "stateUnloaded",
  loading: "stateLoading",
  downloading: "stateDownloading",
  failed: "stateFailed",
} as const satisfies Record<Size["state"], Key>;

function stateText(size: Size): string {
  const what = t(STATES[size.state] ?? "stateUnloaded");
  if (size.progress === null || size.state === "ready") return what;
  return t("withProgress", { what, percent: numbers.percent(size.progress) });
}
