// Builds the page into the gateway's package.
//
//   node build.mjs            write the files
//   node build.mjs --check    compare the files with a fresh build; exit code 1 if they differ
//   node build.mjs --test     bundle and run the tests of test/

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../sizeup_gateway/page/static");

const settings = {
  absWorkingDir: here,
  bundle: true,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
  target: ["chrome109", "firefox115", "safari16.4"],
};

/** The files of the page by name, as built from the sources. */
async function build() {
  const ofPage = { ...settings, minify: true, outdir: "out", write: false };
  const modules = await esbuild.build({
    ...ofPage,
    // Names without a hash: the gateway answers with an ETag, and a rebuild changes no file name.
    chunkNames: "[name]",
    entryPoints: { app: "src/main.tsx" },
    format: "esm",
    jsx: "automatic",
    jsxImportSource: "preact",
    splitting: true,
  });
  const others = await esbuild.build({
    ...ofPage,
    entryPoints: {
      app: "src/styles/page.css",
      favicon: "src/favicon.svg",
      index: "src/index.html",
      theme: "src/theme.ts",
    },
    format: "iife",
    loader: { ".html": "copy", ".svg": "copy" },
  });
  return new Map([...modules.outputFiles, ...others.outputFiles].map(({ path, contents }) => [basename(path), contents]));
}

async function write() {
  const files = await build();
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const [name, content] of files) {
    writeFileSync(join(target, name), content);
    console.log(`${name}\t${content.length}`);
  }
}

async function check() {
  const files = await build();
  const committed = new Map(readdirSync(target).map((name) => [name, readFileSync(join(target, name))]));
  const names = [...new Set([...files.keys(), ...committed.keys()])].filter(
    (name) => !files.has(name) || !committed.get(name)?.equals(files.get(name)),
  );
  if (names.length === 0) return;
  console.error(`differs from a build of the sources: ${names.sort().join(", ")}; run \`make page\``);
  process.exit(1);
}

async function test() {
  const names = readdirSync(join(here, "test")).filter((name) => name.endsWith(".test.ts"));
  const { outputFiles } = await esbuild.build({
    ...settings,
    format: "esm",
    platform: "node",
    stdin: { contents: names.map((name) => `import "./${name}";`).join("\n"), resolveDir: join(here, "test") },
    target: "node20",
    write: false,
  });
  const [{ contents: input }] = outputFiles;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module"], { input });
  if (status === 0) return;
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = 1;
}

const run = { "--check": check, "--test": test }[process.argv[2]] ?? write;
await run();
