import { language, t } from "../language";
import type { Page } from "../page";
import { focusQuestion } from "../shortcuts";
import { Composer } from "./composer";
import { HelpDialog } from "./help_dialog";
import { HistoryDialog } from "./history_dialog";
import { KeyDialog } from "./key_dialog";
import { TopBar } from "./top_bar";
import { TurnView } from "./turn";

export function App({ page }: { page: Page }) {
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
