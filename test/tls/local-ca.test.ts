import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkServerIdentity, connect, createServer } from "node:tls";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { problemLine } from "../../src/base/problem.ts";
import { loadCertificateFiles } from "../../src/tls/certificate.ts";
import { ensureLocalCertificate } from "../../src/tls/local-ca.ts";
import { howToTrust } from "../../src/tls/trust.ts";

const dayMs = 86_400_000;
const names = ["localhost", "erp.example.com", "*.shop.example.com", "127.0.0.1", "[::1]"];

// Handshakes are judged by the machine's own clock, so these tests start from it.
const startMs = Date.now();

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "gateway-ca-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return join(path, "certs");
}

async function ensured(at: string, wallMs = startMs, served: readonly string[] = names) {
  const result = await ensureLocalCertificate({ directory: at, names: served, wallMs });
  if (!result.ok) throw new Error(result.error.map(problemLine).join("\n"));
  return result.value;
}

async function problem(at: string, wallMs = startMs): Promise<string> {
  const result = await ensureLocalCertificate({ directory: at, names, wallMs });
  return result.ok ? "no problem" : result.error.map(problemLine).join("\n");
}

const read = (at: string, name: string) => readFileSync(join(at, name), "utf8");

t.test("a client that trusts the authority accepts every served name, and no other", async (t) => {
  const at = directory();
  const files = await ensured(at);
  const server = createServer({ cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) });
  server.on("secureConnection", (socket) => socket.on("error", () => {}).end());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const verdict = (name: string) =>
    new Promise<string>((resolve) => {
      const socket = connect({
        host: "127.0.0.1",
        port,
        ca: readFileSync(files.caFile),
        checkServerIdentity: (_host, peer) => checkServerIdentity(name, peer),
      });
      socket.on("secureConnect", () => resolve(socket.authorized ? "trusted" : "untrusted"));
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.on("close", () => socket.destroy());
    });
  for (const name of ["localhost", "erp.example.com", "de.shop.example.com", "127.0.0.1", "::1"]) {
    t.equal(await verdict(name), "trusted", name);
  }
  t.equal(await verdict("evil.example.com"), "ERR_TLS_CERT_ALTNAME_INVALID");
});

t.test("what is made is what the house promises", async (t) => {
  const at = directory();
  const files = await ensured(at);
  t.ok(files.authorityIsNew);
  const authority = new X509Certificate(read(at, "local-ca.pem"));
  const leaf = new X509Certificate(read(at, "local.pem"));
  t.match(authority.subject, /^CN=odoo-gateway local CA \S+ [0-9a-f]{6}$/);
  t.ok(authority.subject.length <= 67, "common name within X.520's 64 characters");
  t.ok(authority.ca);
  t.notOk(leaf.ca, "what it signs cannot sign");
  t.same(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"], "for servers only");
  t.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
  t.ok(leaf.checkIssued(authority));
  const lifeDays = (Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)) / dayMs;
  t.ok(lifeDays > 90 && lifeDays < 90.1, "90 days and the hour of backdating");
  t.equal(statSync(at).mode & 0o777, 0o700);
  t.equal(statSync(join(at, "local-ca.key")).mode & 0o777, 0o600);
  t.equal(statSync(join(at, "local.key")).mode & 0o777, 0o600);
  t.same(
    readdirSync(at).sort(),
    ["local-ca.key", "local-ca.pem", "local.key", "local.pem"],
    "nothing left aside",
  );
  const loaded = loadCertificateFiles(files.certFile, files.keyFile, names, startMs);
  t.ok(loaded.ok);
  if (loaded.ok) t.same(loaded.value.warnings, []);
  t.ok(
    howToTrust("/it's here/ca.pem").some((line) => line.includes("'/it'\\''s here/ca.pem'")),
    "path quoted for the shell",
  );
});

t.test(
  "kept while good; made anew for other names, past two thirds of its life, and for another key or authority",
  async (t) => {
    const at = directory();
    const clock = manualClock(startMs);
    const first = await ensured(at, clock.wallMs());
    const leaf = read(at, "local.pem");
    const authority = read(at, "local-ca.pem");
    clock.advance(59 * dayMs);
    const again = await ensured(at, clock.wallMs());
    t.equal(read(at, "local.pem"), leaf, "day 59: kept");
    t.notOk(again.authorityIsNew);
    t.equal(
      again.renewAtWallMs,
      Math.floor(first.renewAtWallMs / 1000) * 1000,
      "same deadline, to the second",
    );
    clock.advance(dayMs);
    await ensured(at, clock.wallMs());
    const renewed = read(at, "local.pem");
    t.not(renewed, leaf, "day 60: new");
    await ensured(at, clock.wallMs(), [...names].reverse());
    t.equal(read(at, "local.pem"), renewed, "order of names does not matter");
    await ensured(at, clock.wallMs(), ["localhost"]);
    t.equal(new X509Certificate(read(at, "local.pem")).subjectAltName, "DNS:localhost", "names changed: new");
    rmSync(join(at, "local.key"));
    await ensured(at, clock.wallMs());
    t.ok(
      loadCertificateFiles(join(at, "local.pem"), join(at, "local.key"), names, clock.wallMs()).ok,
      "key lost: both new",
    );
    t.equal(read(at, "local-ca.pem"), authority, "the authority never changed by itself");
    rmSync(join(at, "local-ca.pem"));
    rmSync(join(at, "local-ca.key"));
    t.ok((await ensured(at, clock.wallMs())).authorityIsNew);
    const replaced = new X509Certificate(read(at, "local-ca.pem"));
    t.ok(
      new X509Certificate(read(at, "local.pem")).verify(replaced.publicKey),
      "authority replaced: leaf follows",
    );
  },
);

