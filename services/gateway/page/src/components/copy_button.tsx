import { useState } from "preact/hooks";
import { copyText } from "../clipboard";
import { t } from "../language";

export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => void copyText(text()).then(setCopied);
  return (
    <button type="button" class="quiet small" aria-label={label} onClick={copy} onBlur={() => setCopied(false)}>
      {t(copied ? "copied" : "copy")}
    </button>
  );
}
