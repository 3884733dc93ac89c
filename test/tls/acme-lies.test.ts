import { readFileSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { rootCertificates } from "node:tls";
import t, { type Test } from "tap";
import { type ManualClock, manualClock } from "../../src/base/clock.ts";
import { ok } from "../../src/base/result.ts";
import { holdTalk } from "../../src/tls/acme-client.ts";
import { directoryFor } from "../../src/tls/issuer-attempt.ts";
import { readCaFile } from "../../src/tls/issuer-job.ts";
import { fresh, outcome } from "../support/acme-pair.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type LyingAuthority, startLyingAuthority } from "../support/lying-authority.ts";

const dayMs = 86_400_000;

interface Scene {
  readonly clock: ManualClock;
  readonly authority: LyingAuthority;
  readonly gateway: TestGateway;
}

/** A gateway that orders at an authority which `lie` has changed. */
async function start(t: Test, lie: (authority: LyingAuthority) => void): Promise<Scene> {
  const clock = manualClock(Date.now());
  const authority = await startLyingAuthority(t, () => clock.wallMs());
  lie(authority);
  const env = {
    ...{ TLS_MODE: "acme", CERTS_DIR: fresh("certs"), ACME_CA_FILE: authority.caFile },
    ...{ ACME_DIRECTORY: authority.directoryUrl },
  };
  const gateway = await startTestGateway({ clock, env });
  t.teardown(() => gateway.close());
  return { clock, authority, gateway };
}

const says =
  (path: string, answer: (response: ServerResponse, authority: LyingAuthority) => void) =>
  (authority: LyingAuthority) => {
    authority.lies.set(path, (response) => {
      answer(response, authority);
      return true;
    });
  };
const json = (path: string, value: unknown, status = 200) =>
  says(path, (response, authority) => {
    response.writeHead(status, { Location: authority.at("/order/1") });
    response.end(JSON.stringify(value));
  });
const authorization = (challenges: unknown, value: unknown = "odoo.test") =>
  json("/authz/1", { status: "pending", identifier: { type: "dns", value }, challenges });

/** What the authority does, how the failure is told, and what must not have been asked for. */
const lies: readonly (readonly [
  lie: string,
  does: (authority: LyingAuthority) => void,
  said: RegExp,
  never?: RegExp,
])[] = [
  [
    "a page where the directory belongs",
    says("/dir", (r) => void r.end("<html>")),
    /newAccount.*check the directory's address/,
  ],
  [
    "addresses without TLS",
    json("/dir", { newNonce: "http://127.0.0.1:1/", newAccount: "http://127.0.0.1:1/" }),
    /no https address: http:\/\/127/,
  ],
  [
    "a way out of TLS",
    says("/dir", (r) => void r.writeHead(302, { Location: "http://127.0.0.1:1/dir" }).end()),
    /no https address: http:\/\/127/,
  ],
  ["a directory without end", says("/dir", (r) => void r.end("x".repeat(2_000_000))), /maxContentLength/],
  ["text for an order", json("/order", "hello", 201), /RFC 8555/],
  [
    "an order in no known state",
    json("/order", { status: "soon", authorizations: [] }, 201),
    /state that RFC 8555 does not know/,
  ],
  [
    "twenty thousand authorisations",
    (authority) => {
      authority.authorizations = Array.from({ length: 20_000 }, (_, at) => authority.at(`/authz/${at}`));
    },
    /lists 20000 authorisations/,
    /authz/,
  ],
  [
    "somebody else's name to prove",
    (authority) => {
      authority.authorized = "bank.example";
    },
    /wants a proof for bank\.example, which was not ordered/,
    /challenge/,
  ],
  ["an authorisation for nobody", authorization([], null), /wants a proof for , which/],
  [
    "a token that is none",
    authorization([{ type: "http-01", url: "https://127.0.0.1/", token: "../../$(id)" }]),
    /offers no challenge for odoo\.test/,
  ],
  [
    "an object for a certificate",
    json("/certificate/1", { a: 1 }),
    /something else than a certificate chain/,
  ],
  [
    "a page for a certificate",
    says("/certificate/1", (r) => void r.end("<html>")),
    /of no use: holds no PEM certificate/,
  ],
  [
    "a chain of a megabyte",
    says("/certificate/1", (r) => void r.end("x".repeat(900_000))),
    /chain of 900000 characters/,
  ],
  [
    "a certificate for somebody else",
    (authority) => {
      authority.issued = { names: ["bank.example"] };
    },
    /of no use: does not cover odoo\.test; it is for bank\.example/,
  ],
  [
    "a certificate that has ended",
    (authority) => {
      authority.issued = { fromMs: Date.now() - 9 * dayMs, untilMs: Date.now() - dayMs };
    },
    /of no use: expired on .*clock/,
  ],
  [
    "escapes for a terminal",
    json("/order", { type: "urn:ietf:params:acme:error:malformed", detail: "a\u001b[2J\nb" }, 400),
    /malformed: a\\x1b\[2J b/,
  ],
];

for (const [lie, does, said, never] of lies) {
  t.test(`an authority with ${lie} is told in words, and asked again ever later`, async (t) => {
    const { gateway, authority } = await start(t, does);
    t.match(await outcome(gateway), { type: "certificate-failed", detail: said, failures: 1 });
    const asked = authority.asked.length;
    await gateway.running.issuer.look();
    t.equal(authority.asked.length, asked, "not at once");
    if (never !== undefined) t.notOk(authority.asked.some((path) => never.test(path)));
    t.same(
      gateway.events.filter(({ type }) => type === "error"),
      [],
    );
  });
}

for (const [path, status] of [
  ["/dir", 503],
  ["/nonce", 429],
] as const) {
  t.test(`${status} for ${path} with a time to wait is kept to`, async (t) => {
    const { clock, gateway } = await start(
      t,
      says(path, (response) => {
        response.removeHeader("Replay-Nonce");
        response.writeHead(status, { "Retry-After": "7200" }).end();
      }),
    );
    t.match(await outcome(gateway), { type: "certificate-failed", detail: new RegExp(`answered ${status}`) });
    t.equal(gateway.running.issuer.status?.nextTryMs, clock.wallMs() + 7_200_000);
  });
}

for (const wait of ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]) {
  t.test(`a wait of "${wait}" is a week, and not none at all`, async (t) => {
    const { clock, gateway, authority } = await start(
      t,
      says("/order", (response) => {
        const type = "urn:ietf:params:acme:error:rateLimited";
        response.writeHead(429, { "Retry-After": wait }).end(JSON.stringify({ type, detail: "too many" }));
      }),
    );
    t.match(await outcome(gateway), { type: "certificate-failed", detail: /too many/ });
    const orders = () => authority.asked.filter((one) => one === "/order").length;
    clock.advance(6.9 * dayMs);
    await gateway.running.issuer.look();
    t.equal(orders(), 1);
    clock.advance(0.2 * dayMs);
    await gateway.running.issuer.look();
    t.equal(orders(), 2);
  });
}

t.test("an order that is on its way outlasts an authority that has no answer just now", async (t) => {
  const { clock, gateway, authority } = await start(
    t,
    says("/certificate/1", (response) => void response.writeHead(503).end()),
  );
  t.match(await outcome(gateway), { type: "certificate-failed", detail: /answered 503/ });
  authority.lies.clear();
  authority.lies.set("/order/1", (response) => {
    response.writeHead(503).end();
    return true;
  });
  clock.advance(dayMs);
  await gateway.running.issuer.look();
  t.match(await outcome(gateway, 1), { type: "certificate-failed" });
  authority.lies.clear();
  clock.advance(dayMs);
  await gateway.running.issuer.look();
  t.match(await outcome(gateway, 2), { type: "certificate-ordered" });
  t.equal(authority.asked.filter((path) => path === "/order").length, 1, "no second order");
});

t.test("an answer that drips is none, however long it drips", async (t) => {
  const authority = await startLyingAuthority(t);
  authority.lies.set("/dir", (response) => {
    response.writeHead(200);
    const drip = setInterval(() => response.write(" "), 20);
    response.on("close", () => clearInterval(drip));
    return true;
  });
  const caPem = readFileSync(authority.caFile, "utf8");
  const told = await holdTalk(
    caPem,
    new AbortController().signal,
    async (acme) => {
      const client = new acme.Client({ directoryUrl: authority.directoryUrl, accountKey: "" });
      return ok(await client.createAccount({ termsOfServiceAgreed: true }));
    },
    300,
  );
  t.match(told, { ok: false, error: { kind: "unreachable", detail: "no whole answer within 0.3 s" } });
});

const inDays = (clock: ManualClock, days: number) => new Date(clock.wallMs() + days * dayMs).toISOString();

t.test("a renewal window that is always over has no certificate ordered at each look", async (t) => {
  const { clock, gateway, authority } = await start(t, (authority) => {
    authority.ari = { start: "1970-01-01T00:00:00Z", end: "1971-01-01T00:00:00Z", retryAfter: "60" };
  });
  t.match(await outcome(gateway), { type: "certificate-ordered" });
  const orders = () => authority.asked.filter((one) => one === "/order").length;
  for (let looks = 0; looks < 5; looks += 1) {
    clock.advance(60_000);
    await gateway.running.issuer.look();
  }
  t.equal(orders(), 1);
  clock.advance(6 * 3_600_000);
  await gateway.running.issuer.look();
  t.equal(orders(), 2, "asked again, and it still wants it: done");
  await gateway.running.issuer.look();
  t.equal(orders(), 2);
});

for (const [what, from, to] of [
  ["behind its end", 200, 201],
  ["of its last minutes", 89.99, 89.999],
] as const) {
  t.test(`a renewal window ${what} lets no certificate run out`, async (t) => {
    const { clock, gateway } = await start(t, (authority) => {
      const start = new Date(Date.now() + from * dayMs).toISOString();
      authority.ari = { start, end: new Date(Date.now() + to * dayMs).toISOString() };
    });
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    const days = ((gateway.running.issuer.status?.renewAtMs ?? 0) - clock.wallMs()) / dayMs;
    t.ok(days > 50 && days < 84, `in ${days} days`);
  });
}

t.test("a certificate whose life is mostly over when it comes is not ordered again at once", async (t) => {
  const { clock, gateway, authority } = await start(t, (authority) => {
    authority.issued = { fromMs: Date.now() - 60 * dayMs, untilMs: Date.now() + 20 * dayMs };
  });
  t.match(await outcome(gateway), { type: "certificate-ordered" });
  clock.advance(60_000);
  await gateway.running.issuer.look();
  t.equal(authority.asked.filter((one) => one === "/order").length, 1);
});

t.test("a date that was ahead for a while does not keep the authority from being asked", async (t) => {
  const { clock, gateway, authority } = await start(t, (authority) => {
    authority.ari = {
      start: new Date(Date.now() + 60 * dayMs).toISOString(),
      end: new Date(Date.now() + 61 * dayMs).toISOString(),
    };
  });
  t.match(await outcome(gateway), { type: "certificate-ordered" });
  const asked = () => authority.asked.filter((one) => one === "/ari").length;
  clock.advance(30 * dayMs);
  await gateway.running.issuer.look();
  t.equal(asked(), 2);
  clock.advance(-30 * dayMs);
  authority.ari = { start: inDays(clock, -2), end: inDays(clock, -1) };
  await gateway.running.issuer.look();
  t.match(await outcome(gateway, 1), { type: "certificate-renewed" });
});

for (const [what, text] of [
  ["nothing", ""],
  ["no certificate", "hello"],
  ["a torn certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"],
] as const) {
  t.test(`ACME_CA_FILE with ${what} is told as that, not as an authority that is not trusted`, async (t) => {
    const { gateway } = await start(t, ({ caFile }) => writeFileSync(caFile, text));
    t.match(await outcome(gateway), {
      type: "certificate-failed",
      detail: /\.pem holds no PEM certificate that can be read; give in ACME_CA_FILE the root/,
    });
  });
}

t.test("with a private and a public directory, what Node trusts is trusted too", async (t) => {
  const { caFile } = await startLyingAuthority(t);
  const own = readFileSync(caFile, "utf8");
  t.same(await readCaFile({ caFile, fallbackDirectory: null }), { ok: true, value: own });
  const both = await readCaFile({ caFile, fallbackDirectory: "https://ca.test/dir" });
  const [root = "none"] = rootCertificates;
  t.ok(both.ok && both.value?.includes(own.trim()) && both.value.includes(root));
});

t.test(
  "an authority that wants to be left alone for days does not keep the other from being asked",
  async (t) => {
    const clock = manualClock(Date.now());
    const first = await startLyingAuthority(t, () => clock.wallMs());
    const second = await startLyingAuthority(t, () => clock.wallMs());
    first.lies.set("/order", (response) => {
      const type = "urn:ietf:params:acme:error:rateLimited";
      response.writeHead(429, { "Retry-After": "500000" }).end(JSON.stringify({ type, detail: "too many" }));
      return true;
    });
    second.lies.set("/order", (response) => {
      response.writeHead(503).end();
      return true;
    });
    const caFile = fresh(".pem");
    writeFileSync(caFile, readFileSync(first.caFile, "utf8") + readFileSync(second.caFile, "utf8"));
    const env = {
      ...{ TLS_MODE: "acme", CERTS_DIR: fresh("certs"), ACME_CA_FILE: caFile },
      ...{ ACME_DIRECTORY: first.directoryUrl, ACME_FALLBACK_DIRECTORY: second.directoryUrl },
    };
    const gateway = await startTestGateway({ clock, env });
    t.teardown(() => gateway.close());
    t.match(await outcome(gateway), { type: "certificate-failed", directory: first.directoryUrl });
    const inMs = () => (gateway.running.issuer.status?.nextTryMs ?? 0) - clock.wallMs();
    t.ok(inMs() < 120_000, "the other one in a minute");
    await gateway.close();

    const again = await startTestGateway({ clock, env });
    t.teardown(() => again.close());
    clock.advance(120_000);
    await again.running.issuer.look();
    t.match(await outcome(again), { type: "certificate-failed", directory: second.directoryUrl });
    second.lies.clear();
    clock.advance(240_000);
    await again.running.issuer.look();
    t.match(await outcome(again, 1), { type: "certificate-ordered", directory: second.directoryUrl });
    t.equal(first.asked.filter((path) => path === "/order").length, 1, "left alone, over the restart too");
  },
);

t.test(
  "which directory is asked: the first, then in turns, and never one that is to be left alone for long",
  async (t) => {
    const [directory, fallbackDirectory] = ["https://one.test/", "https://two.test/"];
    const hours = (first: number, second: number) => ({
      [directory]: first * 3_600_000,
      [fallbackDirectory]: second * 3_600_000,
    });
    const asked = (failures: number, holds = {}) =>
      directoryFor({ directory, fallbackDirectory }, failures, holds, 0);
    t.same(
      [0, 1, 2, 3, 4, 5].map((failures) => asked(failures)),
      [...[directory, directory, directory, fallbackDirectory, directory, fallbackDirectory]],
    );
    t.equal(asked(1, hours(2, 0)), fallbackDirectory);
    t.equal(asked(1, hours(0.5, 0)), directory, "a short wait is waited for");
    t.equal(asked(3, hours(0, 2)), directory);
    t.equal(asked(3, hours(4, 2)), fallbackDirectory, "both: the shorter");
    t.equal(asked(3, hours(2, 4)), directory);
    t.equal(asked(0, hours(24 * 400, 0)), directory, "written by a clock that was wrong");
    t.equal(directoryFor({ directory, fallbackDirectory: null }, 5, hours(9, 0), 0), directory);
  },
);
