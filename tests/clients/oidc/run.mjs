// A real OpenID provider signs a browser in to a server of its own: code flow, PKCE, state, nonce, cookie, CSRF, sign-out.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Provider } from 'oidc-provider';

const freePort = () => new Promise((done) => {
  const probe = createServer().listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => done(port)); });
});
const [idPort, port] = [await freePort(), await freePort()];
const issuer = `http://127.0.0.1:${idPort}`;
const base = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [{ client_id: 'landline', client_secret: 's'.repeat(40), redirect_uris: [`${base}/login/callback`], post_logout_redirect_uris: [`${base}/simple`] }],
  claims: { openid: ['sub', 'roles'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, roles: id === 'ada' ? ['premium'] : [] }) }),
});
const serving = provider.listen(idPort, '127.0.0.1');

const data = mkdtempSync(join(tmpdir(), 'landline-oidc-'));
writeFileSync(join(data, 'agents.py'), 'import landline\n\nasync def echo(run):\n    return run.input\n\nagent = landline.agent(echo, name="echo")\n');
const server = spawn(resolve('../../bin/landline'), ['serve', join(data, 'agents.py'), '--port', String(port), '--grace', '0', '--data', join(data, 'data')], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: { ...process.env, LANDLINE_OIDC_ISSUER: issuer, LANDLINE_OIDC_CLIENT_ID: 'landline', LANDLINE_OIDC_CLIENT_SECRET: 's'.repeat(40), LANDLINE_JWT_ROLES_CLAIM: 'roles' },
});

class Browser {
  jars = new Map();
  async ask(url, options = {}) {
    const at = new URL(url);
    const jar = this.jars.get(at.host) ?? this.jars.set(at.host, new Map()).get(at.host);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { ...options, redirect: 'manual', headers: { ...options.headers, ...(cookie && { cookie }) } });
    for (const line of answer.headers.getSetCookie()) {
      const [pair, ...marks] = line.split(';').map((part) => part.trim());
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      if (marks.some((mark) => /^max-age=0$/i.test(mark)) || value === '' || value === '""') jar.delete(name); else jar.set(name, value);
      if (name.startsWith('landline_')) assert.ok(/httponly/i.test(line) && /samesite=lax/i.test(line), line);
    }
    return answer;
  }
  // Follow redirects and submit the provider's own forms, until the page `stop` would be asked for.
  async signIn(user, stop) {
    let next = `${base}/login`;
    for (let step = 0; step < 15; step += 1) {
      if (next.startsWith(stop)) return next;
      const answer = await this.ask(next);
      if (answer.status >= 300 && answer.status < 400) { next = new URL(answer.headers.get('location'), next).href; continue; }
      const page = await answer.text();
      assert.equal(answer.status, 200, page);
      const action = page.match(/<form[^>]*action="([^"]+)"/)[1];
      const prompt = page.match(/name="prompt" value="([^"]+)"/)[1];
      const form = prompt === 'login' ? { prompt, login: user, password: 'any' } : { prompt };
      const sent = await this.ask(new URL(action, next).href, { method: 'POST', body: new URLSearchParams(form) });
      next = new URL(sent.headers.get('location'), next).href;
    }
    throw new Error('the sign-in has no end');
  }
  // What the page does after our own sign-out: the provider asks once more, and sends the browser back.
  async signOut(url) {
    assert.ok(url.startsWith(`${issuer}/session/end?`), url);
    const told = new URL(url).searchParams;
    assert.equal(told.get('client_id'), 'landline');
    assert.ok(told.get('id_token_hint'), 'the provider learns whose sign-in it is');
    const answer = await this.ask(url);
    const page = await answer.text();
    assert.equal(answer.status, 200, page);
    const action = page.match(/<form[^>]*action="([^"]+)"/)[1];
    const xsrf = page.match(/name="xsrf" value="([^"]+)"/)[1];
    const sent = await this.ask(new URL(action, url).href, { method: 'POST', body: new URLSearchParams({ xsrf, logout: 'yes' }) });
    return sent.headers.get('location');
  }
}

const threads = `${base}/api/v1/threads`;
try {
  for (let tries = 0; ; tries += 1) {
    if (await fetch(`${base}/livez`).then((answer) => answer.ok, () => false)) break;
    assert.ok(tries < 300, 'the server did not start');
    await new Promise((done) => setTimeout(done, 200));
  }
  assert.equal((await fetch(threads)).status, 401, 'without a cookie');

  const ada = new Browser();
  const back = await ada.signIn('ada', `${base}/login/callback`);
  const stranger = new Browser();
  assert.equal((await stranger.ask(back)).status, 401, 'an answer to another browser');
  const wrongState = new URL(back); wrongState.searchParams.set('state', 'x');
  assert.equal((await ada.ask(wrongState.href)).status, 401, 'another state');
  const home = await ada.ask(back);
  assert.equal(home.status, 303, await home.text());
  assert.equal(home.headers.get('location'), `${base}/simple`);
  assert.equal((await ada.ask(threads)).status, 200, 'signed in');
  assert.ok((await ada.ask(back)).status === 401, 'the same answer twice');

  const make = (headers) => ada.ask(threads, { method: 'POST', body: '{"agent":"echo"}', headers: { 'content-type': 'application/json', ...headers } });
  assert.equal((await make({})).status, 403, 'nothing says whose page');
  assert.equal((await make({ origin: base })).status, 403, 'without our header');
  assert.equal((await make({ origin: 'http://evil.example', 'x-landline-csrf': '1' })).status, 403, 'another origin');
  assert.equal((await make({ 'sec-fetch-site': 'same-site', origin: base, 'x-landline-csrf': '1' })).status, 403, 'another site');
  assert.equal((await make({ origin: base, 'x-landline-csrf': '1' })).status, 201, 'our own page');

  const cookie = ada.jars.get(new URL(base).host).get('landline_page');
  for (const headers of [{ authorization: `Bearer ${cookie}` }, { 'x-api-key': cookie }]) {
    assert.equal((await fetch(threads, { headers })).status, 401, 'a cookie is no token');
  }
  assert.equal((await fetch(threads, { headers: { cookie: `landline_page=${cookie}x` } })).status, 401, 'a changed cookie');

  assert.equal((await ada.ask(`${base}/logout`, { method: 'POST' })).status, 403, 'signed out by another page');
  const out = await ada.ask(`${base}/logout`, { method: 'POST', headers: { origin: base, 'x-landline-csrf': '1' } });
  assert.equal(out.status, 200);
  assert.equal((await fetch(threads, { headers: { cookie: `landline_page=${cookie}` } })).status, 401, 'a kept cookie after the end');
  assert.ok(!ada.jars.get(new URL(base).host).has('landline_page'), 'the cookie is gone');
  assert.equal(await ada.signOut((await out.json()).url), `${base}/simple`, 'back on our page');
  const asked = await ada.ask(`${base}/login`).then((answer) => ada.ask(answer.headers.get('location')));
  assert.ok(new URL(asked.headers.get('location'), issuer).pathname.startsWith('/interaction/'), 'the provider asks who it is again');
  console.log('oidc: all held');
} finally {
  server.kill('SIGTERM');
  serving.close();
  serving.closeAllConnections();
}
