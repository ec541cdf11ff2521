// The AI SDK's own chat, without a browser, against a server of the agents in landline.testing.faces.ai_sdk_agents.
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
const words = found => Array.from({ length: 12 }, (_, n) => `${found} ${n} `).join('');
const api = async path => (await fetch(`${BASE}/api/v1${path}`)).json();

const checks = {
  async 'an answer streams with reasoning, a tool, a source, data and usage'() {
    const one = open('ui_talk', { sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls });
    const { chat, errors, finished, data } = one;
    await chat.sendMessage({ text: 'hello' });
    assert.deepEqual(errors, []);
    assert.equal(chat.status, 'ready');
    const message = lastOf(chat);
    assert.equal(textOf(message), `Let me see. ${words('(5)')}`);
    const kinds = message.parts.map(part => part.type);
    assert.deepEqual(kinds, [
      'step-start', 'reasoning', 'text', 'tool-look_up', 'data-mood', 'step-start', 'source-url', 'text',
    ]);
    const tool = message.parts[3];
    assert.deepEqual([tool.state, tool.input, tool.output], ['output-available', { query: 'hello' }, '(5)']);
    assert.equal(message.parts[1].text, 'I should look it up.');
    assert.equal(message.parts[6].url, 'https://example.com/book');
    assert.ok(message.parts.every(part => part.state === undefined || part.state !== 'streaming'));
    assert.equal(message.metadata.usage.totalTokens, 0);
    assert.equal(message.metadata.runId, message.id);
    assert.equal(data[0].type, 'data-mood');
    assert.equal(finished.at(-1).finishReason, 'stop');
    assert.equal(one.requests.length, 1, 'nothing is sent on by itself');
    assert.equal(one.response.headers.get('x-vercel-ai-ui-message-stream'), 'v1');
    await chat.sendMessage({ text: 'and again' });
    assert.equal(textOf(lastOf(chat)), `Let me see. ${words('(9)')}`);
    assert.equal(chat.messages.length, 4);
    const thread = await api(`/threads/${message.metadata.threadId}/messages?branch=all`);
    assert.deepEqual(thread.items.filter(m => m.role === 'user').map(m => m.content), ['hello', 'and again']);
  },

  async 'a tool waits for an approval and goes on when it is given'() {
    const { chat, errors, requests } = open('ui_erase', {
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
    });
    await chat.sendMessage({ text: 'disk' });
    const asked = lastOf(chat).parts.find(part => part.type === 'tool-erase');
    assert.equal(asked.state, 'approval-requested');
    assert.deepEqual(asked.input, { name: 'disk' });
    const id = lastOf(chat).id;
    await chat.addToolApprovalResponse({ id: asked.approval.id, approved: true });
    await until(() => chat.status === 'ready' && textOf(lastOf(chat)) !== '', 'the answer');
    assert.deepEqual(errors, []);
    const message = lastOf(chat);
    assert.equal(message.id, id);
    assert.equal(textOf(message), 'Done: erased disk');
    const tools = message.parts.filter(part => part.type === 'tool-erase');
    assert.equal(tools.length, 1);
    assert.equal(tools[0].state, 'output-available');
    assert.equal(tools[0].output, 'erased disk');
    await wait(100);
    assert.equal(requests.length, 2);
  },

  async 'a denied tool is told as denied'() {
    const { chat, errors } = open('ui_erase', {
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
    });
    await chat.sendMessage({ text: 'disk' });
    const asked = lastOf(chat).parts.find(part => part.type === 'tool-erase');
    await chat.addToolApprovalResponse({ id: asked.approval.id, approved: false, reason: 'too dear' });
    await until(() => chat.status === 'ready' && textOf(lastOf(chat)) !== '', 'the answer');
    assert.deepEqual(errors, []);
    assert.equal(lastOf(chat).parts.find(part => part.type === 'tool-erase').state, 'output-denied');
    assert.match(textOf(lastOf(chat)), /^Not erased: .*too dear/);
  },

  async 'a forged approval is refused'() {
    const { chat, errors } = open('ui_erase');
    await chat.sendMessage({ text: 'disk' });
    const [message] = chat.messages.slice(-1);
    const parts = message.parts.map(part =>
      part.type === 'tool-erase'
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
    const { chat, errors, requests } = open('ui_client', {
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
    await chat.sendMessage({ text: 'us' });
    await until(() => chat.status === 'ready' && textOf(lastOf(chat)) !== '', 'the answer');
    assert.deepEqual(errors, []);
    assert.deepEqual(calls.map(call => [call.toolName, call.input]), [
      ['here', { about: 'us' }],
      ['broken', { about: 'us' }],
    ]);
    assert.equal(textOf(lastOf(chat)), "here={'city': 'Rome'}; broken={'error': 'no luck'}");
    assert.deepEqual(lastOf(chat).parts.filter(p => p.type.startsWith('tool-')).map(p => p.toolName ?? p.type), [
      'tool-here', 'tool-broken',
    ]);
    assert.equal(requests.length, 3);
  },

  async 'a stream that was cut anywhere is resumed'() {
    const whole = `Let me see. ${words('(6)')}`;
    await Promise.all(
      [1, 2, 3, 5, 8, 11, 13, 16, 18, 20, 22].map(async cutAfter => {
        const { chat, errors, finished } = open('ui_talk', { cutAfter });
        await chat.sendMessage({ text: 'slowly' });
        assert.equal(chat.status, 'error', `cut after ${cutAfter}`);
        assert.equal(finished[0].isDisconnect, true);
        await chat.resumeStream();
        assert.equal(chat.status, 'ready', String(chat.error));
        assert.equal(errors.length, 1);
        assert.equal(chat.messages.length, 2);
        assert.equal(textOf(lastOf(chat)), whole, `cut after ${cutAfter}`);
        assert.equal(lastOf(chat).parts.filter(part => part.type === 'tool-look_up').length, 1);
      }),
    );
  },

  async 'a page that is loaded again follows the active run'() {
    const first = open('ui_talk');
    const sent = first.chat.sendMessage({ text: 'slowly' });
    await until(() => first.chat.messages.length === 2 && textOf(lastOf(first.chat)).length > 20, 'text');
    const second = open('ui_talk', { id: first.id, messages: first.chat.messages.slice(0, 1) });
    await second.chat.resumeStream();
    await sent;
    assert.deepEqual(JSON.parse(JSON.stringify(second.chat.messages)), JSON.parse(JSON.stringify(first.chat.messages)));
  },

  async 'an ended message can be read again by its id'() {
    const { chat, id } = open('ui_talk');
    await chat.sendMessage({ text: 'hello' });
    const again = open('ui_talk', {
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
    const { chat, errors, id } = open('ui_talk');
    await chat.resumeStream();
    assert.deepEqual([chat.status, chat.messages], ['ready', []]);
    await chat.sendMessage({ text: 'hello' });
    await chat.resumeStream();
    assert.deepEqual([chat.status, chat.messages.length, errors], ['ready', 2, []]);
    assert.equal((await fetch(`${BASE}/ai/ui_talk/${id}/stream`)).status, 204);
  },

  async 'a message is answered again, and edited'() {
    const { chat, errors } = open('ui_talk');
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
    assert.equal(textOf(lastOf(chat)), `Let me see. ${words('(12)')}`);
    assert.deepEqual((await rows('all')).map(m => m.content), ['hello', 'good evening']);
    assert.deepEqual((await rows('head')).map(m => m.content), ['good evening']);
  },

  async 'files come as data URLs, and no other'() {
    const { chat, errors } = open('ui_files');
    const url = `data:text/plain;base64,${Buffer.from('milk and bread').toString('base64')}`;
    const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
    await chat.sendMessage({
      text: 'see',
      files: [
        { type: 'file', mediaType: 'text/plain', filename: 'list.txt', url },
        { type: 'file', mediaType: 'image/png', filename: 'dot.png', url: `data:image/png;base64,${png}` },
      ],
    });
    assert.deepEqual(errors, []);
    assert.equal(textOf(lastOf(chat)), 'see: list.txt text/plain 14, dot.png image/png 70');
    await chat.sendMessage({ text: 'see', files: [{ type: 'file', mediaType: 'image/png', url: 'https://example.com/a.png' }] });
    assert.equal(errors[0].statusCode, 422);
    assert.match(errors[0].message, /data URL/);
  },

  async 'questions in words are answered by the next message'() {
    const { chat, errors } = open('ui_ask');
    const asked = () => lastOf(chat).parts.findLast(part => part.type === 'data-landline-question').data;
    await chat.sendMessage({ text: 'go' });
    assert.equal(asked().prompt, 'What is your name?');
    await chat.sendMessage({ text: 'Ann' });
    assert.deepEqual(asked().choices, ['red', 'blue']);
    await chat.sendMessage({ text: 'green' });
    assert.match(errors[0].message, /one of its choices/);
    chat.messages = chat.messages.slice(0, -1);
    await chat.sendMessage({ text: 'red' });
    assert.equal(errors.length, 1);
    assert.equal(textOf(lastOf(chat)), 'Ann likes red');
    assert.equal(new Set(chat.messages.map(message => message.id)).size, chat.messages.length);
    assert.deepEqual(chat.messages.map(message => message.role), [
      'user', 'assistant', 'user', 'assistant', 'user', 'assistant',
    ]);
  },

  async 'a structured answer is a data part'() {
    const { chat } = open('ui_shape');
    await chat.sendMessage({ text: 'four' });
    const parts = lastOf(chat).parts.filter(part => part.type === 'data-landline-output');
    assert.deepEqual(parts.map(part => part.data), [{ city: 'Rome', people: 4 }]);
  },

  async 'errors are told, and no secrets'() {
    const failing = open('ui_fail');
    await failing.chat.sendMessage({ text: 'go' });
    assert.equal(failing.chat.status, 'error');
    assert.equal(textOf(lastOf(failing.chat)), 'Well');
    assert.doesNotMatch(failing.errors[0].message, /secret/);
    const unknown = open('no_such_agent');
    await unknown.chat.sendMessage({ text: 'go' });
    assert.equal(unknown.errors[0].statusCode, 404);
    const busy = open('ui_talk');
    const sent = busy.chat.sendMessage({ text: 'slowly' });
    await until(() => busy.chat.messages.length === 2, 'the start');
    const other = open('ui_talk', { id: busy.id });
    await other.chat.sendMessage({ text: 'me too' });
    assert.equal(other.errors[0].statusCode, 409);
    assert.match(other.errors[0].message, /is active on this thread/);
    await sent;
    // What was refused can be sent again.
    await other.chat.regenerate();
    assert.equal(textOf(lastOf(other.chat)), `Let me see. ${words('(6)')}`);
  },

  async 'leaving is no stop, and stopping is'() {
    const { chat, errors, id } = open('ui_talk');
    const sent = chat.sendMessage({ text: 'slowly' });
    await until(() => chat.messages.length === 2 && textOf(lastOf(chat)).length > 20, 'text');
    await chat.stop();
    await sent;
    const other = open('ui_talk', { id });
    const followed = other.chat.resumeStream();
    await until(() => other.chat.messages.length === 1, 'the message');
    assert.equal((await fetch(`${BASE}/ai/ui_talk/${id}/stop`, { method: 'POST' })).status, 204);
    await followed;
    assert.deepEqual([chat.status, other.chat.status, errors], ['ready', 'ready', []]);
    assert.ok(textOf(lastOf(other.chat)).length < `Let me see. ${words('(6)')}`.length);
    assert.equal((await fetch(`${BASE}/ai/ui_talk/${id}/stream`)).status, 204);
  },

  async 'a bare stream reads with readUIMessageStream'() {
    const transport = new DefaultChatTransport({ api: `${BASE}/ai/ui_talk` });
    const messages = [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: 'hello' }] }];
    const stream = await transport.sendMessages({ chatId: newId(), messages, trigger: 'submit-message' });
    let last;
    for await (const message of readUIMessageStream({ stream })) last = message;
    assert.equal(textOf(last), `Let me see. ${words('(5)')}`);
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
