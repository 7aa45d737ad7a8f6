import { useEffect, useRef, useState } from "preact/hooks";
import { MAX_ANSWERS, MAX_MODELS } from "../contract";
import { examples } from "../examples";
import { language, plural, t } from "../language";
import type { Page } from "../page";
import { DEFAULT_OPTIONS, type Options } from "../share";
import { focusQuestion, sendOnEnter } from "../shortcuts";
import { Icon } from "./icons";
import { OptionsPanel } from "./options_panel";
import { SizePicker } from "./size_picker";
import { Switch } from "./switch";

/** The sizes, the question and its options: the middle of an empty page, and later its lower edge. */
export function Composer({ page }: { page: Page }) {
  const hasTurns = page.turns.length > 0;
  const [open, setOpen] = useState<"sizes" | "options" | null>(null);
  const toggle = (panel: "sizes" | "options") => setOpen(open === panel ? null : panel);
  useEffect(() => {
    if (page.running !== null) setOpen(null);
  }, [page.running]);
  const showsSizes = !hasTurns || open === "sizes";
  return (
    <form
      class={hasTurns ? "composer docked" : "composer"}
      onSubmit={(event) => {
        event.preventDefault();
        page.ask();
      }}
    >
      {showsSizes && (
        <div id="sizes-panel" class="panel">
          <SizePicker page={page} />
        </div>
      )}
      {open === "options" && (
        <div id="options-panel" class="panel">
          <OptionsPanel page={page} />
        </div>
      )}
      <div class="box">
        <Question page={page} />
        <div class="tools">
          {hasTurns && (
            <Toggle panel="sizes-panel" isOpen={open === "sizes"} onClick={() => toggle("sizes")}>
              {plural(page.selected.size, "sizesCountOne", "sizesCount")}
            </Toggle>
          )}
          <Toggle panel="options-panel" isOpen={open === "options"} onClick={() => toggle("options")}>
            {optionsLabel(page.options)}
          </Toggle>
          <Switch
            text={t("oneAtATime")}
            title={t("oneAtATimeHint")}
            isOn={page.options.oneAtATime}
            onChange={(oneAtATime) => page.setOptions({ oneAtATime })}
          />
          <Obstacle page={page} />
          <AskButton page={page} />
        </div>
      </div>
      {!hasTurns && <Examples page={page} />}
    </form>
  );
}

interface ToggleProps {
  panel: string;
  isOpen: boolean;
  onClick: () => void;
  children: string;
}

function Toggle({ panel, isOpen, onClick, children }: ToggleProps) {
  return (
    <button
      type="button"
      class={isOpen ? "quiet toggle open" : "quiet toggle"}
      aria-expanded={isOpen}
      aria-controls={isOpen ? panel : undefined}
      onClick={onClick}
    >
      {children}
      <Icon name="down" />
    </button>
  );
}

function optionsLabel(options: Options): string {
  const names = Object.keys(DEFAULT_OPTIONS) as (keyof Options)[];
  const set = names.filter((name) => name !== "oneAtATime" && options[name] !== DEFAULT_OPTIONS[name]);
  return set.length === 0 ? t("options") : t("optionsChanged", { n: set.length });
}

function Question({ page }: { page: Page }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const rows = page.turns.length > 0 ? 1 : 2;
  useEffect(() => {
    // On a touch screen the keyboard would cover the page.
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, []);
  useEffect(() => {
    const area = field.current;
    if (!area) return;
    // As high as its text: the style sheet bounds it.
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [page.draft, rows]);
  return (
    <textarea
      id="question"
      ref={field}
      rows={rows}
      value={page.draft}
      aria-label={t("question")}
      placeholder={t(page.turns.length > 0 ? "followUpHint" : "questionHint")}
      onInput={(event) => page.setDraft(event.currentTarget.value)}
      onKeyDown={sendOnEnter}
    />
  );
}

function Obstacle({ page }: { page: Page }) {
  const { obstacle } = page;
  if (obstacle === null || obstacle === "empty") return <span class="spring" />;
  const n = obstacle === "tooManySizes" ? MAX_MODELS : MAX_ANSWERS;
  return (
    <span class="spring problem" role="alert">
      {t(obstacle, { n })}
    </span>
  );
}

function AskButton({ page }: { page: Page }) {
  if (page.running !== null) {
    return (
      <button type="button" class="primary stop" onClick={() => page.stopAll()}>
        <Icon name="stop" />
        <span>{t("stopAll")}</span>
      </button>
    );
  }
  return (
    <button type="submit" class="primary" disabled={page.obstacle !== null}>
      <Icon name="send" />
      <span>{plural(page.selected.size, "askOne", "ask")}</span>
    </button>
  );
}

function Examples({ page }: { page: Page }) {
  const choose = (text: string) => {
    page.setDraft(text);
    focusQuestion();
  };
  return (
    <p class="examples">
      <span class="soft">{t("examples")}</span>
      {examples([...page.selected], language()).map((text) => (
        <button type="button" class="example" key={text} onClick={() => choose(text)}>
          {text}
        </button>
      ))}
    </p>
  );
}
