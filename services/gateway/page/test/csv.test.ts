import assert from "node:assert/strict";
import { test } from "node:test";
import { csv } from "../src/csv";

test("cells are quoted where they need it", () => {
  assert.equal(csv([["a", 'say "hi"', "x,y", "two\nlines", 1.5, true, null]]), 'a,"say ""hi""","x,y","two\nlines",1.5,true,\r\n');
});

test("no cell is a formula", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1", "＋1", "－1", "＠x"]) {
    const written = csv([[text]]);
    assert.match(written, /^"?'/, JSON.stringify(text));
  }
  assert.equal(csv([["a=1", "3 - 2", "x@y.z"]]), "a=1,3 - 2,x@y.z\r\n");
});

test("negative numbers are numbers", () => {
  assert.equal(csv([[-1]]), "-1\r\n");
});
