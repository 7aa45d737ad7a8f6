import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeEntities } from "../src/markdown/entities";
import { safeLink } from "../src/markdown/links";
import { parse } from "../src/markdown/parser";

const types = (source: string): string[] =>
  parse(source).flatMap((token) => ("tokens" in token && token.tokens ? token.tokens : [token])).map(({ type }) => type);

test("only the web and mail are linked", () => {
  assert.equal(safeLink("https://a.example/x?y#z"), "https://a.example/x?y#z");
  assert.equal(safeLink("mailto:a@b.example"), "mailto:a@b.example");
  for (const address of [
    "javascript:alert(1)", " javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "data:text/html,x",
    "vbscript:x", "file:///etc/passwd", "blob:https://a/b", "/api/tags", "//a.example", "#x", "x.html", "",
  ]) {
    assert.equal(safeLink(address), null, address);
  }
});

test("formulas are recognized in each of their forms, and prices are not", () => {
  for (const source of ["so $a_1 + b_2$ is", "so \\(a_1\\) is"]) {
    assert.deepEqual(types(source), ["text", "formula", "text"], source);
  }
  assert.deepEqual(types("$$x$$"), ["formula"]);
  for (const source of ["$5 and $6", "a $ b $ c", "costs $5", "$HOME is $PATH5"]) {
    assert.ok(!types(source).includes("formula"), source);
  }
});

test("character references are decoded, and unknown ones are left", () => {
  assert.equal(decodeEntities("a &lt;b&gt; &amp;amp; &#65;&#x4e16; &nope; &#0; &#xd800;"), "a <b> &amp; A世 &nope; \ufffd \ufffd");
});
