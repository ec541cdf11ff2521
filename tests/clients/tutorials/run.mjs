// The tutorials' pages as they read the wires: plain fetch, no library but one for the socket. BASE_URL says where.
import assert from "node:assert/strict";
import WebSocket from "ws";

const base = process.env.BASE_URL;
const served = (await (await fetch(`${base}/api/v1/agents`)).json()).items.map((one) => one.name);
// One of the fixture's agents obeys ids of A2A messages and answers nothing else.
const agents = served.filter((name) => name !== "fixture_a2a");
const sent = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

// Frames as a page cuts them out of the body, across whatever pieces the network makes.
async function* frames(answer) {
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /^text\/event-stream/);
  let rest = "";
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + piece).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = { event: "", data: [] };
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) fields.event = line.slice(7);
        if (line.startsWith("data: ")) fields.data.push(line.slice(6));
      }
      if (fields.data.length) yield { event: fields.event, data: fields.data.join("\n") };
    }
  }
  assert.equal(rest, "");
}

async function lesson(agent, message, session_id) {
  const asked = session_id ? { message, session_id } : { message, agent, temperature: 0.7 };
  const said = { text: "" };
  for await (const frame of frames(await fetch(`${base}/chat/stream`, sent(asked)))) {
    assert.equal(said.total, undefined, "nothing comes after done");
    if (frame.event === "session") said.session_id = frame.data;
    else if (frame.event === "token") said.text += frame.data;
    else if (frame.event === "done") said.total = Number(frame.data);
    else assert.fail(`${frame.event}: ${frame.data}`);
  }
  assert.ok(Number.isInteger(said.total));
  return said;
}

async function deltas(agent, message) {
  let text = "";
  let final;
  for await (const frame of frames(await fetch(`${base}/chat/stream?style=delta`, sent({ message, agent })))) {
    const said = JSON.parse(frame.data);
    if (said.done) final = said.final;
    else text += said.delta;
  }
  assert.equal(text, final);
  return final;
}

async function bank(agent, query) {
  const thread = await (await fetch(`${base}/api/v1/threads`, sent({ agent_type: agent }))).json();
  const events = [];
  for await (const frame of frames(await fetch(`${base}/api/v1/agent/stream`, sent({ query, thread_id: thread.id })))) {
    events.push(JSON.parse(frame.data));
  }
  assert.equal(events[0].event, "message_created");
  assert.equal(events.at(-1).event, "done");
  return events.filter((one) => one.event === "text_delta").map((one) => one.token).join("");
}

const socketed = (agent, message) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`${base.replace("http", "ws")}/ws/${agent}-${Date.now()}?agent=${agent}`);
    let text = "";
    socket.on("error", reject);
    socket.on("open", () => socket.send(JSON.stringify({ message })));
    socket.on("message", (data) => {
      const said = JSON.parse(data.toString());
      if (said.type === "token") text += said.content;
      else {
        socket.close();
        if (said.type === "complete" && said.full_response === text) resolve(text);
        else reject(new Error(data.toString()));
      }
    });
  });

assert.ok(agents.length >= 1);
for (const agent of agents) {
  const message = "Count to 12";
  const chat = await (await fetch(`${base}/chat`, sent({ message, agent }))).json();
  assert.ok(chat.response.includes("12"), JSON.stringify(chat));
  const first = await lesson(agent, message);
  assert.equal(first.text, chat.response);
  const second = await lesson(agent, message, first.session_id);
  assert.equal(second.session_id, first.session_id);
  assert.equal(await deltas(agent, message), chat.response);
  assert.equal(await bank(agent, message), chat.response);
  assert.equal(await socketed(agent, message), chat.response);
  const session = await (await fetch(`${base}/sessions/${first.session_id}`)).json();
  assert.equal(session.messages.filter((one) => one.role === "user").length, 2);
  assert.equal((await fetch(`${base}/sessions/${first.session_id}`, { method: "DELETE" })).status, 204);
  const gone = await fetch(`${base}/chat`, sent({ message, session_id: first.session_id }));
  assert.deepEqual([gone.status, (await gone.json()).error], [404, "Session not found"]);
  console.log(`${agent}: ${chat.response}`);
}
const health = await (await fetch(`${base}/health`)).json();
assert.equal(health.status, "healthy");
console.log(`tutorials: ${agents.length} agents over every style`);
