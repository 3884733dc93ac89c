import { execFileSync } from "node:child_process";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ConnectionOptions,
  connect,
  createServer,
  getCiphers,
  type Server,
  type TLSSocket,
} from "node:tls";
import t from "tap";
import type { HostName } from "../../src/base/brands.ts";
import { problemLine } from "../../src/base/problem.ts";
import { loadCertificateFiles } from "../../src/tls/certificate.ts";
import { keyGroups, rotateTicketKeys, tlsOptions } from "../../src/tls/context.ts";
import { createTlsFront } from "../../src/tls/front.ts";
import { loadTls, type TlsMaterial, type TlsSettings } from "../../src/tls/load.ts";
import { alternativeNames, certificateName, coversName } from "../../src/tls/names.ts";
import { createSelector } from "../../src/tls/select.ts";
import { makeAuthority, makeKeyPem, makeServerCertificate } from "../../src/tls/x509.ts";

const dayMs = 86_400_000;
const nowMs = Date.now();
const directory = mkdtempSync(join(tmpdir(), "gateway-tls-"));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
function file(text: string, mode = 0o600): string {
  files += 1;
  const path = join(directory, `${files}.pem`);
  writeFileSync(path, text, { mode });
  return path;
}

async function chain(names: readonly string[], fromMs = nowMs - dayMs, toMs = nowMs + 60 * dayMs) {
  const authorityKey = makeKeyPem();
  const key = makeKeyPem();
  const life = { notBeforeMs: fromMs, notAfterMs: toMs };
  const authority = await makeAuthority({ keyPem: authorityKey, commonName: `test ${names[0]}`, ...life });
  const leaf = await makeServerCertificate({
    authorityPem: authority,
    authorityKeyPem: authorityKey,
    keyPem: key,
    names,
    ...life,
  });
  return { leaf, key, authority, authorityKey };
}

function settings(certFile: string, keyFile: string, ...hosts: string[]): TlsSettings {
  const served = (host: string) => ({ host: host as HostName, port: null });
  return {
    tlsMode: "files",
    tlsCertFile: certFile,
    tlsKeyFile: keyFile,
    acme: null,
    certsDir: directory,
    domains: hosts.map(served),
    redirectDomains: [],
  };
}

async function material(from: TlsSettings): Promise<TlsMaterial> {
  const loaded = await loadTls(from, Date.now());
  if (!loaded.ok) throw new Error(loaded.error.map(problemLine).join("\n"));
  return loaded.value;
}

async function listening(server: Server): Promise<number> {
  // Read, so that a client's leaving is seen and the server can close.
  server.on("secureConnection", (socket) => socket.on("error", () => {}).resume());
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** What `see` reads of a finished handshake, or the error's code. */
function handshake(
  port: number,
  options: ConnectionOptions,
  see: (socket: TLSSocket) => string,
): Promise<string> {
  return new Promise((resolve) => {
    let socket: TLSSocket;
    try {
      socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
    } catch (error) {
      // The client's own OpenSSL does not know the suite or group.
      return void resolve(`refused by the client: ${String(error)}`);
    }
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(`refused ${error.code ?? error.message}`));
    socket.on("secureConnect", () => {
      resolve(see(socket));
      socket.destroy();
    });
  });
}

const serialOf = (socket: TLSSocket) => socket.getPeerCertificate().serialNumber.toLowerCase();

