"use strict";
// The plain page: starts runs, reads their events from a fetch stream, and comes back by itself with Last-Event-ID.
// Whatever a model or a tool says goes in as text, never as markup.
const API = "api/v1/";
const ENDS = new Set(["run.completed", "run.failed", "run.cancelled", "run.waiting"]);
const $ = (id) => document.getElementById(id);
const log = $("log"), state = $("state");
const cursors = new Map();  // run id -> the last event seen
const signsIn = "signIn" in document.body.dataset;  // The server has a provider to sign in at.
let agents = [], thread = null, run = null, key = null, shown = new Map();

function element(kind, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Whoever reads the end keeps seeing it; whoever has scrolled up stays where they are.
function keepEnd(change) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function add(made) {
  keepEnd(() => log.append(made));
  return made;
}

async function call(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (options.body) headers["Content-Type"] = "application/json";
  if (key) headers["X-API-Key"] = key;
  else if (signsIn) headers["X-Landline-CSRF"] = "1";  // Signed in by a cookie: only a page of this origin can send it.
  const answer = await fetch(API + path, { ...options, headers, cache: "no-store" });
  if (answer.status === 401) {
    $("key-form").hidden = false;
    $("sign-in").hidden = !signsIn;
    $("sign-out").hidden = true;
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail || "The server answered " + answer.status + "."), { status: answer.status });
  }
  return answer;
}

// ---------------------------------------------------------------------------------------------------- reading a stream

async function* framesOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const frame = { id: null, event: "message", data: "" };
      for (const line of part.split("\n")) {
        const at = line.indexOf(":");
        if (at > 0) frame[line.slice(0, at)] = line.slice(at + 1).trimStart();
      }
      if (frame.data) yield frame;
    }
  }
}

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));

// Follow a run to its end. A cut line is no end: we come back to where we were, as often as it takes.
async function follow(answer, runId) {
  let wait = 500;
  for (;;) {
    try {
      if (!answer) {
        const headers = { Accept: "text/event-stream" };
        if (cursors.has(runId)) headers["Last-Event-ID"] = String(cursors.get(runId));
        answer = await call("runs/" + runId + "/events", { headers });
        if (answer.status === 204) return;
      }
      state.textContent = "";
      for await (const frame of framesOf(answer)) {
        if (frame.event === "stream.closing") break;
        if (frame.event === "error") throw new Error(JSON.parse(frame.data).detail);
        const event = JSON.parse(frame.data);
        if (event.seq <= (cursors.get(runId) || 0)) continue;
        cursors.set(runId, event.seq);
        wait = 500;
        show(event);
        if (ENDS.has(event.type)) return;
      }
    } catch (error) {
      if (error.status && error.status < 500 && error.status !== 429) throw error;
    }
    answer = null;
    state.textContent = "The line was cut; coming back…";
    await sleep(wait);
    wait = Math.min(wait * 2, 8000);
  }
}

// ---------------------------------------------------------------------------------------------------- showing events

function show(event) {
  const message = event.message_id && shown.get(event.message_id);
  switch (event.type) {
    case "message.started":
      if (event.role === "assistant") shown.set(event.message_id, add(element("div", "message assistant", "")));
      break;
    case "text.delta":
      if (message) keepEnd(() => message.append(event.delta));
      break;
    case "message.completed":
      if (message && event.text) message.textContent = event.text;
      if (message && !message.textContent) message.remove();
      break;
    case "message.retracted":
      if (message) message.classList.add("cut");
      break;
    case "run.resumed":
      if (event.drop_message_id && shown.get(event.drop_message_id)) shown.get(event.drop_message_id).remove();
      break;
    case "output.partial":
      output(event.message_id, event.output);
      break;
    case "tool.called":
      tool(event.call_id, "Tool " + event.name + " …", event.arguments, event.name);
      break;
    case "tool.progress":
      if (event.message) state.textContent = event.message;
      break;
    case "tool.completed":
      tool(event.call_id, "Tool {} is done", event.result);
      break;
    case "tool.failed":
      tool(event.call_id, "Tool {} failed: " + event.error.message);
      break;
    case "question.asked":
      question(event);
      break;
    case "question.answered":
      settle(event.question_id, event.outcome);
      break;
    case "run.completed":
      if (event.output !== null && typeof event.output === "object") output(event.message_id, event.output);
      break;
    case "run.failed":
      add(element("div", "problem", event.error.message));
      break;
    case "run.cancelled":
      state.textContent = "Stopped.";
      break;
    case "run.waiting":
      state.textContent = "It waits for your answer.";
      break;
  }
}

