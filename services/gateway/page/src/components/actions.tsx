import { useState } from "preact/hooks";
import { copyText } from "../clipboard";
import type { Turn } from "../conversation";
import { download } from "../csv";
import { t } from "../language";
import type { Page } from "../page";
import { writeLink } from "../share";
import { turnCsv } from "../votes";
import { Icon } from "./icons";

/** What can be done with a question that has been answered. */
export function Actions({ page, turn }: { page: Page; turn: Turn }) {
  const [copied, setCopied] = useState(false);
  const share = () => {
    const address = location.origin + location.pathname;
    const link = writeLink(address, turn.models, turn.prompt, turn.options);
    void copyText(link).then(setCopied);
  };
  const save = () => download(`sizeup-${turn.at.slice(0, 10)}.csv`, turnCsv(turn, page.votes));
  return (
    <div class="actions">
      <button
        type="button"
        class="quiet"
        title={t("askAgainHint")}
        disabled={page.running !== null || page.selected.size === 0}
        onClick={() => page.askAgain(turn, turn.prompt)}
      >
        <Icon name="repeat" />
        <span>{t("askAgain")}</span>
      </button>
      <button type="button" class="quiet" title={t("linkHint")} onClick={share} onBlur={() => setCopied(false)}>
        <Icon name={copied ? "check" : "link"} />
        <span>{t(copied ? "linkCopied" : "share")}</span>
      </button>
      <button type="button" class="quiet" onClick={save}>
        <Icon name="file" />
        <span>{t("csv")}</span>
      </button>
    </div>
  );
}
