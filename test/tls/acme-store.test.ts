import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { acmeDirectory, createDiskStore, setName } from "../../src/tls/acme-store.ts";
import { readClientHello } from "../../src/tls/client-hello.ts";
import {
  backOffMs,
  expiresSoon,
  orderableNames,
  renewalByLife,
  renewalInWindow,
  sensibleTry,
} from "../../src/tls/schedule.ts";
import { renewalId } from "../../src/tls/x509.ts";
import { acmeStoreContract, issuedChain } from "../contracts/acme-store.ts";

const root = mkdtempSync(join(tmpdir(), "gateway-acme-store-"));
t.teardown(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
function folder(): string {
  folders += 1;
  return join(root, String(folders));
}

acmeStoreContract("the store in a folder", () => {
  const directory = folder();
  return { open: (clock) => createDiskStore(directory, clock) };
});

t.test("nobody else on the machine can read keys", async (t) => {
  const directory = join(folder(), "acme", "ca");
  const store = createDiskStore(directory, manualClock());
  const { keyPem, certPem } = await issuedChain(["a.example"], Date.now());
  await store.account();
  await store.saveCertificate("s", keyPem, certPem);
  await store.savePendingOrder("s", { names: ["a.example"], url: "u", keyPem, wallMs: 1 });
  t.equal(statSync(directory).mode & 0o777, 0o700);
  const files = readdirSync(directory);
  t.same(files.sort(), ["account.json", "s.order", "s.pem"], "nothing is left aside");
  for (const file of files) t.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file);
});

t.test("a torn or changed file is a problem that names it, and the others are still used", async (t) => {
  const directory = folder();
  const store = createDiskStore(directory, manualClock());
  const nowMs = Date.now();
  const [one, two] = [await issuedChain(["a.example"], nowMs), await issuedChain(["b.example"], nowMs)];
  await store.saveCertificate("good", one.keyPem, one.certPem);
  await store.saveCertificate("torn", two.keyPem, two.certPem);
  const torn = join(directory, "torn.pem");
  const whole = readFileSync(torn, "utf8");
  for (const text of [
    whole.slice(0, 200),
    whole.slice(0, 700),
    whole.slice(0, -30),
    "",
    whole.replace(two.keyPem.trim(), one.keyPem.trim()),
    `${whole.slice(0, 400)}AAAA${whole.slice(404)}`,
  ]) {
    writeFileSync(torn, text);
    const { found, problems } = await store.certificates(nowMs);
    t.same(
      found.map(({ set }) => set),
      ["good"],
    );
    t.match(problems[0], { place: torn, remedy: /ordered anew/ });
    t.notMatch(JSON.stringify(problems), /BEGIN|MIG/, "no key in a message");
  }
  await store.account();
  const brokenKey = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----";
  for (const [file, read] of [
    ["account.json", () => store.account()],
    ["s.json", () => store.state("s")],
    ["s.order", () => store.pendingOrder("s")],
  ] as const) {
    for (const text of [
      ...["", "{", "[]", "null", '{"failures":-1}', '{"keyPem":1}', "\u0000".repeat(300)],
      '{"failures":1,"nextTryMs":1e300,"challenge":null}',
      JSON.stringify({ keyPem: brokenKey, url: "u", email: null, names: [], wallMs: 1 }),
    ]) {
      writeFileSync(join(directory, file), text);
      const answer = await read();
      t.match(
        answer,
        { ok: false, error: { place: join(directory, file), thing: /torn or changed/ } },
        `${file} ${text}`,
      );
      t.equal(readFileSync(join(directory, file), "utf8"), text, "reading does not overwrite it");
    }
  }
});

t.test(
  "a folder that cannot be written is told before an order",
  { skip: process.getuid?.() === 0 && "root may write anywhere" },
  async (t) => {
    const directory = folder();
    const store = createDiskStore(directory, manualClock());
    t.equal(await store.probe(), null);
    chmodSync(directory, 0o500);
    t.match(await store.probe(), { place: directory, thing: /cannot be used: EACCES/ });
  },
);

t.test("a file where the folder should be is a problem, not a crash", async (t) => {
  const directory = join(folder());
  writeFileSync(directory, "");
  const store = createDiskStore(join(directory, "acme"), manualClock());
  t.match(await store.probe(), { thing: /cannot be used: (ENOTDIR|EEXIST)/ });
  t.match(await store.account(), { ok: false });
  t.match(
    await store.saveState("s", {
      failures: 0,
      nextTryMs: 0,
      lastFailure: null,
      challenge: null,
      renewal: null,
    }),
    {
      thing: /cannot be used/,
    },
  );
});

t.test("a lock of a process that is gone is taken over at once", async (t) => {
  const directory = folder();
  const store = createDiskStore(directory, manualClock());
  await store.probe();
  const dead = spawnSync(process.execPath, [
    "-e",
    "console.log(require('fs').readlinkSync('/proc/self/ns/pid'))",
  ]);
  const pidSpace = dead.stdout.toString().trim();
  const holder = { id: "x", host: hostname(), pid: dead.pid, pidSpace, beat: 7 };
  writeFileSync(join(directory, "s.lock"), JSON.stringify(holder));
  t.equal(await store.lock("s").take(), true);
  await store.lock("s").release();
  writeFileSync(join(directory, "s.lock"), JSON.stringify({ ...holder, host: "another machine" }));
  t.equal(await store.lock("s").take(), false, "of another machine only the heartbeat is known");
  writeFileSync(join(directory, "s.lock"), JSON.stringify({ ...holder, boot: "another run" }));
  t.equal(await store.lock("s").take(), false, "a machine of the same name is another machine");
  writeFileSync(join(directory, "s.lock"), "torn");
  t.equal(await store.lock("s").take(), false, "who holds a torn one cannot be known either");
});

