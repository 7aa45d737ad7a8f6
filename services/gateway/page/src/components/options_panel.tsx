import { MAX_SAMPLES } from "../contract";
import { isValid, type NumberField } from "../conversation";
import { t, type Key } from "../language";
import type { Page } from "../page";
import type { Options } from "../share";

export function OptionsPanel({ page }: { page: Page }) {
  const thinks = (page.sizes ?? []).some(
    (size) => page.selected.has(size.model) && size.capabilities.includes("thinking"),
  );
  return (
    <div class="options">
      <label class="field wide">
        <span>{t("system")}</span>
        <textarea
          rows={2}
          value={page.options.system}
          placeholder={t("systemHint")}
          onInput={(event) => page.setOptions({ system: event.currentTarget.value })}
        />
      </label>
      <NumberInput page={page} field="temperature" hint="byModel" />
      <NumberInput page={page} field="seed" hint="seedHint" />
      <NumberInput page={page} field="maxTokens" hint="byModel" />
      <label class="field">
        <span>{t("samples")}</span>
        <input
          type="number"
          min={1}
          max={MAX_SAMPLES}
          value={page.options.samples}
          onInput={(event) => setSamples(page, event.currentTarget.valueAsNumber)}
        />
      </label>
      {thinks && (
        <label class="field">
          <span>{t("thinking")}</span>
          <select
            value={page.options.think}
            onChange={(event) => page.setOptions({ think: event.currentTarget.value as Options["think"] })}
          >
            <option value="">{t("thinkingDefault")}</option>
            <option value="on">{t("thinkingOn")}</option>
            <option value="off">{t("thinkingOff")}</option>
          </select>
        </label>
      )}
    </div>
  );
}

function setSamples(page: Page, value: number): void {
  if (Number.isInteger(value)) page.setOptions({ samples: Math.min(MAX_SAMPLES, Math.max(1, value)) });
}

function NumberInput({ page, field, hint }: { page: Page; field: NumberField; hint: Key }) {
  const value = page.options[field];
  return (
    <label class="field">
      <span>{t(field)}</span>
      <input
        type="text"
        inputMode="decimal"
        autoComplete="off"
        value={value}
        placeholder={t(hint)}
        aria-invalid={!isValid(field, value)}
        onInput={(event) => page.setOptions({ [field]: event.currentTarget.value })}
      />
    </label>
  );
}
