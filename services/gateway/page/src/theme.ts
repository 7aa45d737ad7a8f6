// Runs before the first paint, so that a chosen theme does not flash.

import { applyTheme, storedTheme } from "./theme_choice";

applyTheme(storedTheme());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  applyTheme(storedTheme()),
);
