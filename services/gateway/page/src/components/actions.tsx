import type { Turn } from "../conversation";
import { download } from "../csv";
import { t } from "../language";
import type { Page } from "../page";
import { writeLink } from "../share";
import { turnCsv } from "../votes";
import { CopyButton } from "./copy_button";
import { QuietButton } from "./quiet_button";

/** What can be done with a question that has been answered. */
export function Actions({ page, turn }: { page: Page; turn: Turn }) {
  const link = () => writeLink(location.origin + location.pathname, turn.models, turn.prompt, turn.options);
  const save = () => download(`sizeup-${turn.at.slice(0, 10)}.csv`, turnCsv(turn, page.votes));
  return (
    <div class="actions">
      <QuietButton
        icon="repeat"
        title={t("askAgainHint")}
        disabled={page.running !== null || page.selected.size === 0}
        onClick={() => page.askAgain(turn, turn.prompt)}
      >
        {t("askAgain")}
      </QuietButton>
      <CopyButton icon="link" title={t("linkHint")} text={link} words={["share", "linkCopied"]} />
      <QuietButton icon="file" onClick={save}>
        {t("csv")}
      </QuietButton>
    </div>
  );
}
