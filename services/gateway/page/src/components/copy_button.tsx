import { useState } from "preact/hooks";
import { t } from "../language";

export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => void navigator.clipboard.writeText(text()).then(() => setCopied(true));
  return (
    <button type="button" class="quiet small" aria-label={label} onClick={copy} onBlur={() => setCopied(false)}>
      {t(copied ? "copied" : "copy")}
    </button>
  );
}
