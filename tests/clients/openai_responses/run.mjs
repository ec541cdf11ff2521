// OpenAI's own Node client, and OpenAI's Agents SDK on it, against the Responses of the fixture agents (FACE-7).
import assert from "node:assert/strict";
import { Agent, OpenAIResponsesModel, run, setTracingDisabled, tool } from "@openai/agents";
import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ baseURL: `${process.env.BASE_URL}/v1`, apiKey: "none", maxRetries: 0 });
const place = { type: "object", properties: { location: { type: "string" } }, required: ["location"] };
const weather = { type: "function", name: "get_weather", description: "The weather.", parameters: place, strict: false };

const AGENTS = ["fixture_plain", "fixture_pydantic_ai", "fixture_openai_agents", "fixture_langgraph", "fixture_ag2"];

const checks = {
  async "create, retrieve, list the input, delete"(model) {
    const made = await client.responses.create({ model, input: "Hello there", metadata: { kind: "greeting" } });
    assert.equal(made.status, "completed");
    assert.match(made.output_text, /\S/);
    assert.deepEqual((await client.responses.retrieve(made.id)).output, made.output);
    const items = [];
    for await (const item of client.responses.inputItems.list(made.id)) items.push(item);
    assert.equal(items[0].content[0].text, "Hello there");
    await client.responses.delete(made.id);
    await assert.rejects(client.responses.retrieve(made.id), (error) => error.status === 404);
  },

  async "stream, and the rest of it after every event"(model) {
    const seen = [];
    const stream = await client.responses.create({ model, input: "think, then say four words", stream: true });
    for await (const event of stream) seen.push(event);
    assert.deepEqual(seen.map((event) => event.sequence_number), [...seen.keys()]);
    assert.equal(seen.at(-1).type, "response.completed");
    const deltas = seen.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
    assert.equal(deltas.join(""), seen.at(-1).response.output_text ?? seen.at(-1).response.output.at(-1).content[0].text);
    for (const after of seen.keys()) {
      const rest = await client.responses.retrieve(seen[0].response.id, { stream: true, starting_after: after });
      const events = [];
      for await (const event of rest) events.push(event);
      assert.deepEqual(events, seen.slice(after + 1));
    }
  },

  async "background, poll, cancel"(model) {
    let polled = await client.responses.create({ model, input: "slow", background: true });
    while (["queued", "in_progress"].includes(polled.status)) {
      await new Promise((go) => setTimeout(go, 100));
      polled = await client.responses.retrieve(polled.id);
    }
    assert.equal(polled.status, "completed");
    assert.match(polled.output_text, /^word1 .* done\.$/);
    assert.equal(polled.usage.total_tokens, polled.usage.input_tokens + polled.usage.output_tokens);
    const held = await client.responses.create({ model, input: "wait", background: true });
    assert.ok(["queued", "in_progress"].includes(held.status));
    assert.equal((await client.responses.cancel(held.id)).status, "cancelled");
  },

  async "a tool of the client, stored and stateless"(model) {
    const input = [{ role: "user", content: "The weather of Rome?" }];
    const asked = await client.responses.create({ model, input, tools: [weather] });
    const [call] = asked.output.filter((item) => item.type === "function_call");
    assert.equal(typeof JSON.parse(call.arguments).location, "string");
    const output = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const done = await client.responses.create({ model, input: [output], previous_response_id: asked.id });
    assert.match(done.output_text, /sunny/);
    const again = await client.responses.create({ model, input, tools: [weather], store: false });
    const [second] = again.output.filter((item) => item.type === "function_call");
    const window = [...input, ...again.output, { ...output, call_id: second.call_id }];
    const last = await client.responses.create({ model, input: window, tools: [weather], store: false });
    assert.match(last.output_text, /sunny/);
  },

  async "conversations and branches"(model) {
    const conversation = await client.conversations.create({ metadata: { topic: "x" } });
    await client.responses.create({ model, input: "one", conversation: conversation.id });
    await client.responses.create({ model, input: "two", conversation: { id: conversation.id } });
    const items = [];
    for await (const item of client.conversations.items.list(conversation.id, { order: "asc", limit: 1 })) items.push(item);
    assert.deepEqual(items.map((item) => item.role), ["user", "assistant", "user", "assistant"]);
    await client.conversations.delete(conversation.id);
    await assert.rejects(client.conversations.retrieve(conversation.id), (error) => error.status === 404);
  },

  async "compaction keeps what was said"(model) {
    const first = await client.responses.create({ model, input: "bread" });
    const packed = await client.responses.compact({ model, previous_response_id: first.id });
    assert.deepEqual(packed.output.map((item) => item.type), ["compaction"]);
    const input = [...packed.output, { role: "user", content: "butter" }];
    const after = await client.responses.create({ model, input });
    assert.equal(after.output_text, "Before: bread. You said: butter");
  },

  async "a WebSocket of many turns"(model) {
    const socket = new ResponsesWS(client);
    const events = socket.stream();
    const turn = async (more) => {
      socket.send({ type: "response.create", model, ...more });
      const seen = [];
      for (;;) {
        const { value, done } = await events.next();
        assert.ok(!done && value.type !== "close", "the socket stays open");
        if (value.type === "error") return value.error.error; // the client's error has the event that came
        if (value.type !== "message") continue;
        seen.push(value.message);
        if (/^response\.(completed|failed|incomplete)$/.test(value.message.type)) break;
      }
      assert.deepEqual(seen.map((event) => event.sequence_number), [...seen.keys()]);
      assert.ok(seen.some((event) => event.type === "response.output_text.delta"));
      return seen.at(-1).response;
    };
    try {
      const first = await turn({ input: "bread", store: false });
      const second = await turn({ input: "butter", previous_response_id: first.id });
      assert.equal(second.output.at(-1).content[0].text, "Before: bread. You said: butter");
      assert.equal((await client.responses.retrieve(second.id)).status, "completed");
      const refused = await turn({ input: "x", previous_response_id: "resp_nothing" });
      assert.equal(refused.error.code, "previous_response_not_found");
    } finally {
      socket.close();
    }
  },

  async "models"(model) {
    const listed = [];
    for await (const found of client.models.list()) listed.push(found.id);
    assert.ok(listed.includes(model));
    assert.equal((await client.models.retrieve(model)).id, model);
    await assert.rejects(client.models.retrieve("nobody"), (error) => error.status === 404);
  },

  async "errors in OpenAI's words"(model) {
    const bad = client.responses.create({ model, input: "x", max_tool_calls: 1 });
    await assert.rejects(bad, (error) => error.status === 400 && error.param === "max_tool_calls");
    const nobody = client.responses.create({ model: "nobody", input: "x" });
    await assert.rejects(nobody, (error) => error.code === "model_not_found");
  },

  async "the Agents SDK"(model) {
    const called = [];
    const tools = [
      tool({
        name: "get_weather",
        description: "The weather of a place.",
        parameters: z.object({ location: z.string() }),
        execute: ({ location }) => called.push(location) && `sunny in ${location}`,
      }),
    ];
    const agent = new Agent({ name: "helper", instructions: "Be kind.", model: new OpenAIResponsesModel(client, model), tools });
    const ended = await run(agent, "The weather of Rome, please.");
    assert.equal(called.length, 1);
    assert.match(ended.finalOutput, /sunny in/);
    const streamed = await run(agent, "The weather of Rome, please.", { stream: true });
    for await (const _ of streamed) {
      // read to the end
    }
    await streamed.completed;
    assert.match(streamed.finalOutput, /sunny in/);
  },
};

const schemas = {
  async "structured output"(model) {
    const Weather = z.object({ city: z.string(), degrees: z.number().int() });
    const text = { format: zodTextFormat(Weather, "weather") };
    const parsed = await client.responses.parse({ model, input: "The weather of Rome.", text });
    assert.equal(typeof parsed.output_parsed.city, "string");
  },
};

setTracingDisabled(true);
let failed = 0;
for (const model of AGENTS) {
  for (const [name, check] of Object.entries({ ...checks, ...schemas })) {
    try {
      await check(model);
      console.log(`ok   ${model}: ${name}`);
    } catch (error) {
      failed += 1;
      console.error(`FAIL ${model}: ${name}\n`, error);
    }
  }
}
process.exit(failed ? 1 : 0);
