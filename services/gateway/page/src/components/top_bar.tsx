import { useReducer } from "preact/hooks";
import { apiKey } from "../gateway";
import { chooseLanguage, LANGUAGES, language, t, type Language } from "../language";
import type { Page } from "../page";
import { chooseTheme, storedTheme, THEMES, type Theme } from "../theme_choice";
import { Icon, Mark } from "./icons";

const THEME_TEXTS = { auto: "themeAuto", light: "themeLight", dark: "themeDark" } as const;
const THEME_ICONS = { auto: "system", light: "light", dark: "dark" } as const;

export function TopBar({ page }: { page: Page }) {
  return (
    <header class="top">
      <div class="brand">
        <Mark />
        <span>sizeup</span>
      </div>
      <nav aria-label="sizeup">
        {page.turns.length > 0 && (
          <button type="button" class="quiet" title={t("newComparisonHint")} onClick={() => page.startNew()}>
            <Icon name="add" />
            <span>{t("newComparison")}</span>
          </button>
        )}
        {apiKey() !== "" && (
          <button type="button" class="quiet" onClick={() => page.forgetKey()}>
            <span>{t("forgetKey")}</span>
          </button>
        )}
        <button type="button" class="quiet" onClick={() => page.show("history")}>
          <Icon name="clock" />
          <span>{t("history")}</span>
        </button>
        <button type="button" class="quiet wide-only" onClick={() => page.show("help")}>
          <Icon name="keyboard" />
          <span>{t("help")}</span>
        </button>
        <LanguageSwitch page={page} />
        <ThemeSwitch />
      </nav>
    </header>
  );
}

/** Named in the language that it leads to. */
function LanguageSwitch({ page }: { page: Page }) {
  const other: Language = language() === "en" ? "zh-CN" : "en";
  const choose = () => {
    chooseLanguage(other);
    page.changed();
  };
  return (
    <button type="button" class="quiet" lang={other} onClick={choose}>
      {LANGUAGES[other]}
    </button>
  );
}

function ThemeSwitch() {
  const [, update] = useReducer<number, null>((count) => count + 1, 0);
  const theme = storedTheme();
  const next: Theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
  const label = `${t("themeSwitch")}: ${t(THEME_TEXTS[theme])}`;
  const choose = () => {
    chooseTheme(next);
    update(null);
  };
  return (
    <button type="button" class="quiet only-icon" aria-label={label} title={label} onClick={choose}>
      <Icon name={THEME_ICONS[theme]} />
    </button>
  );
}
