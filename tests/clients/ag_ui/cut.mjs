// A fetch for HttpAgent that follows a run again after a cut, by the ids of its frames. Here it cuts by itself.
export default async function cut(url, init) {
  const first = await fetch(url, init);
  if (!first.ok) return first;
  const { threadId, runId } = JSON.parse(init.body);
  const again = `${url}?${new URLSearchParams({ threadId, runId })}`;
  const body = new ReadableStream({
    async start(out) {
      let response = first;
      let seen;
      for (;;) {
        const text = new TextDecoder();
        const reader = response.body.getReader();
        let rest = "";
        let frames = 0;
        while (frames < 3) {
          const { done, value } = await reader.read();
          if (done) return out.close();
          rest += text.decode(value, { stream: true });
          const blocks = rest.split("\n\n");
          rest = blocks.pop();
          for (const block of blocks.slice(0, 3 - frames)) {
            seen = /^id: (.*)$/m.exec(block)?.[1] ?? seen;
            out.enqueue(new TextEncoder().encode(`${block}\n\n`));
            frames++;
          }
        }
        await reader.cancel();
        cut.cuts++;
        response = await fetch(again, { headers: { "last-event-id": seen } });
        if (response.status === 204) return out.close();
      }
    },
  });
  return new Response(body, { status: 200, headers: first.headers });
}
cut.cuts = 0;
