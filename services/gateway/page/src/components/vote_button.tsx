import type { Turn } from "../conversation";
import { t } from "../language";
import type { Page } from "../page";
import { isGood } from "../votes";
import { Icon } from "./icons";

interface Props {
  page: Page;
  turn: Turn;
  model: string;
  /** Without words, in a table whose column names it. */
  onlyIcon?: boolean;
}

export function VoteButton({ page, turn, model, onlyIcon = false }: Props) {
  const given = isGood(page.votes, turn.id, model);
  return (
    <button
      type="button"
      class={`vote ${onlyIcon ? "only-icon" : "small"}${given ? " given" : ""}`}
      aria-pressed={given}
      aria-label={t("goodEnoughModel", { model })}
      onClick={() => page.vote(turn, model)}
    >
      <Icon name={given ? "check" : "circle"} />
      {!onlyIcon && <span>{t("goodEnough")}</span>}
    </button>
  );
}