t.test("every mistake in certificate files is told with its place and remedy", async (t) => {
  const good = await chain(["erp.example.com", "192.0.2.7"]);
  const other = await chain(["other.example.com"]);
  const say = (
    cert: string,
    key: string,
    wallMs = nowMs,
    served: readonly string[] = ["erp.example.com"],
  ) => {
    const loaded = loadCertificateFiles(cert, key, served, wallMs);
    return loaded.ok
      ? `warnings: ${loaded.value.warnings.map(problemLine).join("\n")}`
      : `problems: ${loaded.error.map(problemLine).join("\n")}`;
  };
  const full = file(good.leaf + good.authority);
  const key = file(good.key);
  t.equal(say(full, key), "warnings: ");
  const loaded = loadCertificateFiles(full, key, ["erp.example.com", "[::1]", "192.0.2.7"], nowMs);
  t.ok(loaded.ok);
  if (loaded.ok) {
    t.same(loaded.value.names, ["erp.example.com", "192.0.2.7"]);
    t.equal(loaded.value.serial, new X509Certificate(good.leaf).serialNumber.toLowerCase());
    t.equal(loaded.value.issuer, "CN=test erp.example.com");
    t.equal(loaded.value.notAfterMs, Math.floor((nowMs + 60 * dayMs) / 1000) * 1000);
    t.match(
      loaded.value.warnings.map(problemLine).join(),
      /does not cover \[::1\]; it is for erp\.example\.com, 192\.0\.2\.7;/,
    );
  }
  t.match(
    say(join(directory, "none.pem"), join(directory, "none.key")),
    /none\.pem cannot be read: ENOENT[\s\S]*none\.key cannot be read/,
    "both at once",
  );
  t.match(
    say(full, file(other.key)),
    /does not fit the first certificate of .*; give the key of CN=erp\.example\.com/,
  );
  t.match(
    say(file(good.authority + good.leaf), key),
    /not issued by the next.*; put the own certificate first/,
  );
  t.match(
    say(file(good.leaf + other.authority), key),
    /certificate 1 .* is not issued by the next \(CN=test other\.example\.com\)/,
  );
  t.match(say(full, key, nowMs + 61 * dayMs), /problems: .*expired on 2/);
  t.match(
    say(full, key, nowMs + 55 * dayMs),
    /warnings: .*expires on 2.*; renew it; a replaced file is noticed/,
  );
  t.match(say(full, key, nowMs - 3 * dayMs), /problems: .*not valid before .*; check this machine's clock/);
  t.match(say(file(good.leaf), key), /warnings: .*holds one certificate and not its issuer.*fullchain\.pem/);
  t.match(
    say(file(good.authority), file(good.authorityKey)),
    /warnings: .*does not cover erp\.example\.com; it is for no name at all/,
    "a self-signed one misses no issuer",
  );
  t.match(say(file("hello"), key), /holds no PEM certificate/);
  t.match(say(file(good.leaf.slice(0, 300)), key), /certificate 1 cannot be read: torn or changed/);
  t.match(say(file(good.leaf + "x".repeat(1_100_000)), key), /is larger than 1048576 bytes/);
  const pipe = join(directory, "pipe.pem");
  execFileSync("mkfifo", [pipe]);
  t.match(
    say(pipe, key),
    /pipe\.pem is no regular file; give a PEM file/,
    "nobody waits for a pipe's other end",
  );
  t.match(say(file(good.authority.repeat(11)), key), /holds 11 certificates/);
  t.match(say(directory, key), /is no regular file; give a PEM file/);
  t.match(
    say(full, file("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
    /holds no private key/,
  );
  const locked = createPrivateKey(good.key).export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "x",
  });
  t.match(say(full, file(locked.toString())), /is encrypted with a password; nobody is there/);
  for (const [weak, says] of [
    [generateKeyPairSync("rsa", { modulusLength: 1024 }), /is RSA with 1024 bits; use EC P-256/],
    [generateKeyPairSync("ec", { namedCurve: "secp521r1" }), /is ec secp521r1/],
    [generateKeyPairSync("ed25519"), /is ed25519; use/],
  ] as const) {
    t.match(say(full, file(weak.privateKey.export({ type: "pkcs8", format: "pem" }).toString())), says);
  }
  chmodSync(key, 0o604);
  t.match(say(full, key), /warnings: .*is open to every user of this machine \(mode 604\); chmod 600/);
  chmodSync(key, 0o640);
  t.equal(say(full, key), "warnings: ", "a group of its own is fine");
  t.notMatch(say(full, file(other.key)), /PRIVATE KEY/, "no message shows a key");
  const missing = await loadTls({ ...settings("", ""), tlsCertFile: null, tlsKeyFile: null }, nowMs);
  t.match(
    missing.ok ? "" : missing.error.map(problemLine).join("\n"),
    /TLS_CERT_FILE is not set[\s\S]*TLS_KEY_FILE is not set/,
  );
});

// Written out again from mozilla/ssl-config-generator guidelines/6.0.json, so that a change of ours is noticed.
const guideline = {
  tls13: ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],
  ecdsa: ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  rsa: ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"],
  groups: ["X25519", "prime256v1", "secp384r1"],
};