function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function output(messageId, value) {
  const id = "output:" + messageId;
  if (!shown.has(id)) {
    const box = add(element("div", "output"));
    box.append(element("pre"));
    shown.set(id, box);
    const message = shown.get(messageId);
    if (message) message.hidden = true;  // The raw text of a structured answer says the same twice.
  }
  keepEnd(() => { shown.get(id).firstChild.textContent = pretty(value); });
}

function tool(callId, title, value, name) {
  const id = "tool:" + callId;
  if (!shown.has(id)) {
    const box = element("details", "tool");
    box.dataset.name = name || "";
    box.append(element("summary"));
    shown.set(id, add(box));
  }
  const box = shown.get(id);
  box.firstChild.textContent = title.replace("{}", () => box.dataset.name);
  if (value !== undefined) box.append(element("pre", "", pretty(value)));
}

function question(asked) {
  const id = "question:" + asked.question_id;
  if (shown.has(id)) return;
  const box = element("section", "question");
  box.append(element("p", "", asked.prompt));
  if (asked.arguments !== undefined && asked.arguments !== null) box.append(element("pre", "", pretty(asked.arguments)));
  const form = element("form");
  const runId = asked.run_id;
  const say = (answer) => send(runId, { question_id: asked.question_id, ...answer }, form);
  if (asked.kind === "approval") {
    const yes = element("button", "main", "Approve"), no = element("button", "", "Deny"), why = element("input");
    why.placeholder = "Why not (optional)";
    why.setAttribute("aria-label", "Reason for a denial");
    no.type = "button";
    no.addEventListener("click", () => say(why.value ? { approve: false, reason: why.value } : { approve: false }));
    form.addEventListener("submit", (event) => { event.preventDefault(); say({ approve: true }); });
    form.append(yes, no, why);
  } else if (asked.kind === "choice") {
    for (const choice of asked.choices || []) {
      const pick = element("button", "", choice);
      pick.type = "button";
      pick.addEventListener("click", () => say({ value: choice }));
      form.append(pick);
    }
  } else {
    const text = element("input");
    text.required = true;
    text.setAttribute("aria-label", asked.prompt);
    form.addEventListener("submit", (event) => { event.preventDefault(); say({ value: text.value }); });
    form.append(text, element("button", "main", "Answer"));
  }
  box.append(form);
  shown.set(id, add(box));
  // Never the button itself: an Enter meant for the text must not approve anything.
  box.tabIndex = -1;
  (asked.kind === "input" ? form.querySelector("input") : box).focus();
}

function settle(questionId, outcome) {
  const box = shown.get("question:" + questionId);
  if (!box) return;
  const form = box.querySelector("form");
  if (form) form.remove();
  box.classList.add("settled");
  box.append(element("p", "", outcome[0].toUpperCase() + outcome.slice(1) + "."));
}

async function send(runId, answer, form) {
  for (const control of form.elements) control.disabled = true;
  try {
    const body = JSON.stringify({ answers: [answer] });
    const now = await (await call("runs/" + runId + "/answers", { method: "POST", body })).json();
    if (now.status === "waiting") return settle(answer.question_id, "answered");
    await watch(runId, null);
  } catch (error) {
    for (const control of form.elements) control.disabled = false;
    add(element("div", "problem", error.message));
  }
}

