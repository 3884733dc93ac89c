import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { rootCertificates } from "node:tls";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { ok } from "../../src/base/result.ts";
import { holdTalk } from "../../src/tls/acme-client.ts";
import { readCaFile } from "../../src/tls/issuer-job.ts";
import { fresh, outcome } from "../support/acme-pair.ts";
import { startTestGateway } from "../support/gateway.ts";
import { type LyingAuthority, startLyingAuthority } from "../support/lying-authority.ts";
import { says, startScene } from "../support/lying-scene.ts";

const dayMs = 86_400_000;

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
    const { gateway, authority } = await startScene(t, does);
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

for (const [what, text] of [
  ["nothing", ""],
  ["no certificate", "hello"],
  ["a torn certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"],
] as const) {
  t.test(`ACME_CA_FILE with ${what} is told as that, not as an authority that is not trusted`, async (t) => {
    const { gateway } = await startScene(t, ({ caFile }) => writeFileSync(caFile, text));
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

t.test("a pipe in the place of the authorities is named, and nobody waits for its other end", async (t) => {
  const pipe = fresh("authorities");
  execFileSync("mkfifo", [pipe]);
  t.match(await readCaFile({ caFile: pipe, fallbackDirectory: null }), {
    ok: false,
    error: { place: pipe, thing: "is no regular file" },
  });
});

t.test("a profile is asked of the authority it is of, not of the one that stands in", async (t) => {
  const dead = "https://127.0.0.1:1/dir";
  for (const isSecond of [false, true]) {
    const clock = manualClock(Date.now());
    const authority = await startLyingAuthority(t, () => clock.wallMs());
    const env = {
      ...{
        TLS_MODE: "acme",
        CERTS_DIR: fresh("certs"),
        ACME_CA_FILE: authority.caFile,
        ACME_PROFILE: "shortlived",
      },
      ...(isSecond
        ? { ACME_DIRECTORY: dead, ACME_FALLBACK_DIRECTORY: authority.directoryUrl }
        : { ACME_DIRECTORY: authority.directoryUrl }),
    };
    const gateway = await startTestGateway({ clock, env });
    t.teardown(() => gateway.close());
    for (let failures = 1; isSecond && failures <= 3; failures += 1) {
      t.match(await outcome(gateway, failures - 1), { type: "certificate-failed", failures });
      clock.advance(dayMs);
      await gateway.running.issuer.look();
    }
    t.match(await outcome(gateway, isSecond ? 3 : 0), { type: "certificate-ordered" });
    t.same(
      authority.ordered.map((order) => order["profile"] ?? null),
      [isSecond ? null : "shortlived"],
    );
  }
});
