import type { ComponentChildren } from "preact";
import { sizeColor } from "../colors";
import type { Turn } from "../conversation";
import { sizeFigures, type SizeFigures } from "../figures";
import { t } from "../language";
import * as numbers from "../numbers";
import type { Page } from "../page";
import { Bar } from "./bar";
import { VoteButton } from "./vote_button";

/** The figures of a turn that has ended, a row per size. */
export function FiguresTable({ page, turn }: { page: Page; turn: Turn }) {
  const sizes = sizeFigures(turn.run);
  if (sizes.every(({ answered }) => answered === 0)) return null;
  const shown = columns(page, turn, sizes);
  const { samples, seed } = turn.run;
  return (
    <div class="scroll figures-table" role="region" aria-label={t("figures")} tabIndex={0}>
      <table>
        <caption class="unseen">{t("figures")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("size")}</th>
            {shown.map(({ name, title, note }) => (
              <th key={name} scope="col" title={title}>
                {name}
                {note && <small>{note}</small>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sizes.map((size, rank) => (
            <tr key={size.model} class={size.isChosen ? "sized chosen" : "sized"} style={sizeColor(rank, sizes.length)}>
              <th scope="row">
                <span class="dot" aria-hidden="true" />
                {size.model}
              </th>
              {shown.map(({ name, cell }) => (
                <td key={name}>{cell(size)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="soft note number">
        {samples > 1 && `${t("medians", { n: samples })} `}
        {seed !== null && `${t("seed")} ${seed}`}
      </p>
    </div>
  );
}

interface Column {
  name: string;
  title?: string;
  note?: string;
  cell: (size: SizeFigures) => ComponentChildren;
}

/** The columns after the name, without those that no size has a figure for. */
function columns(page: Page, turn: Turn, sizes: SizeFigures[]): Column[] {
  const agreement = turn.run.summary?.agreement ?? null;
  const abilities = new Map((page.sizes ?? []).map((size) => [size.model, size.measured?.ability ?? null]));
  const ability = ({ model }: SizeFigures) => abilities.get(model) ?? null;
  const fastest = Math.max(...sizes.map(({ tokensPerSecond }) => tokensPerSecond ?? 0));
  const all: (Column | false)[] = [
    { name: t("ttft"), title: t("ttftLong"), cell: ({ ttft }) => numbers.seconds(ttft) },
    {
      name: t("tokensPerSecond"),
      cell: ({ tokensPerSecond: rate }) => [numbers.rate(rate), rate !== null && <Bar share={rate / fastest} />],
    },
    { name: t("total"), cell: ({ total }) => numbers.seconds(total) },
    { name: t("tokens"), cell: ({ tokens }) => numbers.count(tokens) },
    sizes.some(({ cost }) => cost !== null) && { name: t("cost"), cell: ({ cost }) => numbers.money(cost) },
    { name: t("atOnce"), title: t("atOnceHint"), cell: ({ atOnce }) => numbers.count(atOnce) },
    sizes.some((size) => ability(size) !== null) && {
      name: t("ability"),
      note: t("abilityHint"),
      cell: (size) => [numbers.percent(ability(size)), ability(size) !== null && <Bar share={ability(size) ?? 0} />],
    },
    agreement !== null && sizes.length > 1 && {
      name: t("same"),
      note: t("sameHint", { model: agreement.largest }),
      cell: ({ isSame }) => <span class={isSame ? "same" : "soft"}>{isSame ? "✓" : numbers.NONE}</span>,
    },
    {
      name: t("vote"),
      cell: ({ model, answered }) => answered > 0 && <VoteButton page={page} turn={turn} model={model} onlyIcon />,
    },
  ];
  return all.filter((column) => column !== false);
}
