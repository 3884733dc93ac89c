import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { bodyOf } from "../../src/alert/forms.ts";
import { testMessage } from "../../src/alert/message.ts";
import { createPost, type PostOutcome, post } from "../../src/alert/post.ts";
import { ensureLocalCertificate } from "../../src/tls/local-ca.ts";
import { Hook } from "../support/hook.ts";
import { freePort } from "../support/ports.ts";

const body = bodyOf(testMessage(0), { site: "erp.example.com", instance: "gw1", version: "1" }, "json");
const never = new AbortController().signal;
const send = (url: string, with_ = post) => with_(url, body, never, () => 0);

const hook = await Hook.start();
t.teardown(() => hook.close());

async function answered(answer: Hook["answer"]): Promise<PostOutcome> {
  hook.answer = answer;
  hook.messages.length = 0;
  const outcome = await send(hook.url("/hunter2?k=hunter2"));
  t.equal(hook.messages.length, 1);
  t.notMatch(outcome.words, /hunter2/);
  return outcome;
}

const status = (code: number, headers = {}) =>
  answered((response) => response.writeHead(code, headers).end());

t.test("what a service answers is taken, refused or tried later", async (t) => {
  for (const code of [200, 202, 204]) t.match(await status(code), { kind: "taken" });
  t.match(hook.messages, [{ path: "/hunter2?k=hunter2", body: body.text }]);
  t.match(hook.messages[0]?.headers, { "content-type": /json/, "content-length": String(body.text.length) });
  t.match(await status(400), { kind: "refused", words: /see ALERT_FORMAT/ });
  t.match(await status(403), { kind: "refused", words: /not right any more/ });
  t.match(await status(404), { kind: "refused", words: /no such hook/ });
  t.match(await status(500), { kind: "later", words: "answered with status 500", afterMs: null });
  t.match(await status(429, { "Retry-After": "30" }), { kind: "later", afterMs: 30_000 });
  t.match(await status(503, { "Retry-After": "5" }), { kind: "later", afterMs: 5_000 });
});

t.test("a redirect to an address inside is not followed", async (t) => {
  const inside = await Hook.start();
  t.teardown(() => inside.close());
  for (const code of [301, 302, 303, 307, 308])
    t.match(await status(code, { Location: inside.url("/internal") }), {
      kind: "refused",
      words: /answered with a redirect \(\d+\), which is not followed/,
    });
  t.equal(inside.messages.length, 0);
});

t.test("an answer without end is not read", async (t) => {
  let closed = () => {};
  const isClosed = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const outcome = await answered((response) => {
    response.writeHead(200);
    const more = () => {
      while (response.write(Buffer.alloc(65_536)));
    };
    response.on("drain", more).on("close", closed);
    more();
  });
  t.match(outcome, { kind: "taken" });
  await isClosed;
});

t.test("a head without end is not read", async (t) => {
  const outcome = await answered((response) =>
    response.writeHead(200, { "X-Long": "x".repeat(60_000) }).end(),
  );
  t.match(outcome, { kind: "later", words: /no HTTP \(HPE_HEADER_OVERFLOW\)/ });
});

t.test("a service that hangs is left after a while", async (t) => {
  hook.answer = () => {};
  t.match(await send(hook.url(), createPost(50)), { kind: "later", words: "did not answer within 0.05 s" });
  const going = new AbortController();
  const sent = post(hook.url(), body, going.signal, () => 0);
  going.abort();
  t.match(await sent, { kind: "later", words: "was not waited for" });
});

t.test("a service that hangs up, before or within its answer, is tried later", async (t) => {
  const cut = { kind: "later", words: "closed the connection without an answer" };
  t.match(await answered((_response, request) => request.socket.destroy()), cut);
  t.match(await answered((_response, request) => request.socket.end("HTTP/1.1 200 OK\r\nContent-")), {
    kind: "later",
  });
  t.match(await answered((_response, request) => request.socket.end("SSH-2.0-x\r\n")), {
    kind: "later",
    words: /no HTTP/,
  });
  t.match(
    await answered((_response, request) =>
      request.socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
    ),
    { kind: "taken" },
    "the head was enough",
  );
});

t.test("an upgrade, an interim answer and no answer at all end as well", async (t) => {
  const upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
  t.match(await answered((_response, request) => request.socket.end(upgrade)), { kind: "later" });
  const interim = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
  t.match(await answered((_response, request) => request.socket.end(interim)), { kind: "taken" });
});

t.test("nobody there, or a port that speaks something else", async (t) => {
  t.match(await send(`http://127.0.0.1:${await freePort()}/hunter2`), {
    kind: "later",
    words: "refuses connections",
  });
  const silent = createServer((socket) => socket.on("error", () => {}).resume());
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.teardown(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  t.match(await send(`https://127.0.0.1:${port}/hunter2`, createPost(100)), {
    kind: "later",
    words: /did not answer/,
  });
  const plain = await send(`https://127.0.0.1:${hook.port}/hunter2`);
  t.match(plain, { kind: "later", words: /cannot be asked \(/ });
  t.match(await send("http://%zz:x@127.0.0.1/hunter2"), { kind: "refused" });
});

t.test("a certificate that nobody vouches for gets no message, whatever the environment says", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-alert-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const made = await ensureLocalCertificate({ directory: folder, names: ["localhost"], wallMs: Date.now() });
  if (!made.ok) throw new Error("no certificate");
  const { certFile, keyFile } = made.value;
  const tls = await Hook.start({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
  t.teardown(() => tls.close());
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
  t.teardown(() => delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]);
  const outcome = await send(`https://localhost:${tls.port}/hunter2`);
  t.match(outcome, {
    kind: "later",
    words: /certificate that is not trusted \([A-Z_]+\); NODE_EXTRA_CA_CERTS/,
  });
  t.equal(tls.messages.length, 0);
});
