import { t } from "../language";
import type { Page } from "../page";
import { Dialog } from "./dialog";
import { Switch } from "./switch";

export function HelpDialog({ page }: { page: Page }) {
  const keys: [string, string][] = [
    [t("enter"), t("keyAsk")],
    [t("shiftEnter"), t("keyNewLine")],
    [t("escape"), t("keyStop")],
  ];
  const single: [string, string][] = [
    ["/", t("keyFocus")],
    ["1 – 9", t("keyColumn")],
    ["n", t("keyNew")],
    ["h", t("keyHistory")],
    ["?", t("keyHelp")],
  ];
  return (
    <Dialog page={page} title={t("help")}>
      <Keys keys={keys} />
      <Switch text={t("singleKeys")} isOn={page.singleKeys} onChange={(isOn) => page.setSingleKeys(isOn)} />
      <Keys keys={single} />
    </Dialog>
  );
}

function Keys({ keys }: { keys: [string, string][] }) {
  return (
    <dl class="keys">
      {keys.map(([key, meaning]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{meaning}</dd>
        </div>
      ))}
    </dl>
  );
}
