// The protocol's own JavaScript client against the fixture agent at BASE_URL, over both wires. Exits non-zero on failure.
import assert from "node:assert/strict";
import { CancelTaskRequest, GetTaskRequest, ListTasksRequest, SendMessageRequest, StreamResponse, SubscribeToTaskRequest, Task } from "@a2a-js/sdk";
import { ClientFactory, JsonRpcTransportFactory, RestTransportFactory } from "@a2a-js/sdk/client";

const base = process.env.BASE_URL;
assert(base, "BASE_URL names the server");
const card = `${base}/a2a/fixture_a2a/.well-known/agent-card.json`;
let number = 0;

const request = (id, text, more = {}, configuration = {}) =>
  SendMessageRequest.fromJSON({
    message: { messageId: `${id}-${process.pid}-${++number}`, role: "ROLE_USER", parts: [{ text }], ...more },
    configuration,
  });

const frame = (event) => StreamResponse.toJSON(event);

function accumulate(frames) {
  const artifacts = new Map();
  let state;
  for (const [index, one] of frames.entries()) {
    assert.equal("task" in one, index === 0, "the task comes first, and once");
    if (one.task) {
      state = one.task.status.state;
      for (const artifact of one.task.artifacts ?? []) artifacts.set(artifact.artifactId, artifact.parts);
    } else if (one.statusUpdate) {
      state = one.statusUpdate.status.state;
    } else {
      const { artifact, append } = one.artifactUpdate;
      if (append) assert(artifacts.has(artifact.artifactId));
      artifacts.set(artifact.artifactId, [...(append ? artifacts.get(artifact.artifactId) : []), ...artifact.parts]);
    }
  }
  const parts = [...artifacts.values()].flat();
  return { state, text: parts.map((part) => part.text ?? "").join(""), parts };
}

async function collect(events, most = Infinity) {
  const frames = [];
  for await (const event of events) {
    frames.push(frame(event));
    if (frames.length >= most) break;
  }
  return frames;
}

async function check(name, transport) {
  const factory = new ClientFactory({ transports: [transport] });
  const client = await factory.createFromUrl(card, "");

  const streamed = accumulate(await collect(client.sendMessageStream(request("tck-stream-artifact-chunked", "go"))));
  assert.deepEqual([streamed.state, streamed.text], ["TASK_STATE_COMPLETED", "chunk-1 chunk-2"]);

  const whole = Task.toJSON(await client.sendMessage(request("tck-artifact-data", "go")));
  assert.deepEqual(whole.artifacts[0].parts[0].data, { key: "value", count: 42 });

  const begun = await collect(client.sendMessageStream(request("test-resubscribe-message-id", "go")), 3);
  const id = begun[0].task.id;
  const rest = accumulate(await collect(client.resubscribeTask(SubscribeToTaskRequest.fromJSON({ id }))));
  assert.deepEqual([rest.state, rest.text], ["TASK_STATE_COMPLETED", "Working. Done."]);

  const asked = accumulate(await collect(client.sendMessageStream(request("tck-input-required", "go"))));
  assert.equal(asked.state, "TASK_STATE_INPUT_REQUIRED");
  const waiting = Task.toJSON(await client.sendMessage(request("tck-input-required", "go")));
  const answered = accumulate(await collect(client.sendMessageStream(request("m", "well", { taskId: waiting.id }))));
  assert.deepEqual([answered.state, answered.text], ["TASK_STATE_COMPLETED", "Hello from TCK"]);
  const kept = Task.toJSON(await client.getTask(GetTaskRequest.fromJSON({ id: waiting.id })));
  assert.deepEqual(kept.history.map((message) => message.role), ["ROLE_USER", "ROLE_AGENT", "ROLE_USER"]);

  const open = Task.toJSON(await client.sendMessage(request("tck-input-required", "go")));
  const canceled = Task.toJSON(await client.cancelTask(CancelTaskRequest.fromJSON({ id: open.id })));
  assert.equal(canceled.status.state, "TASK_STATE_CANCELED");
  await assert.rejects(client.cancelTask(CancelTaskRequest.fromJSON({ id: open.id })), /ended/);
  await assert.rejects(client.getTask(GetTaskRequest.fromJSON({ id: "unknown" })), /no task/);

  const listed = await client.listTasks(ListTasksRequest.fromJSON({ contextId: open.contextId }));
  assert.deepEqual(listed.tasks.map((task) => task.id), [open.id]);

  const refused = Task.toJSON(await client.sendMessage(request("tck-reject-task", "go")));
  assert.equal(refused.status.state, "TASK_STATE_REJECTED");
  console.log(`${name}: ok`);
}

await check("JSON-RPC", new JsonRpcTransportFactory());
await check("HTTP+JSON", new RestTransportFactory());