t.test("folders and files of authorities and sets do not collide", async (t) => {
  t.match(
    acmeDirectory("/c", "https://ca.example:14000/acme/web/directory"),
    /^\/c\/acme\/ca\.example_14000-[0-9a-f]{8}$/,
  );
  t.not(acmeDirectory("/c", "https://ca.example/a"), acmeDirectory("/c", "https://ca.example/b"));
  t.equal(
    setName(["b.example", "a.example"]).split("-").at(-1),
    setName(["a.example", "b.example"]).split("-").at(-1),
  );
  t.not(setName(["a.example"]), setName(["a.example", "b.example"]));
  t.match(setName(["*.example.com"]), /^_\.example\.com-[0-9a-f]{12}$/);
});

t.test("moments of renewal and of the next try", async (t) => {
  const dayMs = 86_400_000;
  t.equal(backOffMs(1, 0.5), 60_000);
  t.equal(backOffMs(4, 0.5), 480_000);
  t.equal(backOffMs(100, 0.5), dayMs);
  t.ok(backOffMs(1, 0) >= 54_000 && backOffMs(1, 1) <= 66_000);
  for (const days of [90, 45, 6]) {
    const at = renewalByLife(0, days * dayMs, 0.5) / (days * dayMs);
    t.ok(at > 0.6 && at < 0.667, `${days} days`);
  }
  t.equal(renewalInWindow({ startMs: 10, endMs: 20 }, null, 100, 0.5), 15);
  t.equal(renewalInWindow({ startMs: 10, endMs: 20 }, 12, 100, 0.5), 12, "the moment chosen before stays");
  t.equal(
    renewalInWindow({ startMs: 10, endMs: 20 }, 50, 100, 0),
    10,
    "moved by the authority: revoked, perhaps",
  );
  t.equal(renewalInWindow({ startMs: 10, endMs: 200 }, null, 30, 1), 30, "never behind the end");
  t.equal(sensibleTry(5, 0), 5);
  t.equal(sensibleTry(400 * dayMs, 0), 0, "written by a clock that was wrong");
  t.equal(expiresSoon(0, 90 * dayMs, 75 * dayMs), false);
  t.equal(expiresSoon(0, 90 * dayMs, 77 * dayMs), true);
  t.equal(expiresSoon(0, 6 * dayMs, 3 * dayMs), false, "six days are not always about to end");
  t.equal(expiresSoon(0, 6 * dayMs, 4.1 * dayMs), true);
  t.same(
    orderableNames(["Erp.Example.com", "localhost", "127.0.0.1", "[::1]", "a.localhost", "erp.example.com."]),
    {
      names: ["erp.example.com"],
      excluded: ["localhost", "127.0.0.1", "::1", "a.localhost"],
    },
  );
});

t.test("the renewal id is that of RFC 9773", async (t) => {
  // The example certificate of RFC 9773, appendix A.
  const pem = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----`;
  t.equal(renewalId(pem), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
});

t.test("a hello is read whole, in pieces, and never wrongly", async (t) => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const hello = await new Promise<Buffer>((resolve) => {
    server.once("connection", (socket) => socket.once("data", (data) => resolve(data)));
    const client = connectTls({
      host: "127.0.0.1",
      port,
      servername: "Erp.example.com",
      ALPNProtocols: ["acme-tls/1"],
      rejectUnauthorized: false,
    });
    client.on("error", () => {});
    t.teardown(() => client.destroy());
  });
  server.close();
  const read = { serverName: "erp.example.com", protocols: ["acme-tls/1"] };
  t.same(readClientHello(hello), read);
  t.same(readClientHello(Buffer.concat([hello, Buffer.from("more")])), read, "what follows is left alone");
  let wrong = 0;
  for (let length = 0; length < hello.length; length += 1) {
    if (readClientHello(hello.subarray(0, length)) !== "more") wrong += 1;
  }
  t.equal(wrong, 0, "each beginning asks for more");
  // The same message in records of 100 bytes.
  const body = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < body.length; at += 100) {
    const part = body.subarray(at, at + 100);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  t.same(readClientHello(Buffer.concat(records)), read);
  t.equal(readClientHello(Buffer.from("GET / HTTP/1.1\r\n\r\n")), null);
  t.equal(readClientHello(Buffer.from([22, 3, 1, 0, 0])), null, "an empty record");
  t.equal(readClientHello(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])), null, "another message");
  t.equal(readClientHello(Buffer.from([22, 3, 1, 0, 4, 1, 255, 255, 255])), null, "larger than any hello");
  let thrown = 0;
  for (let at = 5; at < hello.length; at += 1) {
    const damaged = Buffer.from(hello);
    damaged[at] = 255;
    try {
      readClientHello(damaged);
    } catch {
      thrown += 1;
    }
  }
  t.equal(thrown, 0, "damage never throws");
});
