import { useEffect, useState } from "preact/hooks";
import { download } from "../csv";
import { list, MOST_COMPARISONS, remove, type Entry } from "../history";
import { language, t } from "../language";
import type { Page } from "../page";
import { tally, votesCsv } from "../votes";
import { Bar } from "./bar";
import { Dialog } from "./dialog";
import { QuietButton } from "./quiet_button";

export function HistoryDialog({ page }: { page: Page }) {
  const [entries, setEntries] = useState<Entry[] | null | undefined>(undefined);
  const refresh = () => void list().then(setEntries, () => setEntries(null));
  useEffect(refresh, []);
  const removeAll = (ids: string[]) => void remove(ids).then(refresh);
  return (
    <Dialog page={page} title={t("history")}>
      {entries === null && <p class="soft">{t("historyUnavailable")}</p>}
      {entries?.length === 0 && <p class="soft">{t("historyEmpty", { n: MOST_COMPARISONS })}</p>}
      {entries && entries.length > 0 && (
        <>
          <ul class="entries">
            {entries.map((entry) => (
              <EntryRow key={entry.id} page={page} entry={entry} onRemove={() => removeAll([entry.id])} />
            ))}
          </ul>
          <div class="tools">
            <span class="soft note spring">{t("historyNote", { n: MOST_COMPARISONS })}</span>
            <QuietButton onClick={() => removeAll(entries.map(({ id }) => id))}>{t("removeAll")}</QuietButton>
          </div>
        </>
      )}
      <Votes page={page} />
    </Dialog>
  );
}

function EntryRow({ page, entry, onRemove }: { page: Page; entry: Entry; onRemove: () => void }) {
  const at = new Date(entry.at).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
  return (
    <li>
      <button type="button" class="entry" onClick={() => void page.open(entry.id)}>
        <span>{entry.prompt}</span>
        <small class="soft">
          {at} · {entry.models.join(", ")}
        </small>
      </button>
      <QuietButton
        icon="close"
        look="only-icon"
        aria-label={t("removeItem", { prompt: entry.prompt.slice(0, 60) })}
        title={t("remove")}
        onClick={onRemove}
      />
    </li>
  );
}

function Votes({ page }: { page: Page }) {
  const counts = tally(page.votes);
  if (counts.length === 0) return null;
  return (
    <section class="votes" aria-labelledby="votes-title">
      <h3 id="votes-title">{t("votes")}</h3>
      <ul>
        {counts.map(({ model, good, asked }) => (
          <li key={model}>
            <b>{model}</b>
            <Bar share={good / asked} />
            <span class="soft">{t("votesTally", { good, asked })}</span>
          </li>
        ))}
      </ul>
      <QuietButton icon="file" onClick={() => download("sizeup-votes.csv", votesCsv(page.votes))}>
        {t("votesCsv")}
      </QuietButton>
    </section>
  );
}
