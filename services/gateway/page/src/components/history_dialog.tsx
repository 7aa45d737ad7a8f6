import { useEffect, useState } from "preact/hooks";
import { download } from "../csv";
import { list, MOST_COMPARISONS, remove, type Entry } from "../history";
import { language, t } from "../language";
import type { Page } from "../page";
import { tally, votesCsv } from "../votes";
import { Dialog } from "./dialog";
import { Icon } from "./icons";

export function HistoryDialog({ page }: { page: Page }) {
  const [entries, setEntries] = useState<Entry[] | null | undefined>(undefined);
  const refresh = () => void list().then(setEntries, () => setEntries(null));
  useEffect(refresh, []);
  const removeAll = (ids: string[]) => void remove(ids).then(refresh);
  return (
    <Dialog title={t("history")} onClose={() => page.show(null)}>
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
            <button type="button" class="quiet" onClick={() => removeAll(entries.map(({ id }) => id))}>
              {t("removeAll")}
            </button>
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
        <span class="entry-prompt">{entry.prompt}</span>
        <small class="soft">
          {at} · {entry.models.join(", ")}
        </small>
      </button>
      <button
        type="button"
        class="quiet only-icon"
        aria-label={t("removeItem", { prompt: entry.prompt.slice(0, 60) })}
        title={t("remove")}
        onClick={onRemove}
      >
        <Icon name="close" />
      </button>
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
            <span class="bar" aria-hidden="true">
              <span style={{ width: `${(good / asked) * 100}%` }} />
            </span>
            <span class="soft">{t("votesTally", { good, asked })}</span>
          </li>
        ))}
      </ul>
      <button type="button" class="quiet" onClick={() => download("sizeup-votes.csv", votesCsv(page.votes))}>
        <Icon name="file" />
        <span>{t("votesCsv")}</span>
      </button>
    </section>
  );
}
