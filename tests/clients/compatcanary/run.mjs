// CompatCanary's two profiles against the fixture agents at BASE_URL: `modern` is Chat Completions and Responses, `chat`
// the first alone. Exits with 0 when every probe passes; a warning, which the tool itself lets pass, counts as a failure.
import assert from "node:assert/strict";
import { scanEndpoint } from "compatcanary";

const AGENTS = ["fixture_plain", "fixture_pydantic_ai", "fixture_openai_agents", "fixture_langgraph", "fixture_ag2"];
const PROBES = { modern: 7, chat: 5 };
assert.ok(process.env.BASE_URL, "BASE_URL names the server");
const baseUrl = `${process.env.BASE_URL}/v1`;

let failed = 0;
for (const model of AGENTS) {
  for (const [profile, probes] of Object.entries(PROBES)) {
    const { score, summary, results } = await scanEndpoint({ baseUrl, model, profile, timeoutMs: 120_000 });
    console.log(`${model} ${profile}: ${score}/100, ${summary.passes} of ${summary.total} probes`);
    if (score === 100 && summary.passes === probes && summary.total === probes) continue;
    failed += 1;
    for (const probe of results.filter(({ status }) => status !== "pass")) {
      console.error(`FAILED ${model} ${profile} ${probe.id}: ${probe.status}: ${probe.summary}`, probe.error ?? "");
    }
  }
}
process.exit(failed ? 1 : 0);
