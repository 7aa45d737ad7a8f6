/** Highlighted code, loaded when the first answer contains code of a known language. */

import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";

const lowlight = createLowlight({
  bash, c, cpp, css, diff, go, java, javascript, json, python, rust, sql, typescript, xml, yaml,
});

type Highlighted = ReturnType<typeof lowlight.highlight>["children"][number];

/** The code as text and spans; null for an unknown language. */
export function highlighted(language: string, source: string): (Node | string)[] | null {
  return lowlight.registered(language) ? lowlight.highlight(language, source).children.map(shown) : null;
}

function shown(node: Highlighted): Node | string {
  if (node.type !== "element") return node.type === "text" ? node.value : "";
  const names = node.properties["className"];
  const span = document.createElement("span");
  span.className = Array.isArray(names) ? names.join(" ") : "";
  span.append(...(node.children as Highlighted[]).map(shown));
  return span;
}
