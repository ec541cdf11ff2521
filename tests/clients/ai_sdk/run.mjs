// The AI SDK's own chat, without a browser, against a server of the fixture agents (landline.testing.fixture).
// Finds the server in BASE_URL; exits with 0 when all held. The SDK wants node 22: an older one hands over to the
// one among the packages.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

if (Number(process.versions.node.split('.')[0]) < 22) {
  const newer = fileURLToPath(new URL('./node_modules/node/bin/node', import.meta.url));
  process.exit(spawnSync(newer, process.argv.slice(1), { stdio: 'inherit' }).status ?? 1);
}

const { Chat } = await import('@ai-sdk/react');
const {
  DefaultChatTransport,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
  readUIMessageStream,
} = await import('ai');

const BASE = process.env.BASE_URL;
assert.ok(BASE, 'BASE_URL names the server');

let made = 0;
const newId = () => `chat-${process.pid}-${Date.now()}-${made++}`;
const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

async function until(holds, what, ms = 15_000) {
  for (const end = Date.now() + ms; !(await holds()); await wait(10)) {
    assert.ok(Date.now() < end, `in vain: ${what}`);
  }
}

function open(agent, { id = newId(), cutAfter, transport = {}, messages, ...init } = {}) {
  const seen = { requests: [], errors: [], finished: [], data: [] };
  const counted = async (url, options) => {
    seen.requests.push({ url: String(url), method: options.method, body: options.body && JSON.parse(options.body) });
    const response = await fetch(url, options);
    seen.response = response;
    if (cutAfter === undefined || options.method !== 'POST' || response.body === null) return response;
    return new Response(cut(response.body, cutAfter), { status: response.status, headers: response.headers });
  };
  const chat = new Chat({
    id,
    messages,
    transport: new DefaultChatTransport({ api: `${BASE}/ai/${agent}`, fetch: counted, ...transport }),
    onError: error => seen.errors.push(error),
    onFinish: end => seen.finished.push(end),
    onData: part => seen.data.push(part),
    ...init,
  });
  return Object.assign(seen, { chat, id });
}

// Lets so many frames through, then breaks the connection as a network does.
function cut(body, frames) {
  const reader = body.getReader();
  let rest = frames;
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      const text = Buffer.from(value).toString('latin1');
      const blocks = text.split(/(?<=\n\n)/);
      const kept = blocks.slice(0, rest).join('');
      rest -= blocks.length;
      if (kept) controller.enqueue(Buffer.from(kept, 'latin1'));
      if (rest <= 0) {
        await reader.cancel();
        controller.error(new TypeError('fetch failed: the network broke'));
      }
    },
  });
}

const textOf = message => message.parts.filter(p => p.type === 'text').map(p => p.text).join('');
const lastOf = chat => chat.messages.at(-1);
const SLOW = Array.from({ length: 40 }, (_, n) => `word${n + 1} `).join('') + 'done.';
const FRAMEWORKS = ['plain', 'pydantic_ai', 'openai_agents', 'langgraph', 'ag2'];
const api = async path => (await fetch(`${BASE}/api/v1${path}`)).json();