t.test("a torn, changed or foreign file is named, never overwritten and never a crash", async (t) => {
  const cases: readonly (readonly [
    title: string,
    file: string,
    spoil: (path: string) => void,
    says: RegExp,
  ])[] = [
    [
      "torn authority",
      "local-ca.pem",
      (path) => truncateSync(path, 200),
      /local-ca\.pem is no certificate.*; delete local-ca\.pem and/,
    ],
    ["empty authority", "local-ca.pem", (path) => truncateSync(path, 0), /local-ca\.pem is no certificate/],
    [
      "torn authority key",
      "local-ca.key",
      (path) => truncateSync(path, 60),
      /local-ca\.key is no EC P-256 private key/,
    ],
    [
      "authority key gone",
      "local-ca.key",
      (path) => rmSync(path),
      /local-ca\.key is missing beside local-ca\.pem; restore it/,
    ],
    [
      "torn key",
      "local.key",
      (path) => truncateSync(path, 60),
      /local\.key is no EC P-256 private key.*; delete it/,
    ],
    [
      "torn chain",
      "local.pem",
      (path) => truncateSync(path, statSync(path).size - 80),
      /local\.pem is not the certificate.*; delete it/,
    ],
    ["garbage", "local.pem", (path) => writeFileSync(path, "hello"), /local\.pem is not the certificate/],
  ];
  for (const [title, file, spoil, says] of cases) {
    const at = directory();
    await ensured(at);
    spoil(join(at, file));
    const spoiled = existsSync(join(at, file)) ? read(at, file) : null;
    t.match(await problem(at), says, title);
    t.equal(existsSync(join(at, file)) ? read(at, file) : null, spoiled, `${title}: left as it was`);
  }
  const [one, other] = [directory(), directory()];
  await ensured(one);
  await ensured(other);
  writeFileSync(join(one, "local-ca.pem"), read(other, "local-ca.pem"));
  t.match(await problem(one), /local-ca\.pem does not fit local-ca\.key/, "another machine's authority");
  t.match(await problem(other, startMs + 3_651 * dayMs), /local-ca\.pem expired on 2/, "ten years later");
  t.match(
    await problem(other, startMs - 2 * dayMs),
    /local-ca\.pem is not valid before .*; set the machine's clock/,
  );
});

t.test("a directory that cannot be used is a problem with a remedy", async (t) => {
  const at = directory();
  await ensured(at);
  t.match(
    await problem(join(at, "local.pem", "certs")),
    /cannot be used for certificates: ENOTDIR.*; make CERTS_DIR/,
  );
});

t.test("a key that other users could read is closed to them and told", async (t) => {
  const at = directory();
  await ensured(at);
  chmodSync(join(at, "local-ca.key"), 0o644);
  const files = await ensured(at);
  t.match(
    files.warnings.map(problemLine).join(),
    /local-ca\.key could be read by other users; its mode is 600 now/,
  );
  t.equal(statSync(join(at, "local-ca.key")).mode & 0o777, 0o600);
});

t.test("processes that start at once end with one authority and fitting pairs", async (t) => {
  const at = directory();
  const program = `
    const { ensureLocalCertificate } = await import(${JSON.stringify(new URL("../../src/tls/local-ca.js", import.meta.url).href)});
    process.stdout.write("ready\\n");
    await new Promise((go) => process.stdin.once("data", go));
    const result = await ensureLocalCertificate({ directory: ${JSON.stringify(at)}, names: ["localhost"], wallMs: ${startMs} });
    process.stdout.write(JSON.stringify(result.ok ? result.value.authorityIsNew : result.error) + "\\n");
    process.stdin.destroy();`;
  const children = [1, 2, 3].map(() => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    return { child, ready: once(child.stdout, "data"), done: once(child, "close"), text: () => text };
  });
  await Promise.all(children.map(({ ready }) => ready));
  for (const { child } of children) child.stdin.write("go\n");
  await Promise.all(children.map(({ done }) => done));
  const answers = children.map(({ text }) => text().split("\n")[1]);
  t.same([...answers].sort(), ["false", "false", "true"], "exactly one made the authority");
  // The same race inside one process, many times over.
  const crowd = directory();
  await Promise.all(Array.from({ length: 8 }, () => ensured(crowd)));
  for (const place of [at, crowd]) {
    const authority = new X509Certificate(read(place, "local-ca.pem"));
    t.ok(new X509Certificate(read(place, "local.pem")).verify(authority.publicKey));
    const loaded = loadCertificateFiles(
      join(place, "local.pem"),
      join(place, "local.key"),
      ["localhost"],
      startMs,
    );
    t.ok(loaded.ok, "certificate, key and chain fit");
    t.equal(readdirSync(place).length, 4);
  }
});
