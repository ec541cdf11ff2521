// The MCP face against the public conformance suite and the Inspector's command line.
//
// BASE_URL is a server of `python -m landline.testing.fixture.mcp`. Both tools need node 22 or newer: the `node` package
// brings one, and they are run with it whatever runs this file. Exits with 1 when anything that counts fails.

import { spawn } from "node:child_process";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import path from "node:path";

const base = process.env.BASE_URL;
if (!base) {
  console.error("BASE_URL is not set");
  process.exit(2);
}
const url = new URL("/mcp", base).href;
const modules = path.join(path.dirname(fileURLToPath(import.meta.url)), "node_modules");
const environment = { ...process.env, PATH: `${path.join(modules, "node", "bin")}${path.delimiter}${process.env.PATH}` };

function run(name, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(modules, ".bin", name), args, { env: environment });
    let output = "";
    let errors = "";
    const timer = setTimeout(() => child.kill(), 300_000);
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (errors += data));
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output, errors });
    });
  });
}

async function inspect(...args) {
  const { code, output, errors } = await run("mcp-inspector", ["--cli", url, "--transport", "http", ...args]);
  assert.equal(code, 0, output + errors);
  return JSON.parse(output);
}

let failed = false;

const { tools } = await inspect("--method", "tools/list");
assert.ok(tools.some((tool) => tool.name === "test_simple_text"));
assert.ok(tools.some((tool) => tool.name === "landline_threads"));
const called = await inspect("--method", "tools/call", "--tool-name", "test_simple_text");
assert.equal(called.content[0].text, "This is a simple text response for testing.");
assert.equal(called.structuredContent.status, "completed");
const thread = await inspect(
  "--method", "tools/call", "--tool-name", "landline_messages",
  "--tool-arg", `thread_id=${called.structuredContent.thread_id}`,
);
assert.equal(thread.structuredContent.items.length, 2);
const asked = await inspect("--method", "tools/call", "--tool-name", "test_elicitation", "--tool-arg", "message=Who?");
assert.equal(asked.structuredContent.status, "waiting");
console.log("inspector: tools/list, tools/call, a thread and a question");

// The scored scenarios of each revision. One that judged nothing is no proof, though the suite itself lets it pass.
for (const [revision, scored] of Object.entries({ "2025-11-25": 30, "2026-07-28": 37 })) {
  const { code, output } = await run("conformance", ["server", "--url", url, "--requirements", revision]);
  const summary = output.slice(output.indexOf("=== SUMMARY ==="));
  console.log(`conformance ${revision}: exit ${code}\n${summary}`);
  const [judged, unscored = ""] = summary.split("Not scored for");
  const names = new Set([...judged.matchAll(/^✓ (\S+): [1-9]\d* passed, 0 failed$/gm)].map(([, name]) => name));
  for (const [, name] of unscored.matchAll(/^ +[✓✗] (\S+) /gm)) names.delete(name);
  assert.ok(names.has("tools-call-simple-text"));
  console.log(`conformance ${revision}: ${names.size} of ${scored} scored scenarios passed`);
  failed ||= code !== 0 || names.size !== scored;
}
process.exit(failed ? 1 : 0);
