import { useState } from "preact/hooks";
import { t } from "../language";
import type { Page } from "../page";
import { Dialog } from "./dialog";

/** A header carries printable ASCII only. */
const KEY = /^[\x21-\x7e]+$/;

export function KeyDialog({ page }: { page: Page }) {
  const [key, setKey] = useState("");
  const isUsable = KEY.test(key.trim());
  return (
    <Dialog page={page} title={t("keyTitle")}>
      <form
        class="key-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (isUsable) page.useKey(key.trim());
        }}
      >
        {page.keyRejected && (
          <p class="problem" role="alert">
            {t("keyRejected")}
          </p>
        )}
        <label class="field">
          <span>{t("keyLabel")}</span>
          <input
            type="password"
            autoComplete="off"
            autoFocus
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        <p class="soft note">{t("keyNote")}</p>
        <button type="submit" class="primary" disabled={!isUsable}>
          {t("keySave")}
        </button>
      </form>
    </Dialog>
  );
}