t.test("only the suites, versions and groups of the guideline are negotiated", async (t) => {
  const ec = await chain(["localhost"]);
  const port = await listening(createServer({ ...tlsOptions(), cert: ec.leaf, key: ec.key }));
  const accepted = async (at: number) => {
    const found: string[] = [];
    for (const name of getCiphers()
      .filter((name) => !name.startsWith("tls_"))
      .map((name) => name.toUpperCase())) {
      const options: ConnectionOptions = { maxVersion: "TLSv1.2", ciphers: `${name}:@SECLEVEL=0` };
      const answer = await handshake(at, options, (socket) => socket.getCipher().name);
      if (!answer.startsWith("refused")) found.push(answer);
    }
    return [...new Set(found)].sort();
  };
  t.same(await accepted(port), guideline.ecdsa);
  const has13: string[] = [];
  for (const name of [...guideline.tls13, "TLS_AES_128_CCM_SHA256"]) {
    const answer = await handshake(
      port,
      { minVersion: "TLSv1.3", ciphers: name },
      (socket) => socket.getCipher().name,
    );
    if (!answer.startsWith("refused")) has13.push(answer);
  }
  t.same(has13, guideline.tls13);
  for (const version of ["TLSv1", "TLSv1.1"] as const) {
    const old: ConnectionOptions = {
      minVersion: version,
      maxVersion: version,
      ciphers: "DEFAULT@SECLEVEL=0",
    };
    t.match(await handshake(port, old, () => "accepted"), /^refused/, version);
  }
  for (const group of ["X25519MLKEM768", ...guideline.groups, "secp521r1", "X448"]) {
    const answer = await handshake(port, { ecdhCurve: group }, () => "accepted");
    if (group === "X25519MLKEM768" ? keyGroups.startsWith(group) : guideline.groups.includes(group))
      t.equal(answer, "accepted", group);
    else t.match(answer, /^refused/, group);
  }
  const isModern = Number(process.versions.node.split(".")[0]) >= 24;
  if (isModern) t.match(keyGroups, /^X25519MLKEM768:/, "post-quantum hybrid first");

  const rsaCert = join(directory, "rsa.pem");
  const rsaKey = join(directory, "rsa.key");
  try {
    const args = [
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=rsa",
      "-addext",
      "subjectAltName=DNS:localhost",
    ];
    execFileSync("openssl", [...args, "-out", rsaCert, "-keyout", rsaKey], { stdio: "ignore" });
  } catch {
    t.comment("openssl is not installed: RSA suites and renegotiation not tried");
    return;
  }
  const loaded = await material(settings(rsaCert, rsaKey, "localhost"));
  const rsaPort = await listening(createServer(createTlsFront(loaded).options));
  t.same(await accepted(rsaPort), guideline.rsa);
  const renegotiation = await new Promise<string>((resolve) => {
    const socket = connect({
      host: "127.0.0.1",
      port: rsaPort,
      rejectUnauthorized: false,
      maxVersion: "TLSv1.2",
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
      socket.destroy();
    });
    socket.on("secureConnect", () => {
      socket.renegotiate({}, (error) => {
        resolve(error === null ? "renegotiated" : String(error));
        socket.destroy();
      });
    });
    socket.on("close", () => resolve("closed"));
  });
  t.match(renegotiation, /renegotiation/i, "refused");
  t.not(renegotiation, "renegotiated");
});

t.test("the name in the hello chooses: exact, wildcard, else the default; never a throw", async (t) => {
  const a = await material(settings(...(await pairFiles(["a.example.com", "127.0.0.1"])), "a.example.com"));
  const b = await material(settings(...(await pairFiles(["*.example.com"])), "b.example.com"));
  const c = await material(settings(...(await pairFiles(["c.test"])), "c.test"));
  const byName = new Map([...a.contexts.byName, ...b.contexts.byName]);
  const selector = createSelector({ default: c.contexts.default, byName });
  const server = createServer({
    ...tlsOptions(),
    cert: c.fallback.certPem,
    key: c.fallback.keyPem,
    SNICallback: selector.callback,
  });
  const port = await listening(server);
  const seen = (servername: string) => handshake(port, { servername }, serialOf);
  t.equal(await seen("a.example.com"), a.fallback.serial, "exact before wildcard");
  t.equal(await seen("A.Example.COM"), a.fallback.serial, "case does not matter");
  t.equal(await seen("a.example.com."), a.fallback.serial, "nor a trailing dot");
  t.equal(await seen("x.example.com"), b.fallback.serial, "wildcard");
  t.equal(await seen("x.y.example.com"), c.fallback.serial, "a wildcard stands for one label");
  t.equal(await seen("example.com"), c.fallback.serial, "and not for none");
  t.equal(await seen("unknown.test"), c.fallback.serial, "default");
  t.equal(await seen(""), c.fallback.serial, "no name at all");
  for (const odd of [
    "",
    ".",
    "*",
    "*.example.com",
    "[",
    "[]",
    "[::zz]",
    "\u0000",
    "__proto__",
    "a".repeat(70_000),
  ]) {
    let context: unknown = null;
    selector.callback(odd, (error, chosen) => {
      t.equal(error, null);
      context = chosen;
    });
    t.ok(context, `an answer in the same turn for ${JSON.stringify(odd.slice(0, 20))}`);
  }
});

