import { sizeColor } from "../colors";
import type { Agreement, Size } from "../contract";
import type { Turn } from "../conversation";
import { sizeFigures, type SizeFigures } from "../figures";
import { language, t } from "../language";
import * as numbers from "../numbers";
import type { Page } from "../page";
import { isGood } from "../votes";
import { VoteButton } from "./vote_button";

/** The figures of a turn that has ended, a row per size. */
export function FiguresTable({ page, turn }: { page: Page; turn: Turn }) {
  const sizes = sizeFigures(turn.run);
  if (sizes.every(({ answered }) => answered === 0)) return null;
  const agreement = turn.run.summary?.agreement ?? null;
  const known = new Map((page.sizes ?? []).map((size) => [size.model, size]));
  const ability = (model: string) => known.get(model)?.measured?.ability ?? null;
  const shows = {
    cost: sizes.some(({ cost }) => cost !== null),
    ability: sizes.some(({ model }) => ability(model) !== null),
    agreement: agreement !== null && sizes.length > 1,
  };
  const fastest = Math.max(...sizes.map(({ tokensPerSecond }) => tokensPerSecond ?? 0));
  return (
    <div class="scroll figures-table" role="region" aria-label={t("figures")} tabIndex={0}>
      <table>
        <caption class="unseen">{t("figures")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("size")}</th>
            <th scope="col" title={t("ttftLong")}>{t("ttft")}</th>
            <th scope="col">{t("tokensPerSecond")}</th>
            <th scope="col">{t("total")}</th>
            <th scope="col">{t("tokens")}</th>
            {shows.cost && <th scope="col">{t("cost")}</th>}
            <th scope="col" title={t("atOnceHint")}>{t("atOnce")}</th>
            {shows.ability && (
              <th scope="col">
                {t("ability")}
                <small>{t("abilityHint")}</small>
              </th>
            )}
            {shows.agreement && (
              <th scope="col">
                {t("same")}
                <small>{t("sameHint", { model: agreement?.largest ?? "" })}</small>
              </th>
            )}
            <th scope="col">{t("vote")}</th>
          </tr>
        </thead>
        <tbody>
          {sizes.map((size, rank) => (
            <Row
              key={size.model}
              page={page}
              turn={turn}
              size={size}
              known={known.get(size.model)}
              agreement={agreement}
              shows={shows}
              fastest={fastest}
              color={sizeColor(rank, sizes.length)}
            />
          ))}
        </tbody>
      </table>
      <p class="soft note seed">
        {turn.run.samples > 1 && `${t("medians", { n: turn.run.samples })} `}
        {turn.run.seed !== null && `${t("seed")} ${turn.run.seed}`}
      </p>
    </div>
  );
}

interface RowProps {
  page: Page;
  turn: Turn;
  size: SizeFigures;
  known: Size | undefined;
  agreement: Agreement | null;
  shows: { cost: boolean; ability: boolean; agreement: boolean };
  fastest: number;
  color: Record<string, string>;
}

function Row({ page, turn, size, known, agreement, shows, fastest, color }: RowProps) {
  const { model } = size;
  const ability = known?.measured?.ability ?? null;
  const isSame = agreement?.same.includes(model) === true;
  const isChosen = agreement?.smallest === model && agreement.smallest !== agreement.largest;
  return (
    <tr class={`sized${isChosen ? " chosen" : ""}`} style={color}>
      <th scope="row">
        <span class="dot" aria-hidden="true" />
        {model}
      </th>
      <td>{numbers.seconds(size.ttft, language())}</td>
      <td>
        {numbers.rate(size.tokensPerSecond, language())}
        {size.tokensPerSecond !== null && <Bar share={size.tokensPerSecond / fastest} />}
      </td>
      <td>{numbers.seconds(size.total, language())}</td>
      <td>{numbers.count(size.tokens, language())}</td>
      {shows.cost && <td>{numbers.money(size.cost, language())}</td>}
      <td>{numbers.count(size.atOnce, language())}</td>
      {shows.ability && (
        <td>
          {numbers.percent(ability, language())}
          {ability !== null && <Bar share={ability} />}
        </td>
      )}
      {shows.agreement && <td class={isSame ? "same" : "soft"}>{isSame ? "✓" : numbers.NONE}</td>}
      <td>
        {size.answered > 0 && (
          <VoteButton
            model={model}
            isGood={isGood(page.votes, turn.id, model)}
            onClick={() => page.vote(turn, model)}
            onlyIcon
          />
        )}
      </td>
    </tr>
  );
}

function Bar({ share }: { share: number }) {
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ width: `${Math.min(1, share) * 100}%` }} />
    </span>
  );
}
