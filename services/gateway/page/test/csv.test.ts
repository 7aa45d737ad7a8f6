import assert from "node:assert/strict";
import { test } from "node:test";
import { csv } from "../src/csv";

test("a table has a line of names and a line per row, with cells quoted where they need it", () => {
  const rows = [
    { text: 'say "hi"', list: "x,y", lines: "two\nlines", number: 1.5, flag: true, nothing: null },
    { text: "a", list: "b", lines: "c", number: -1, flag: false, nothing: undefined },
  ];
  const head = "text,list,lines,number,flag,nothing\r\n";
  assert.equal(csv(rows), `${head}"say ""hi""","x,y","two\nlines",1.5,true,\r\na,b,c,-1,false,\r\n`);
});

test("no cell is a formula", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1", "＋1", "－1", "＠x"]) {
    assert.match(csv([{ text }]), /^text\r\n"?'/, JSON.stringify(text));
  }
  assert.equal(csv([{ a: "a=1", b: "3 - 2", c: "x@y.z" }]), "a,b,c\r\na=1,3 - 2,x@y.z\r\n");
});
