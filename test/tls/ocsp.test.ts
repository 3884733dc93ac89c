import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type OcspAuthority, opensslMissing, startOcspAuthority } from "../support/ocsp.ts";
import { status } from "../support/status.ts";

const missing = opensslMissing();
const withOpenssl = missing === null ? {} : { skip: missing };
const minuteMs = 60_000;

interface Owner {
  teardown(work: () => unknown): unknown;
}

interface Stage {
  readonly authority: OcspAuthority;
  readonly gateway: TestGateway;
  readonly clock: ReturnType<typeof manualClock>;
}

/** A gateway with a certificate of an authority that has a responder; the first look is over. */
async function start(
  t: Owner,
  prepare: (authority: OcspAuthority) => readonly string[] | undefined = () => undefined,
): Promise<Stage> {
  const authority = await startOcspAuthority();
  t.teardown(() => authority.close());
  const { certFile, keyFile } = authority.issue(["odoo.test"], prepare(authority));
  const clock = manualClock(Date.now());
  const gateway = await startTestGateway({
    clock,
    env: { TLS_MODE: "files", TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile },
  });
  t.teardown(() => gateway.close());
  return { authority, gateway, clock };
}

/** What openssl's client says to a handshake in which it asks for a staple. */
function sClient(gateway: TestGateway, caFile: string): Promise<string> {
  return new Promise((resolve) => {
    const args = ["-connect", `127.0.0.1:${gateway.httpsPort}`, "-servername", "odoo.test", "-status"];
    const child = execFile("openssl", ["s_client", ...args, "-CAfile", caFile], (_error, out) =>
      resolve(out),
    );
    child.stdin?.end();
  });
}

