import type { ComponentProps } from "preact";
import { useState } from "preact/hooks";
import { copyText } from "../clipboard";
import { t, type Key } from "../language";
import { QuietButton } from "./quiet_button";

type Props = ComponentProps<typeof QuietButton> & {
  text: () => string;
  /** What it says before and after. */
  words?: [before: Key, after: Key];
};

/** Says that it has copied until it loses the focus. */
export function CopyButton({ text, icon, words: [before, after] = ["copy", "copied"], ...others }: Props) {
  const [copied, setCopied] = useState(false);
  return (
    <QuietButton
      icon={copied && icon ? "check" : icon}
      onClick={() => void copyText(text()).then(setCopied)}
      onBlur={() => setCopied(false)}
      {...others}
    >
      {t(copied ? after : before)}
    </QuietButton>
  );
}
