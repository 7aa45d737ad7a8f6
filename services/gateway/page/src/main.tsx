import { render } from "preact";
import { App } from "./components/app";
import { initLanguage } from "./language";
import { Page } from "./page";
import { listen } from "./shortcuts";

initLanguage();
const root = document.getElementById("app") ?? document.body;
const draw = () => render(<App page={page} />, root);
const page = new Page(draw);
draw();
listen(page);
page.start(location.search);
