import { execFile, execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why the tests with OpenSSL cannot run here; null: they can. In CI a missing openssl is a failure. */
export function opensslMissing(): string | null {
  if (spawnSync("openssl", ["version"]).status === 0) return null;
  const why = "openssl is not installed: nothing of OCSP is tested here";
  if (process.env["CI"] === "true") throw new Error(why);
  process.stderr.write(`SKIPPED: ${why}\n`);
  return why;
}

/** How the responder behaves: as it should, or silent, or with an error page, a flood, a part, or somebody else's signature. */
export type Mood = "good" | "silent" | "error" | "endless" | "torn" | "stranger" | "server";

/** An authority made with openssl, and its OCSP responder: openssl's own answers behind a listener on the loopback. */
export interface OcspAuthority {
  readonly caFile: string;
  readonly url: string;
  /** Questions that came so far. */
  asked(): number;
  mood: Mood;
  /** Minutes an answer holds; null: it names no end. */
  minutes: number | null;
  /** Sign with a responder's own certificate (true) or the authority's key (false). */
  isDelegated: boolean;
  /** A certificate for names; `extensions` as in openssl's configuration. Answers its chain and key files. */
  issue(names: readonly string[], extensions?: readonly string[]): { certFile: string; keyFile: string };
  /** From now on every certificate of this authority is revoked. */
  revoke(): void;
  /** Resolves when a question has come and is not answered (mood `silent`). */
  hanging(): Promise<void>;
  close(): void;
}

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

export async function startOcspAuthority(): Promise<OcspAuthority> {
  const folder = mkdtempSync(join(tmpdir(), "gateway-ocsp-"));
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  const authority = (name: string) => {
    const ca = "basicConstraints=critical,CA:TRUE";
    // What the authority says of itself must not be taken for what it says of a server.
    const own = `authorityInfoAccess=OCSP;URI:http://127.0.0.1:${port}/of-the-authority`;
    const files = ["-keyout", at(`${name}.key`), "-out", at(`${name}.pem`)];
    openssl(
      ...["req", "-x509", ...curve, "-days", "9", "-subj", `/CN=${name}`, "-addext", ca, "-addext", own],
      ...files,
    );
  };
  let serial = 0x8000_0000;
  let isRevoked = false;
  const sign = (name: string, subject: string, extensions: readonly string[]) => {
    serial += 1;
    writeFileSync(at(`${name}.ext`), extensions.join("\n"));
    openssl(
      "req",
      "-new",
      ...curve,
      "-subj",
      subject,
      "-keyout",
      at(`${name}.key`),
      "-out",
      at(`${name}.csr`),
    );
    openssl(
      ...[
        "x509",
        "-req",
        "-days",
        "8",
        "-in",
        at(`${name}.csr`),
        "-CA",
        at("ca.pem"),
        "-CAkey",
        at("ca.key"),
      ],
      ...[
        "-set_serial",
        `0x${serial.toString(16)}`,
        "-extfile",
        at(`${name}.ext`),
        "-out",
        at(`${name}.pem`),
      ],
    );
    issued.push(`0${serial.toString(16).toUpperCase()}`.slice(-8));
  };
  const issued: string[] = [];
  const waiting: (() => void)[] = [];
  let hangs = 0;
  let asked = 0;

  /** openssl as the responder: reads the question, looks into its index, signs. */
  const answer = (question: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      asked += 1;
      const number = asked;
      writeFileSync(at(`${number}.req`), question);
      const lines = issued.map((one) =>
        isRevoked
          ? `R\t301231235959Z\t260101000000Z\t${one}\tunknown\t/CN=${one}\n`
          : `V\t301231235959Z\t\t${one}\tunknown\t/CN=${one}\n`,
      );
      writeFileSync(at("index.txt"), lines.join(""));
      const isOther = made.mood === "stranger" || made.mood === "server";
      const signer = isOther ? made.mood : made.isDelegated ? "responder" : "ca";
      const end = made.minutes === null ? [] : ["-nmin", String(made.minutes)];
      execFile(
        "openssl",
        [
          ...["ocsp", "-index", at("index.txt"), "-CA", at("ca.pem"), ...end],
          ...["-rsigner", at(`${signer}.pem`), "-rkey", at(`${signer}.key`)],
          ...["-reqin", at(`${number}.req`), "-respout", at(`${number}.resp`)],
        ],
        (error) => (error === null ? resolve(readFileSync(at(`${number}.resp`))) : reject(error)),
      );
    });
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      if (made.mood === "silent") {
        asked += 1;
        hangs += 1;
        for (const resolve of waiting.splice(0)) resolve();
        return;
      }
      if (made.mood === "error") {
        asked += 1;
        response.statusCode = 503;
        return void response.end("<html>maintenance</html>");
      }
      if (made.mood === "endless") {
        asked += 1;
        return void response.end(Buffer.alloc(1_000_000));
      }
      answer(Buffer.concat(parts)).then(
        (bytes) => response.end(made.mood === "torn" ? bytes.subarray(0, bytes.length - 9) : bytes),
        () => response.destroy(),
      );
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const made: OcspAuthority = {
    caFile: at("ca.pem"),
    url: `http://127.0.0.1:${port}/ocsp`,
    mood: "good",
    minutes: 60,
    isDelegated: false,
    asked: () => asked,
    issue(names, extensions = [`authorityInfoAccess=OCSP;URI:http://127.0.0.1:${port}/ocsp`]) {
      const name = `leaf${issued.length}`;
      const san = `subjectAltName=${names.map((one) => `DNS:${one}`).join(",")}`;
      sign(name, `/CN=${names[0]}`, [san, ...extensions]);
      writeFileSync(
        at(`${name}.chain`),
        readFileSync(at(`${name}.pem`), "utf8") + readFileSync(at("ca.pem"), "utf8"),
      );
      return { certFile: at(`${name}.chain`), keyFile: at(`${name}.key`) };
    },
    revoke() {
      isRevoked = true;
    },
    hanging: () => (hangs > 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    close() {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  authority("ca");
  authority("stranger");
  sign("responder", "/CN=responder", ["extendedKeyUsage=OCSPSigning"]);
  sign("server", "/CN=server", ["extendedKeyUsage=serverAuth"]);
  return made;
}
