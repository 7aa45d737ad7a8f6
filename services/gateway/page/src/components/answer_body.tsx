import { Component, createRef } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { t, type Key } from "../language";
import { AnswerView } from "../markdown/answer_view";
import * as numbers from "../numbers";
import type { Answer } from "../run";

interface Props {
  answer: Answer;
  /** Scrolls by itself, and follows the text while the reader is at its end. */
  bounded: boolean;
}

export function AnswerBody({ answer, bounded }: Props) {
  const scrolls = bounded && ({ tabIndex: 0, role: "group", "aria-label": t("answerOf", { model: answer.model }) } as const);
  const scroller = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  useLayoutEffect(() => {
    if (bounded && answer.ending === null && follows.current) follow(scroller.current);
  });
  const onScroll = () => {
    const box = scroller.current;
    if (box) follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
  };
  return (
    <div class="body" ref={scroller} onScroll={bounded ? onScroll : undefined} {...(scrolls || {})}>
      {answer.thinking !== "" && <Thoughts answer={answer} />}
      <Text answer={answer} />
      <Ending answer={answer} />
    </div>
  );
}

/** Boxes that scroll to their end. Together, after all of them have changed: each alone would lay out the page. */
const following = new Set<HTMLElement>();

function follow(box: HTMLElement | null): void {
  if (!box) return;
  if (following.size === 0) {
    queueMicrotask(() => {
      for (const each of following) each.scrollTop = 1e9;
      following.clear();
    });
  }
  following.add(box);
}

/** The text, which its view renders: the page re-renders nothing of it. */
class Text extends Component<{ answer: Answer }> {
  private readonly root = createRef<HTMLDivElement>();
  private view: AnswerView | null = null;

  override componentDidMount(): void {
    this.show();
  }

  override componentDidUpdate(): void {
    this.show();
  }

  override componentWillUnmount(): void {
    this.view?.destroy();
  }

  private show(): void {
    const { text, ending } = this.props.answer;
    const isDone = ending !== null;
    if (this.root.current && !this.view?.continues(text, isDone)) {
      this.view?.destroy();
      this.view = new AnswerView(this.root.current);
    }
    this.view?.update(text, isDone);
  }

  render() {
    return <div class="text" ref={this.root} />;
  }
}

function Thoughts({ answer }: { answer: Answer }) {
  const thinks = answer.ending === null && answer.text === "";
  return (
    <details class="thoughts">
      <summary>{t(thinks ? "thinkingNow" : "thoughts")}</summary>
      <div class="plain">{answer.thinking}</div>
    </details>
  );
}

const STATUSES = {
  asked: "statusAsked",
  waiting: "statusWaiting",
  unloaded: "statusUnloaded",
  downloading: "statusDownloading",
  loading: "statusLoading",
  busy: "statusBusy",
  queued: "statusQueued",
  generating: "statusGenerating",
  answering: "statusAnswering",
} as const satisfies Record<Answer["status"], Key>;

/** What an answer waits for, or how it ended. */
function Ending({ answer }: { answer: Answer }) {
  const { ending } = answer;
  if (ending === null) return <Waiting answer={answer} />;
  if (ending === "error") {
    const { failure } = answer;
    return (
      <p class="failure">
        <b>{t("endedError")}</b>
        {failure && <code>{failure.code}</code>}
        <span>{failure ? failure.message : t("lost")}</span>
      </p>
    );
  }
  if (ending === "length") return <p class="soft ended">{t("endedLength")}</p>;
  if (ending === "cancelled") return <p class="soft ended">{t("endedCancelled")}</p>;
  return answer.text === "" ? <p class="soft ended">{t("emptyAnswer")}</p> : null;
}

function Waiting({ answer }: { answer: Answer }) {
  const { status, progress, promptTokens } = answer;
  if (status === "answering") return <span class="caret" aria-hidden="true" />;
  const n = numbers.count(promptTokens);
  const isReading = status === "generating" && promptTokens !== null;
  const what = isReading ? t("statusGeneratingTokens", { n }) : t(STATUSES[status] ?? "statusQueued");
  return (
    <div class="waiting soft">
      <p>
        {what}
        {progress !== null && <b class="number"> {numbers.percent(progress)}</b>}
      </p>
      {progress !== null && <progress aria-label={what} value={progress} max={1} />}
    </div>
  );
}
