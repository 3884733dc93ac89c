import { execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority, makeKeyPem, makeServerCertificate } from "../../src/tls/x509.ts";
import { freePorts } from "./ports.ts";

/** Debian's PostgreSQL on a free port of the loopback and on a socket, with TLS. */
export interface Postgres {
  readonly port: number;
  /** Folder of the socket. */
  readonly folder: string;
  /** PEM file of the authority that signed the server's certificate. */
  readonly caFile: string;
  /** Statements as superuser. */
  run(sql: string, database?: string): void;
  close(): Promise<void>;
}

const hba = `
local all postgres trust
hostssl all by_md5 127.0.0.1/32 md5
host all by_password 127.0.0.1/32 password
hostssl all all 127.0.0.1/32 scram-sha-256
hostnossl all plain 127.0.0.1/32 scram-sha-256
`;

function programs(): string | null {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = versions.map((version) => join(root, version, "bin"));
  return (
    folders.find((folder) =>
      ["initdb", "postgres", "psql"].every((name) => existsSync(join(folder, name))),
    ) ?? null
  );
}

/** Why the tests with PostgreSQL cannot run here; null: they can. In CI a missing PostgreSQL is a failure. */
export function postgresMissing(): string | null {
  if (programs() !== null) return null;
  const why = "PostgreSQL is not installed (Debian: apt-get install postgresql): no server is audited here";
  if (process.env["CI"] === "true") throw new Error(why);
  process.stderr.write(`SKIPPED: ${why}\n`);
  return why;
}

/** The system user PostgreSQL runs as: it refuses root. */
function account(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string): number => {
    for (const name of ["postgres", "nobody"])
      try {
        return Number(execFileSync("id", [flag, name], { encoding: "utf8" }));
      } catch {}
    return 65_534;
  };
  return { uid: id("-u"), gid: id("-g") };
}

export async function startPostgres(): Promise<Postgres> {
  const bin = programs() ?? "";
  const as = account();
  const folder = mkdtempSync("/tmp/odoo-gateway-pg-");
  if (as !== null) chownSync(folder, as.uid, as.gid);
  const data = join(folder, "data");
  const options = {
    ...(as ?? {}),
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
    stdio: "ignore" as const,
    cwd: folder,
  };
  execFileSync(join(bin, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], options);
  const file = (name: string, text: string) => {
    writeFileSync(join(data, name), text, { mode: 0o600 });
    if (as !== null) chownSync(join(data, name), as.uid, as.gid);
  };
  const now = Date.now();
  const period = { notBeforeMs: now - 60_000, notAfterMs: now + 86_400_000 };
  const authorityKeyPem = makeKeyPem();
  const authorityPem = await makeAuthority({ keyPem: authorityKeyPem, commonName: "a test", ...period });
  const keyPem = makeKeyPem();
  file("server.key", keyPem);
  file(
    "server.crt",
    await makeServerCertificate({
      keyPem,
      names: ["localhost", "127.0.0.1"],
      authorityKeyPem,
      authorityPem,
      ...period,
    }),
  );
  file("pg_hba.conf", hba);
  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, authorityPem);
  const [port = 0] = await freePorts(1);
  const server = spawn(
    join(bin, "postgres"),
    [
      "-D",
      data,
      "-p",
      String(port),
      "-k",
      folder,
      "-c",
      "listen_addresses=127.0.0.1",
      "-c",
      "fsync=off",
      "-c",
      "ssl=on",
      "-c",
      "log_connections=on",
      "-c",
      "log_disconnections=on",
      "-c",
      "log_min_duration_statement=1000",
    ],
    { ...options, stdio: ["ignore", "ignore", "pipe"] },
  );
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  let said = "";
  await new Promise<void>((resolve, reject) => {
    server.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
      if (said.includes("ready to accept connections")) resolve();
    });
    server.once("exit", () => reject(new Error(`PostgreSQL did not start: ${said}`)));
  });
  return {
    port,
    folder,
    caFile,
    run: (sql, database = "postgres") => {
      execFileSync(
        join(bin, "psql"),
        [
          "-X",
          "-q",
          "-v",
          "ON_ERROR_STOP=1",
          "-h",
          folder,
          "-p",
          String(port),
          "-U",
          "postgres",
          "-d",
          database,
          "-c",
          sql,
        ],
        { stdio: ["ignore", "ignore", "pipe"] },
      );
    },
    close: async () => {
      server.kill("SIGINT");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
