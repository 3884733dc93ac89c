import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import { createServer as createPlain } from "node:net";
import t from "tap";
import { ok } from "../../src/base/result.ts";
import { holdTalk } from "../../src/tls/acme-client.ts";
import { issuedChain } from "../contracts/acme-store.ts";

t.test("what an authority refuses is told in its words, whatever shape the answer has", async (t) => {
  const { keyPem, certPem } = await issuedChain(["127.0.0.1"], Date.now());
  let answer = "";
  const server = createServer({ key: keyPem, cert: certPem }, (request, response) => {
    const at = (path: string) => `https://127.0.0.1:${port}${path}`;
    const isAccount = request.url === "/account";
    const fields = { "Content-Type": "application/json", "Replay-Nonce": "AAAA", "Retry-After": "77" };
    const places = { newNonce: at("/nonce"), newAccount: at("/account"), newOrder: at("/order") };
    response.writeHead(isAccount ? 403 : 200, fields);
    response.end(isAccount ? answer : request.url === "/dir" ? JSON.stringify(places) : "");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const accountKey = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const caPem = certPem.slice(certPem.lastIndexOf("-----BEGIN"));
  const register = () =>
    holdTalk(caPem, new AbortController().signal, async (acme) => {
      const client = new acme.Client({ directoryUrl: `https://127.0.0.1:${port}/dir`, accountKey });
      await client.createAccount({ termsOfServiceAgreed: true });
      return ok(null);
    });
  const cases: readonly (readonly [body: string, said: RegExp])[] = [
    ['{"type":"urn:ietf:params:acme:error:unauthorized","detail":"not you"}', /not you/],
    ['{"type":"urn:ietf:params:acme:error:unauthorized","detail":"not you","error":{"a":1}}', /not you/],
    ['{"error":"a proxy does not let you"}', /a proxy does not let you/],
    ['{"error":{"detail":"a proxy with details"}}', /a proxy with details/],
    ['{"error":{"code":17}}', /17/],
    ['{"error":""}', /error/],
    ["", /403/],
    ["<html>no</html>", /403|no/],
  ];
  for (const [body, said] of cases) {
    answer = body;
    const registered = await register();
    if (registered.ok) return void t.fail(body);
    t.match(registered.error, { kind: "refused", detail: said, retryAfterMs: 77_000 }, body);
  }
});

t.test("a directory's port that speaks no TLS is told in one line, and what is begun is kept", async (t) => {
  const server = createPlain((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const accountKey = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const asked = await holdTalk(null, new AbortController().signal, async (acme) => {
    const client = new acme.Client({ directoryUrl: `https://127.0.0.1:${port}/dir`, accountKey });
    await client.createAccount({ termsOfServiceAgreed: true });
    return ok(null);
  });
  t.match(asked, { ok: false, error: { kind: "unreachable", detail: /^[^\n]*wrong version number[^\n]*$/ } });
});
