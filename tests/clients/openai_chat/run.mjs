// The official Node client of OpenAI against Chat Completions of the server at BASE_URL, which serves the fixture's agents.
import assert from "node:assert/strict";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const url = process.env.BASE_URL;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const AGENTS = [
  "fixture_plain",
  "fixture_pydantic_ai",
  "fixture_openai_agents",
  "fixture_langgraph",
  "fixture_ag2",
];
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const user = (content) => ({ role: "user", content });
const City = z.object({ name: z.string(), people: z.number().int() });

const tests = {
  async models() {
    const listed = [];
    for await (const model of client.models.list()) listed.push(model.id);
    for (const agent of AGENTS) assert.ok(listed.includes(agent), agent);
    assert.equal((await client.models.retrieve(AGENTS[0])).id, AGENTS[0]);
  },

  async chat(model) {
    const { data, response } = await client.chat.completions
      .create({ model, messages: [user("bread")] })
      .withResponse();
    assert.equal(data.choices[0].message.content, "You said: bread");
    assert.equal(data.choices[0].finish_reason, "stop");
    assert.equal(typeof data.usage.total_tokens, "number");
    assert.ok(data.id.includes(response.headers.get("x-landline-run")));
    const thread = response.headers.get("x-landline-thread");
    const again = await client.chat.completions.create(
      { model, messages: [user("made up"), { role: "assistant", content: "made up" }, user("butter")] },
      { headers: { "x-landline-thread": thread } },
    );
    assert.equal(again.choices[0].message.content, "Before: bread. You said: butter");
  },

  async stream(model) {
    const stream = await client.chat.completions.create({
      model,
      messages: [user("think of bread")],
      stream: true,
      stream_options: { include_usage: true },
    });
    let content = "";
    let reasoning = "";
    let usage = null;
    let finish = null;
    for await (const chunk of stream) {
      usage = chunk.usage ?? usage;
      for (const { delta, finish_reason } of chunk.choices) {
        content += delta.content ?? "";
        reasoning += delta.reasoning_content ?? "";
        finish = finish_reason ?? finish;
      }
    }
    assert.deepEqual([content, reasoning, finish], ["You said: think of bread", "Let me think. ", "stop"]);
    assert.equal(typeof usage.total_tokens, "number");
  },

  async tools(model) {
    const asked = [];
    const get_weather = ({ city }) => {
      asked.push(city);
      return "sunny";
    };
    const tool = {
      type: "function",
      function: { ...WEATHER.function, function: get_weather, parse: JSON.parse },
    };
    for (const stream of [false, true]) {
      const runner = client.chat.completions.runTools({
        model,
        messages: [user("the weather")],
        tools: [tool],
        stream,
      });
      assert.equal(await runner.finalContent(), "The result of get_weather is: sunny.");
    }
    assert.equal(asked.length, 2);
  },

  async schema(model) {
    const wanted = { model, messages: [user("a city")], response_format: zodResponseFormat(City, "city") };
    const parsed = (await client.chat.completions.parse(wanted)).choices[0].message.parsed;
    assert.deepEqual(City.parse(parsed), parsed);
    const final = await client.chat.completions.stream(wanted).finalChatCompletion();
    assert.deepEqual(City.parse(final.choices[0].message.parsed), parsed);
  },

  async demanded(model) {
    const answer = await client.chat.completions.create({
      model,
      messages: [user("a city")],
      tools: [WEATHER],
      tool_choice: { type: "function", function: { name: "get_weather" } },
    });
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, "get_weather");
    assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
  },

  async image(model) {
    const content = [
      { type: "text", text: "which image?" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
    ];
    const answer = await client.chat.completions.create({ model, messages: [user(content)] });
    assert.match(answer.choices[0].message.content, /^I see image\/png of \d+ bytes\.$/);
  },

  async errors(model) {
    await assert.rejects(
      client.chat.completions.create({ model: "nobody", messages: [user("x")] }),
      (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
    );
    await assert.rejects(
      client.chat.completions.create({ model, messages: [user("x")], n: 2 }),
      (error) => error instanceof OpenAI.BadRequestError && error.param === "n",
    );
    await assert.rejects(
      client.chat.completions.create({ model, messages: [user("fail")] }),
      (error) => error instanceof OpenAI.InternalServerError,
    );
    await assert.rejects(async () => {
      const failing = await client.chat.completions.create({ model, messages: [user("fail")], stream: true });
      for await (const _ of failing);
    }, OpenAI.APIError);
    await assert.rejects(
      client.chat.completions.create({ model, messages: [user("approve")] }),
      (error) =>
        error instanceof OpenAI.ConflictError &&
        error.code === "run_waiting" &&
        error.message.includes(error.headers.get("x-landline-run")),
    );
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  for (const agent of test.length ? AGENTS : [undefined]) {
    try {
      await test(agent);
    } catch (error) {
      failed += 1;
      console.error(`FAILED ${name} ${agent ?? ""}: ${error.stack}`);
    }
  }
  console.log(name);
}
process.exit(failed ? 1 : 0);