// ---------------------------------------------------------------------------------------------------- the conversation

async function watch(runId, answer) {
  run = runId;
  $("send").disabled = true;
  $("stop").hidden = false;
  try {
    await follow(answer, runId);
  } catch (error) {
    add(element("div", "problem", error.message));
  } finally {
    $("send").disabled = false;
    $("stop").hidden = true;
  }
}

async function start(text) {
  $("starters").replaceChildren();
  for (const intro of log.querySelectorAll(".intro")) intro.remove();
  state.textContent = "";
  const body = JSON.stringify({ input: text, mode: "stream", ...(thread ? {} : { agent: $("agent").value }) });
  // The key makes a repeat after a cut line safe: the server answers with the same run.
  const headers = { "Idempotency-Key": Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16)).join("-") };
  let answer;
  for (let tries = 0; !answer; tries++) {
    try {
      answer = await call(thread ? "threads/" + thread + "/runs" : "runs", { method: "POST", body, headers });
    } catch (error) {
      if (tries === 4 || (error.status && error.status < 500)) throw error;
      await sleep(500 * 2 ** tries);
    }
  }
  add(element("div", "message user", text));
  log.scrollTop = log.scrollHeight;
  const runId = answer.headers.get("Location").split("/").pop();
  if (!thread) thread = (await (await call("runs/" + runId)).json()).thread_id;
  await watch(runId, answer);
}

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || $("send").disabled) return;
  $("text").value = "";
  try {
    await start(text);
  } catch (error) {
    $("text").value = text;
    add(element("div", "problem", error.message));
  }
  if (!log.querySelector(".question form")) $("text").focus();
});

$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("ask").requestSubmit();
  }
});

$("stop").addEventListener("click", () => call("runs/" + run + "/cancel", { method: "POST" }).catch((error) => {
  add(element("div", "problem", error.message));
}));

$("fresh").addEventListener("click", fresh);
$("agent").addEventListener("change", fresh);

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value;
  $("key").value = "";
  $("key-form").hidden = true;
  $("sign-in").hidden = true;
  load();
});

$("sign-in").addEventListener("click", () => location.assign("login"));

$("sign-out").addEventListener("click", async () => {
  const answer = await fetch("logout", { method: "POST", headers: { "X-Landline-CSRF": "1" }, cache: "no-store" });
  const { url } = answer.ok ? await answer.json() : {};
  if (answer.ok) location.assign(url || "simple");  // The provider's own page ends its sign-in, and comes back here.
  else state.textContent = "Signing out failed; try again.";
});

function fresh() {
  thread = null;
  shown = new Map();
  log.replaceChildren();
  state.textContent = "";
  const agent = agents.find((one) => one.name === $("agent").value);
  // What the agent is, and what it runs on: nobody should take a script for a model.
  const model = agent && agent.labels && agent.labels.model;
  const about = [agent && agent.description, model && "Model: " + model].filter(Boolean).join("\n");
  if (about) log.append(element("p", "intro", about));
  $("starters").replaceChildren(...((agent && agent.starters) || []).map((text) => {
    const offer = element("button", "", text);
    offer.type = "button";
    offer.addEventListener("click", () => { $("text").value = text; $("ask").requestSubmit(); });
    return offer;
  }));
  $("text").focus();
}

async function load() {
  try {
    agents = (await (await call("agents")).json()).items;
  } catch (error) {
    state.textContent = error.message;
    return;
  }
  $("sign-out").hidden = !signsIn || Boolean(key);
  $("agent").replaceChildren(...agents.map((agent) => {
    const option = element("option", "", agent.title || agent.name);
    option.value = agent.name;
    option.disabled = Boolean(agent.error);
    return option;
  }));
  const first = agents.find((agent) => !agent.error);
  if (first) $("agent").value = first.name;
  state.textContent = first ? "" : "There is no agent to talk to.";
  fresh();
}

load();
