import { useEffect, useRef, useState } from "preact/hooks";
import type { Turn } from "../conversation";
import { t } from "../language";
import type { Page } from "../page";
import { sendOnEnter } from "../shortcuts";
import { Actions } from "./actions";
import { QuietButton } from "./quiet_button";

interface Props {
  page: Page;
  turn: Turn;
  index: number;
  isRunning: boolean;
}

/** The question, which can be edited and sent again. */
export function Prompt({ page, turn, index, isRunning }: Props) {
  const [editing, setEditing] = useState(false);
  const { system } = turn.options;
  if (editing) {
    const send = (text: string) => {
      setEditing(false);
      page.askAgain(turn, text);
    };
    return <Editor text={turn.prompt} onSend={send} onCancel={() => setEditing(false)} />;
  }
  return (
    <div class="prompt">
      <h2 id={`prompt-${turn.id}`}>
        <span class="unseen">{t("turn", { n: index + 1 })}: </span>
        {turn.prompt}
      </h2>
      <QuietButton
        icon="pen"
        look="only-icon"
        aria-label={t("editTitle")}
        title={t("editTitle")}
        disabled={page.running !== null}
        onClick={() => setEditing(true)}
      />
      {!isRunning && <Actions page={page} turn={turn} />}
      {system !== "" && (
        <p class="soft system">
          {t("system")}: {system}
        </p>
      )}
    </div>
  );
}

interface EditorProps {
  text: string;
  onSend: (text: string) => void;
  onCancel: () => void;
}

function Editor({ text, onSend, onCancel }: EditorProps) {
  const [draft, setDraft] = useState(text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        if (draft.trim() !== "") onSend(draft);
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        onCancel();
      }}
    >
      <textarea
        ref={field}
        rows={3}
        value={draft}
        aria-label={t("editTitle")}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={sendOnEnter}
      />
      <div class="tools">
        <span class="spring" />
        <QuietButton onClick={onCancel}>{t("cancel")}</QuietButton>
        <button type="submit" class="primary" disabled={draft.trim() === ""}>
          {t("send")}
        </button>
      </div>
    </form>
  );
}