/** The staple as bytes, for a client with another view; null: none. */
function stapleOf(gateway: TestGateway, caFile: string): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host: "127.0.0.1", port: gateway.httpsPort, servername: "odoo.test" },
      ...{ ca: readFileSync(caFile), requestOCSP: true },
    });
    let staple: Buffer | null = null;
    socket.on("OCSPResponse", (response: Buffer | null) => {
      staple = response === null || response.length === 0 ? null : response;
    });
    socket.on("secureConnect", () => {
      resolve(staple);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

const warnings = (gateway: TestGateway) =>
  gateway.events.flatMap((event: GatewayEvent) =>
    event.type === "warning" && event.what === "ocsp" ? [event.detail] : [],
  );

for (const isDelegated of [false, true]) {
  const who = isDelegated ? "a responder that the issuer named" : "the issuer itself";
  t.test(`an answer signed by ${who} is stapled, and OpenSSL believes it`, withOpenssl, async (t) => {
    const { authority, gateway } = await start(t, (authority) => {
      authority.isDelegated = isDelegated;
      return undefined;
    });
    await gateway.running.lookAtCertificates();
    t.same(warnings(gateway), []);
    t.equal(authority.asked(), 1);
    const said = await sClient(gateway, authority.caFile);
    t.match(said, /OCSP Response Status: successful[\s\S]*Cert Status: good[\s\S]*Verify return code: 0/);
    const staple = await stapleOf(gateway, authority.caFile);
    const file = join(gateway.folder, "staple");
    writeFileSync(file, staple ?? "");
    const leaf = join(gateway.folder, "leaf.pem");
    writeFileSync(leaf, gateway.running.tls().fallback.certPem);
    const verified = await new Promise<string>((resolve) => {
      const { caFile } = authority;
      const args = ["ocsp", "-respin", file, "-CAfile", caFile, "-issuer", caFile, "-cert", leaf];
      execFile("openssl", args, (_error, out, err) => resolve(out + err));
    });
    t.match(verified, /leaf\.pem: good[\s\S]*Response verify OK/);
    for (let i = 0; i < 5; i += 1) await stapleOf(gateway, authority.caFile);
    t.equal(authority.asked(), 1, "handshakes ask nobody");
    t.match(await status(gateway), {
      certificates: [{ stapledUntil: /^20/, nextRenewal: null }],
      issuer: null,
    });
  });
}

t.test(
  "an answer is asked for anew at half of its life, and never shown past its end",
  withOpenssl,
  async (t) => {
    const { authority, gateway, clock } = await start(t);
    const look = () => gateway.running.lookAtCertificates();
    await look();
    clock.advance(28 * minuteMs);
    await look();
    t.equal(authority.asked(), 1, "not before its half");
    clock.advance(3 * minuteMs);
    await look();
    t.equal(authority.asked(), 2);
    authority.mood = "error";
    clock.advance(16 * minuteMs);
    await look();
    t.equal(authority.asked(), 3);
    t.match(warnings(gateway), [/status 503; the answer in use holds until 2.*, next try 2/]);
    t.ok(await stapleOf(gateway, authority.caFile), "it still holds");
    await look();
    t.equal(authority.asked(), 3, "backed off");
    clock.advance(14 * minuteMs);
    await look();
    t.equal(authority.asked(), 4);
    t.match(warnings(gateway)[1], /; nothing is stapled, next try/);
    t.equal(await stapleOf(gateway, authority.caFile), null);
    t.match(await sClient(gateway, authority.caFile), /OCSP response: no response sent/);
  },
);

t.test("a responder that is silent holds up no handshake, start or end", withOpenssl, async (t) => {
  const { authority, gateway } = await start(t, (authority) => {
    authority.mood = "silent";
    return undefined;
  });
  await authority.hanging();
  t.equal(await stapleOf(gateway, authority.caFile), null);
  t.same(warnings(gateway), [], "its time is not over yet");
});

const bad: readonly (readonly [string, (authority: OcspAuthority) => void, RegExp])[] = [
  [
    "a stranger signed",
    (a) => Object.assign(a, { mood: "stranger" }),
    /signed neither by the certificate's issuer/,
  ],
  [
    "another server of the authority signed",
    (a) => Object.assign(a, { mood: "server" }),
    /nor by a responder it named/,
  ],
  ["a page of errors", (a) => Object.assign(a, { mood: "error" }), /answered with status 503/],
  ["no end", (a) => Object.assign(a, { minutes: null }), /names no end of its own \(nextUpdate\)/],
  ["an end years ahead", (a) => Object.assign(a, { minutes: 3_000_000 }), /an end that makes no sense/],
  ["a megabyte", (a) => Object.assign(a, { mood: "endless" }), /answered more than 65536 bytes/],
  ["half of it missing", (a) => Object.assign(a, { mood: "torn" }), /is no OCSP response/],
  ["revoked", (a) => a.revoke(), /the certificate is revoked since 2026-01-01T00:00:00\.000Z: replace it/],
];
for (const [what, prepare, says] of bad) {
  t.test(`an answer that is not to be shown: ${what}`, withOpenssl, async (t) => {
    const { authority, gateway } = await start(t, (authority) => {
      prepare(authority);
      return undefined;
    });
    await gateway.running.lookAtCertificates();
    t.match(warnings(gateway), [says]);
    t.match(warnings(gateway)[0], /certificate for odoo\.test: http:\/\/127.*nothing is stapled, next try/);
    t.equal(await stapleOf(gateway, authority.caFile), null, "and the site is served");
  });
}

t.test("a certificate that was revoked loses the good answer it had", withOpenssl, async (t) => {
  const { authority, gateway, clock } = await start(t);
  await gateway.running.lookAtCertificates();
  t.ok(await stapleOf(gateway, authority.caFile));
  authority.revoke();
  clock.advance(31 * minuteMs);
  await gateway.running.lookAtCertificates();
  t.match(warnings(gateway), [/is revoked since .*nothing is stapled/]);
  t.equal(await stapleOf(gateway, authority.caFile), null);
});

t.test(
  "a certificate that names no responder: nobody is asked, and nothing is said",
  withOpenssl,
  async (t) => {
    const { authority, gateway } = await start(t, () => []);
    await gateway.running.lookAtCertificates();
    t.equal(authority.asked(), 0, "not even the responder for the authority's own certificate");
    t.same(warnings(gateway), []);
    t.equal(await stapleOf(gateway, authority.caFile), null);
  },
);

t.test(
  "a certificate that demands a staple says what is at stake when there is none",
  withOpenssl,
  async (t) => {
    const { authority, gateway, clock } = await start(t, (authority) => {
      authority.mood = "error";
      return [`authorityInfoAccess=OCSP;URI:${authority.url}`, "tlsfeature=status_request"];
    });
    await gateway.running.lookAtCertificates();
    t.match(warnings(gateway), [
      /the certificate demands a stapled answer: browsers that heed it refuse the site/,
    ]);
    authority.mood = "good";
    clock.advance(2 * minuteMs);
    await gateway.running.lookAtCertificates();
    t.ok(await stapleOf(gateway, authority.caFile));
    t.equal(warnings(gateway).length, 1);

    const alone = await start(t, () => ["tlsfeature=status_request"]);
    await alone.gateway.running.lookAtCertificates();
    t.match(warnings(alone.gateway), [/demands a stapled answer and names no responder over http/]);
    t.equal(alone.authority.asked(), 0);
  },
);
