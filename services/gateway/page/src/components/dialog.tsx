import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../language";
import type { Page } from "../page";
import { QuietButton } from "./quiet_button";

interface Props {
  page: Page;
  title: string;
  children: ComponentChildren;
}

/** A modal dialog: the browser keeps the focus inside, closes it on Escape, and returns the focus. */
export function Dialog({ page, title, children }: Props) {
  const close = () => page.show(null);
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => {
        if (event.target === element.current) close();
      }}
    >
      <div class="dialog">
        <header>
          <h2 id="dialog-title">{title}</h2>
          <QuietButton icon="close" look="only-icon" aria-label={t("close")} onClick={close} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
