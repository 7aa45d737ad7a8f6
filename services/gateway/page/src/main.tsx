import { render } from "preact";
import { App } from "./components/app";
import { initLanguage } from "./language";
import { Page } from "./page";

initLanguage();
const page = new Page();
const root = document.getElementById("app");
if (root) render(<App page={page} />, root);
page.start(location.search);
