import type { ComponentProps } from "preact";
import { Icon, type IconName } from "./icons";

type Props = ComponentProps<"button"> & {
  icon?: IconName | undefined;
  /** A further class. */
  look?: "small" | "only-icon" | "wide-only";
};

/** A button without a border, of an icon, words, or both; one of an icon needs a label. */
export function QuietButton({ icon, look, children, ...others }: Props) {
  return (
    <button type="button" class={look === undefined ? "quiet" : `quiet ${look}`} {...others}>
      {icon && <Icon name={icon} />}
      {children && <span>{children}</span>}
    </button>
  );
}
