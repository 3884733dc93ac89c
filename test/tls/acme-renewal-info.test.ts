import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpsServer, get as getHttps } from "node:https";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { askRenewalInfo } from "../../src/tls/renewal-info.ts";
import { issuedChain } from "../contracts/acme-store.ts";
import { fresh, type Owner, orders, outcome, startPair, withPebble } from "../support/acme-pair.ts";
import { status } from "../support/status.ts";

const dayMs = 86_400_000;

/** An authority's renewal information, and a directory that names it; everything else is pebble's. */
async function startRenewalInfo(t: Owner, directory: () => Promise<object>) {
  const nowMs = Date.now();
  const { keyPem, certPem } = await issuedChain(["127.0.0.1"], nowMs);
  const asked: string[] = [];
  const window = { startMs: 0, endMs: 0, retryAfter: "21600", status: 200 };
  /** Orders that came here, when it takes them in pebble's place; all are refused. */
  const ordered: object[] = [];
  const takes = { orders: false };
  const server = createHttpsServer({ key: keyPem, cert: certPem }, (request, response) => {
    void (async () => {
      const url = request.url ?? "";
      if (url === "/dir")
        return response.end(
          JSON.stringify({
            ...(await directory()),
            renewalInfo: `https://127.0.0.1:${port}/ari`,
            ...(takes.orders ? { newOrder: `https://127.0.0.1:${port}/order` } : {}),
          }),
        );
      if (url === "/order") {
        const parts: Buffer[] = [];
        for await (const part of request) parts.push(part);
        const { payload } = JSON.parse(Buffer.concat(parts).toString());
        ordered.push(JSON.parse(Buffer.from(payload, "base64url").toString()));
        response.writeHead(ordered.length === 1 ? 409 : 429, { "Retry-After": "7200" });
        const type = ordered.length === 1 ? "alreadyReplaced" : "rateLimited";
        return response.end(
          JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: `no: ${type}` }),
        );
      }
      asked.push(url);
      response.writeHead(window.status, { "Retry-After": window.retryAfter });
      const suggestedWindow = {
        start: new Date(window.startMs).toISOString(),
        end: new Date(window.endMs).toISOString(),
      };
      return response.end(JSON.stringify({ suggestedWindow }));
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const caPem = certPem.slice(certPem.lastIndexOf("-----BEGIN"));
  return { url: `https://127.0.0.1:${port}/dir`, asked, window, ordered, takes, caPem };
}

t.test("renewal information is read with its bounds", async (t) => {
  const nowMs = Date.now();
  const ari = await startRenewalInfo(t, async () => ({}));
  const ask = () => askRenewalInfo(ari.url, ari.caPem, "a.b", nowMs);
  Object.assign(ari.window, { startMs: nowMs + 1_000, endMs: nowMs + 5_000 });
  t.same(await ask(), {
    ok: true,
    value: { startMs: nowMs + 1_000, endMs: nowMs + 5_000, askAgainInMs: 21_600_000 },
  });
  ari.window.retryAfter = "1";
  t.match(await ask(), { ok: true, value: { askAgainInMs: 60_000 } }, "not each second");
  ari.window.retryAfter = "99999999";
  t.match(await ask(), { ok: true, value: { askAgainInMs: dayMs } }, "not once a year");
  ari.window.endMs = ari.window.startMs;
  t.match(await ask(), { ok: false, error: /no renewal window/ });
  ari.window.status = 503;
  t.match(await ask(), { ok: false, error: /answered 503/ });
  t.match(await askRenewalInfo(ari.url, null, "a.b", nowMs), { ok: false }, "an untrusted directory");
  t.match(await askRenewalInfo("https://127.0.0.1:1/dir", null, "a.b", nowMs), {
    ok: false,
    error: /ECONNREFUSED/,
  });
});

t.test(
  "the authority wants a certificate renewed early: done in its window, as a replacement",
  withPebble,
  async (t) => {
    const clock = manualClock(Date.now());
    const { pebble, gateway } = await startPair(
      t,
      { validitySeconds: 90 * 86_400 },
      { clock, env: { ACME_PROFILE: "shortlived" } },
      async (pebble) => {
        const directory = () =>
          new Promise<object>((resolve, reject) => {
            getHttps(pebble.directoryUrl, { ca: readFileSync(pebble.caFile) }, (answer) => {
              let text = "";
              answer.on("data", (chunk) => {
                text += chunk;
              });
              answer.on("end", () => resolve(JSON.parse(text)));
            }).on("error", reject);
          });
        stub = await startRenewalInfo(t, directory);
        Object.assign(stub.window, {
          startMs: clock.wallMs() + 55 * dayMs,
          endMs: clock.wallMs() + 58 * dayMs,
        });
        const bundle = fresh(".pem");
        writeFileSync(bundle, readFileSync(pebble.caFile, "utf8") + stub.caPem);
        return { ACME_DIRECTORY: stub.url, ACME_CA_FILE: bundle };
      },
    );
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    const planned = gateway.running.issuer.status;
    const inDays = ((planned?.renewAtMs ?? 0) - clock.wallMs()) / dayMs;
    t.ok(inDays >= 55 && inDays <= 58, `in ${inDays} days`);
    const shown = await status(gateway);
    const renewAt = new Date(gateway.running.issuer.status?.renewAtMs ?? 0).toISOString();
    t.match(shown.certificates, [{ names: ["odoo.test"], nextRenewal: renewAt, stapledUntil: null }]);
    t.match(shown.issuer, {
      names: ["odoo.test"],
      directory: stub?.url,
      nextRenewal: renewAt,
      renewalWindow: { start: new Date(stub?.window.startMs ?? 0).toISOString() },
      failures: 0,
      nextTry: null,
      lastFailure: null,
    });
    // A month later it wants it at once.
    Object.assign(stub?.window ?? {}, { startMs: clock.wallMs() + dayMs, endMs: clock.wallMs() + 2 * dayMs });
    clock.advance(30 * dayMs);
    await gateway.running.issuer.look();
    t.match(await outcome(gateway, 1), { type: "certificate-renewed" });
    t.ok((stub?.asked.length ?? 0) >= 2);
    t.match(stub?.asked[0], /^\/ari\/[\w-]+\.[\w-]+$/);
    t.equal(orders(pebble), 2);

    // An authority that will not have it as a replacement gets an ordinary order; and how long it says to wait is kept to.
    if (stub !== null) stub.takes.orders = true;
    clock.advance(3 * dayMs);
    Object.assign(stub?.window ?? {}, { startMs: clock.wallMs() - 2, endMs: clock.wallMs() - 1 });
    await gateway.running.issuer.look();
    const failed = await outcome(gateway, 2);
    t.match(failed, {
      type: "certificate-failed",
      detail: /rateLimited: no: rateLimited; nothing to do but wait/,
    });
    const identifiers = [{ type: "dns", value: "odoo.test" }];
    t.match(stub?.ordered, [
      { identifiers, profile: "shortlived", replaces: /^[\w-]+\.[\w-]+$/ },
      { identifiers },
    ]);
    t.notMatch(stub?.ordered[1], { replaces: /./ });
    t.match(gateway.running.issuer.status, { failures: 1, nextTryMs: clock.wallMs() + 7_200_000 });
    t.match((await status(gateway)).issuer, {
      failures: 1,
      nextTry: new Date(clock.wallMs() + 7_200_000).toISOString(),
      lastFailure: { at: new Date(clock.wallMs()).toISOString(), detail: /rateLimited/ },
    });
  },
);
let stub: Awaited<ReturnType<typeof startRenewalInfo>> | null = null;
