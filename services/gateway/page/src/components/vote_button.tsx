import { t } from "../language";
import { Icon } from "./icons";

interface Props {
  model: string;
  isGood: boolean;
  onClick: () => void;
  /** Without words, in a table whose column names it. */
  onlyIcon?: boolean;
}

export function VoteButton({ model, isGood, onClick, onlyIcon = false }: Props) {
  return (
    <button
      type="button"
      class={`vote ${onlyIcon ? "only-icon" : "small"}${isGood ? " given" : ""}`}
      aria-pressed={isGood}
      aria-label={t("goodEnoughModel", { model })}
      onClick={onClick}
    >
      <Icon name={isGood ? "check" : "circle"} />
      {!onlyIcon && <span>{t("goodEnough")}</span>}
    </button>
  );
}