t.test(
  "a reload changes the certificate for new handshakes, with and without a name, and keeps open ones",
  async (t) => {
    const first = await material(settings(...(await pairFiles(["localhost"])), "localhost"));
    const second = await material(settings(...(await pairFiles(["localhost"])), "localhost"));
    const front = createTlsFront(first);
    const server = createServer(front.options);
    const port = await listening(server);
    front.attach(server);
    t.teardown(() => front.close());
    server.on("secureConnection", (socket) => socket.on("data", (chunk) => socket.write(chunk)));
    const open = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, servername: "localhost" });
    await once(open, "secureConnect");
    front.swap(second);
    open.write("still here");
    const [echo] = (await once(open, "data")) as [Buffer];
    t.equal(echo.toString(), "still here");
    open.destroy();
    t.equal(await handshake(port, { servername: "localhost" }, serialOf), second.fallback.serial);
    t.equal(await handshake(port, { servername: "" }, serialOf), second.fallback.serial);
    t.match(
      await handshake(
        port,
        { maxVersion: "TLSv1.1", minVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" },
        () => "ok",
      ),
      /^refused/,
      "the options stay",
    );
  },
);

t.test("a session resumes by its ticket until the ticket keys are rotated", async (t) => {
  const one = await material(settings(...(await pairFiles(["localhost"])), "localhost"));
  const front = createTlsFront(one);
  const server = createServer(front.options);
  const port = await listening(server);
  front.attach(server);
  t.teardown(() => front.close());
  const options = { maxVersion: "TLSv1.2", servername: "localhost" } as const;
  let session: Buffer | undefined;
  const full = await handshake(port, options, (socket) => {
    session = socket.getSession();
    return String(socket.isSessionReused());
  });
  t.equal(full, "false");
  const again = () =>
    handshake(port, { ...options, ...(session && { session }) }, (socket) =>
      String(socket.isSessionReused()),
    );
  t.equal(await again(), "true");
  front.swap(one);
  t.equal(await again(), "true", "a reload keeps the keys");
  const before = server.getTicketKeys();
  const rotated = new Promise<void>((resolve) => {
    const set = server.setTicketKeys.bind(server);
    server.setTicketKeys = (keys) => {
      set(keys);
      resolve();
    };
  });
  const keepsAlive = setInterval(() => {}, 1_000);
  const stop = rotateTicketKeys(server, 1);
  await rotated;
  stop();
  clearInterval(keepsAlive);
  t.notOk(server.getTicketKeys().equals(before));
  t.equal(await again(), "false");
});

t.test("names have one spelling, and a quoted entry cannot smuggle one in", async (t) => {
  t.equal(certificateName("ERP.Example.com."), "erp.example.com");
  t.equal(certificateName("[0:0::1]"), "::1");
  t.same(alternativeNames("DNS:A.example.com, IP Address:0:0:0:0:0:0:0:1, URI:http://x, DNS:b"), [
    "a.example.com",
    "::1",
    "b",
  ]);
  t.same(alternativeNames('DNS:"good.com, DNS:evil.com", DNS:c'), ["c"]);
  t.same(alternativeNames(undefined), []);
  t.ok(coversName(["*.example.com"], "Shop.example.com"));
  t.notOk(coversName(["*.example.com"], "a.b.example.com"));
  t.notOk(coversName(["*.0.0.1"], "127.0.0.1"), "no wildcard for an address");
  t.notOk(coversName(["*."], "localhost"));
});

async function pairFiles(names: readonly string[]): Promise<[cert: string, key: string]> {
  const made = await chain(names);
  return [file(made.leaf + made.authority), file(made.key)];
}