const checks = {
  async 'an answer streams with reasoning, a tool and usage'() {
    for (const framework of FRAMEWORKS) {
      const one = open(`fixture_${framework}`, { sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls });
      const { chat, errors, finished } = one;
      await chat.sendMessage({ text: "think and look up 'milk'" });
      assert.deepEqual(errors, [], framework);
      assert.equal(chat.status, 'ready');
      const message = lastOf(chat);
      assert.match(textOf(message), /milk has 4 letters/);
      const kinds = message.parts.map(part => part.type);
      assert.deepEqual(kinds, ['step-start', 'reasoning', 'tool-look_up', 'step-start', 'text'], framework);
      const tool = message.parts[2];
      assert.deepEqual([tool.state, tool.input, tool.output], ['output-available', { topic: 'milk' }, 'milk has 4 letters']);
      assert.equal(message.parts[1].text, 'Let me think. ');
      assert.ok(message.parts.every(part => part.state !== 'streaming'));
      assert.ok(message.metadata.usage.totalTokens > 0);
      assert.equal(message.metadata.runId, message.id);
      assert.equal(finished.at(-1).finishReason, 'stop');
      assert.equal(one.requests.length, 1, 'nothing is sent on by itself');
      assert.equal(one.response.headers.get('x-vercel-ai-ui-message-stream'), 'v1');
      await chat.sendMessage({ text: 'My name is Ann' });
      await chat.sendMessage({ text: 'What is my name?' });
      assert.equal(textOf(lastOf(chat)), 'Your name is Ann.');
      assert.equal(chat.messages.length, 6);
    }
  },

  async 'a tool waits for an approval and goes on when it is given'() {
    const { chat, errors, requests } = open('fixture_plain', {
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
    });
    await chat.sendMessage({ text: "approve 'milk'" });
    const asked = lastOf(chat).parts.find(part => part.type === 'tool-delete_note');
    assert.equal(asked.state, 'approval-requested');
    assert.deepEqual(asked.input, { note: 'milk' });
    const id = lastOf(chat).id;
    await chat.addToolApprovalResponse({ id: asked.approval.id, approved: true });
    await until(() => chat.status === 'ready' && textOf(lastOf(chat)) !== '', 'the answer');
    assert.deepEqual(errors, []);
    const message = lastOf(chat);
    assert.equal(message.id, id);
    assert.equal(textOf(message), 'The result of delete_note is: deleted milk.');
    const tools = message.parts.filter(part => part.type === 'tool-delete_note');
    assert.equal(tools.length, 1);
    assert.equal(tools[0].state, 'output-available');
    assert.equal(tools[0].output, 'deleted milk');
    await wait(100);
    assert.equal(requests.length, 2);
  },

  async 'a denied tool is told as denied'() {
    const { chat, errors } = open('fixture_plain', {
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
    });
    await chat.sendMessage({ text: "approve 'milk'" });
    const asked = lastOf(chat).parts.find(part => part.type === 'tool-delete_note');
    await chat.addToolApprovalResponse({ id: asked.approval.id, approved: false, reason: 'too dear' });
    await until(() => chat.status === 'ready' && textOf(lastOf(chat)) !== '', 'the answer');
    assert.deepEqual(errors, []);
    assert.equal(lastOf(chat).parts.find(part => part.type === 'tool-delete_note').state, 'output-denied');
    assert.match(textOf(lastOf(chat)), /too dear/);
  },

  async 'a forged approval is refused'() {
    const { chat, errors } = open('fixture_plain');
    await chat.sendMessage({ text: "approve 'milk'" });
    const [message] = chat.messages.slice(-1);
    const parts = message.parts.map(part =>
      part.type === 'tool-delete_note'
        ? { ...part, state: 'approval-responded', approval: { id: 'made-up', approved: true } }
        : part,
    );
    chat.messages = [...chat.messages.slice(0, -1), { ...message, parts }];
    await chat.sendMessage();
    assert.match(errors[0].message, /never asked for the approval/);
    assert.equal(errors[0].statusCode, 422);
  },

  async 'tools of the client are carried out by the client'() {
    const calls = [];
    const { chat, errors, requests } = open('fixture_pydantic_ai', {
      transport: {
        body: {
          tools: {
            here: { description: 'Where we are.', parameters: { type: 'object' } },
            broken: { description: 'Fails.', parameters: { type: 'object' } },
          },
        },
      },
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall: ({ toolCall }) => {
        calls.push(toolCall);
        const { toolName: tool, toolCallId } = toolCall;
        if (tool === 'here') chat.addToolOutput({ tool, toolCallId, output: { city: 'Rome' } });
        else chat.addToolOutput({ tool, toolCallId, state: 'output-error', errorText: 'no luck' });
      },
    });
    await chat.sendMessage({ text: 'both, here and broken' });
    await until(() => chat.status === 'ready' && textOf(lastOf(chat)) !== '', 'the answer');
    assert.deepEqual(errors, []);
    assert.deepEqual(calls.map(call => call.toolName), ['here', 'broken']);
    const said = 'The result of here is: {"city":"Rome"}. The result of broken is: {"error":"no luck"}.';
    assert.equal(textOf(lastOf(chat)), said);
    assert.deepEqual(lastOf(chat).parts.filter(p => p.type.startsWith('tool-')).map(p => p.toolName ?? p.type), [
      'tool-here', 'tool-broken',
    ]);
    await wait(100);
    assert.equal(requests.length, 2);
  },

  async 'a stream that was cut anywhere is resumed'() {
    await Promise.all(
      [1, 2, 3, 4, 5, 8, 13, 20, 30, 38, 40].map(async cutAfter => {
        const { chat, errors, finished } = open('fixture_plain', { cutAfter });
        await chat.sendMessage({ text: 'slow' });
        assert.equal(chat.status, 'error', `cut after ${cutAfter}`);
        assert.equal(finished[0].isDisconnect, true);
        await chat.resumeStream();
        assert.equal(chat.status, 'ready', String(chat.error));
        assert.equal(errors.length, 1);
        assert.equal(chat.messages.length, 2);
        assert.equal(textOf(lastOf(chat)), SLOW, `cut after ${cutAfter}`);
        assert.equal(lastOf(chat).parts.filter(part => part.type === 'text').length, 1);
      }),
    );
  },

  async 'a page that is loaded again follows the active run'() {
    const first = open('fixture_plain');
    const sent = first.chat.sendMessage({ text: 'slow' });
    await until(() => first.chat.messages.length === 2 && textOf(lastOf(first.chat)).length > 20, 'text');
    const second = open('fixture_plain', { id: first.id, messages: first.chat.messages.slice(0, 1) });
    await second.chat.resumeStream();
    await sent;
    assert.deepEqual(JSON.parse(JSON.stringify(second.chat.messages)), JSON.parse(JSON.stringify(first.chat.messages)));
  },

  async 'an ended message can be read again by its id'() {
    const { chat, id } = open('fixture_plain');
    await chat.sendMessage({ text: 'hello' });
    const again = open('fixture_plain', {
      id,
      transport: {
        prepareReconnectToStreamRequest: ({ api: url, id: chatId }) => ({
          api: `${url}/${chatId}/stream?message_id=${lastOf(chat).id}`,
        }),
      },
    });
    await again.chat.resumeStream();
    assert.deepEqual(lastOf(again.chat).parts, lastOf(chat).parts);
  },

  async 'nothing is resumed when nothing is active'() {
    const { chat, errors, id } = open('fixture_plain');
    await chat.resumeStream();
    assert.deepEqual([chat.status, chat.messages], ['ready', []]);
    await chat.sendMessage({ text: 'hello' });
    await chat.resumeStream();
    assert.deepEqual([chat.status, chat.messages.length, errors], ['ready', 2, []]);
    assert.equal((await fetch(`${BASE}/ai/fixture_plain/${id}/stream`)).status, 204);
  },

  async 'a message is answered again, and edited'() {
    const { chat, errors } = open('fixture_plain');
    await chat.sendMessage({ text: 'hello' });
    const first = lastOf(chat);
    await chat.regenerate();
    assert.deepEqual(errors, []);
    assert.equal(chat.messages.length, 2);
    assert.notEqual(lastOf(chat).id, first.id);
    assert.equal(textOf(lastOf(chat)), textOf(first));
    await chat.regenerate({ messageId: lastOf(chat).id });
    const rows = async branch =>
      (await api(`/threads/${first.metadata.threadId}/messages?branch=${branch}`)).items.filter(m => m.role === 'user');
    assert.deepEqual((await rows('all')).map(m => m.content), ['hello']);
    await chat.sendMessage({ text: 'good evening', messageId: chat.messages[0].id });
    assert.deepEqual(errors, []);
    assert.equal(chat.messages.length, 2);
    assert.equal(textOf(lastOf(chat)), 'You said: good evening');
    assert.deepEqual((await rows('all')).map(m => m.content), ['hello', 'good evening']);
    assert.deepEqual((await rows('head')).map(m => m.content), ['good evening']);
  },

  async 'files come as data URLs, and no other'() {
    const { chat, errors } = open('fixture_plain');
    const url = `data:text/plain;base64,${Buffer.from('milk and bread').toString('base64')}`;
    const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
    await chat.sendMessage({
      text: 'image and file',
      files: [
        { type: 'file', mediaType: 'text/plain', filename: 'list.txt', url },
        { type: 'file', mediaType: 'image/png', filename: 'dot.png', url: `data:image/png;base64,${png}` },
      ],
    });
    assert.deepEqual(errors, []);
    assert.equal(textOf(lastOf(chat)), 'I see text/plain of 14 bytes. I see image/png of 70 bytes.');
    await chat.sendMessage({ text: 'see', files: [{ type: 'file', mediaType: 'image/png', url: 'https://example.com/a.png' }] });
    assert.equal(errors[0].statusCode, 422);
    assert.match(errors[0].message, /data URL/);
  },

  async 'a question is answered by the next message'() {
    for (const framework of ['plain', 'pydantic_ai', 'langgraph', 'ag2']) {
      const { chat, errors } = open(`fixture_${framework}`);
      await chat.sendMessage({ text: 'ask me' });
      assert.equal(lastOf(chat).parts.at(-1).data.prompt, 'What is your name?');
      await chat.sendMessage({ text: 'Ann' });
      assert.deepEqual(errors, [], framework);
      assert.equal(textOf(lastOf(chat)), 'Hello, Ann.');
      assert.equal(new Set(chat.messages.map(message => message.id)).size, 4);
      assert.deepEqual(chat.messages.map(message => message.role), ['user', 'assistant', 'user', 'assistant']);
    }
  },

  async 'a choice is one of those on offer'() {
    const { chat, errors } = open('fixture_plain');
    await chat.sendMessage({ text: 'choose' });
    assert.deepEqual(lastOf(chat).parts.at(-1).data.choices, ['red', 'green', 'blue']);
    await chat.sendMessage({ text: 'black' });
    assert.match(errors[0].message, /one of its choices/);
    chat.messages = chat.messages.slice(0, -1);
    await chat.sendMessage({ text: 'red' });
    assert.equal(errors.length, 1);
    assert.equal(textOf(lastOf(chat)), 'You chose red.');
  },

  async 'errors are told, and no secrets'() {
    const failing = open('fixture_plain');
    await failing.chat.sendMessage({ text: 'fail' });
    assert.equal(failing.chat.status, 'error');
    assert.equal(failing.errors[0].message, 'The model provider failed.');
    const unknown = open('no_such_agent');
    await unknown.chat.sendMessage({ text: 'go' });
    assert.equal(unknown.errors[0].statusCode, 404);
    const busy = open('fixture_plain');
    const sent = busy.chat.sendMessage({ text: 'slow' });
    await until(() => busy.chat.messages.length === 2, 'the start');
    const other = open('fixture_plain', { id: busy.id });
    await other.chat.sendMessage({ text: 'me too' });
    assert.equal(other.errors[0].statusCode, 409);
    assert.match(other.errors[0].message, /is active on this thread/);
    await sent;
    // What was refused can be sent again.
    await other.chat.regenerate();
    assert.equal(textOf(lastOf(other.chat)), 'Before: slow. You said: me too');
  },

  async 'leaving is no stop, and stopping is'() {
    const { chat, errors, id } = open('fixture_plain');
    const sent = chat.sendMessage({ text: 'slow' });
    await until(() => chat.messages.length === 2 && textOf(lastOf(chat)).length > 20, 'text');
    await chat.stop();
    await sent;
    const other = open('fixture_plain', { id });
    const followed = other.chat.resumeStream();
    await until(() => other.chat.messages.length === 1, 'the message');
    assert.equal((await fetch(`${BASE}/ai/fixture_plain/${id}/stop`, { method: 'POST' })).status, 204);
    await followed;
    assert.deepEqual([chat.status, other.chat.status, errors], ['ready', 'ready', []]);
    assert.ok(textOf(lastOf(other.chat)).length < SLOW.length);
    assert.equal((await fetch(`${BASE}/ai/fixture_plain/${id}/stream`)).status, 204);
  },

  async 'a bare stream reads with readUIMessageStream'() {
    const transport = new DefaultChatTransport({ api: `${BASE}/ai/fixture_plain` });
    const messages = [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: 'hello' }] }];
    const stream = await transport.sendMessages({ chatId: newId(), messages, trigger: 'submit-message' });
    let last;
    for await (const message of readUIMessageStream({ stream })) last = message;
    assert.equal(textOf(last), 'You said: hello');
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
console.log(`${Object.keys(checks).length - failed} held, ${failed} did not`);
process.exit(failed ? 1 : 0);
