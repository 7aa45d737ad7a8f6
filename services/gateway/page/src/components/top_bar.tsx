import { apiKey } from "../gateway";
import { chooseLanguage, LANGUAGES, language, t, type Language } from "../language";
import type { Page } from "../page";
import { chooseTheme, storedTheme, THEMES, type Theme } from "../theme_choice";
import { Mark } from "./icons";
import { QuietButton } from "./quiet_button";

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
          <QuietButton icon="add" title={t("newComparisonHint")} onClick={() => page.startNew()}>
            {t("newComparison")}
          </QuietButton>
        )}
        {apiKey() !== "" && (
          <QuietButton onClick={() => page.forgetKey()}>{t("forgetKey")}</QuietButton>
        )}
        <QuietButton icon="clock" onClick={() => page.show("history")}>
          {t("history")}
        </QuietButton>
        <QuietButton icon="keyboard" look="wide-only" onClick={() => page.show("help")}>
          {t("help")}
        </QuietButton>
        <LanguageSwitch page={page} />
        <ThemeSwitch page={page} />
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
    <QuietButton lang={other} onClick={choose}>
      {LANGUAGES[other]}
    </QuietButton>
  );
}

function ThemeSwitch({ page }: { page: Page }) {
  const theme = storedTheme();
  const next: Theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
  const label = `${t("themeSwitch")}: ${t(`theme.${theme}`)}`;
  const choose = () => {
    chooseTheme(next);
    page.changed();
  };
  return (
    <QuietButton icon={THEME_ICONS[theme]} look="only-icon" aria-label={label} title={label} onClick={choose} />
  );
}
