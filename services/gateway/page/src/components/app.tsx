import { useEffect, useReducer } from "preact/hooks";
import { language, t } from "../language";
import type { Page } from "../page";
import { action, type Action } from "../shortcuts";
import { Composer } from "./composer";
import { HelpDialog } from "./help_dialog";
import { HistoryDialog } from "./history_dialog";
import { KeyDialog } from "./key_dialog";
import { TopBar } from "./top_bar";
import { TurnView } from "./turn";

export function App({ page }: { page: Page }) {
  const [, update] = useReducer<number, null>((count) => count + 1, 0);
  useEffect(() => page.subscribe(() => update(null)), [page]);
  useEffect(() => listen(page), [page]);
  const hasTurns = page.turns.length > 0;
  return (
    <div class="page" key={language()}>
      <button type="button" class="quiet skip" onClick={focusQuestion}>
        {t("skip")}
      </button>
      <TopBar page={page} />
      <main>
        <div class={hasTurns ? "unseen" : "hero"}>
          <h1>{t("heading")}</h1>
          <p class="soft lead">{t("lead")}</p>
        </div>
        {page.turns.map((turn, index) => (
          <TurnView
            key={turn.id}
            page={page}
            turn={turn}
            index={index}
            isRunning={page.running === turn}
            stamp={`${turn.version} ${page.running === null} ${page.selected.size}`}
          />
        ))}
        <Composer page={page} />
      </main>
      {page.dialog === "history" && <HistoryDialog page={page} />}
      {page.dialog === "help" && <HelpDialog page={page} />}
      {page.dialog === "key" && <KeyDialog page={page} />}
      <div class="unseen" role="status">
        {page.announcement}
      </div>
    </div>
  );
}

function listen(page: Page): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing || page.dialog !== null) return;
    const target = event.target instanceof HTMLElement ? event.target : null;
    const inField = target?.closest("input, textarea, select") != null;
    const modified = event.ctrlKey || event.altKey || event.metaKey;
    const found = action({ key: event.key, inField, modified }, page.singleKeys);
    if (found === null) return;
    if (found !== "stopAll") event.preventDefault();
    perform(page, found);
  };
  document.addEventListener("keydown", onKey);
  return () => document.removeEventListener("keydown", onKey);
}

function perform(page: Page, found: Action): void {
  if (found === "stopAll") page.stopAll();
  else if (found === "focusQuestion") focusQuestion();
  else if (typeof found === "number") focusColumn(found);
  else if (found === "new") {
    page.startNew();
    requestAnimationFrame(focusQuestion);
  } else page.show(found);
}

function focusQuestion(): void {
  document.getElementById("question")?.focus();
}

/** The answer of the n-th size to the last question. */
function focusColumn(index: number): void {
  const last = document.querySelector(".turn:last-of-type");
  last?.querySelectorAll<HTMLElement>(".column")[index]?.focus();
}
