import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import t from "tap";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { startTestGateway, type TestGateway, type TestGatewayOptions } from "./gateway.ts";
import { type Pebble, type PebbleOptions, pebbleMissing, startPebble } from "./pebble.ts";
import { freePorts } from "./ports.ts";

const missing = pebbleMissing();
/** Options of a test that needs pebble. */
export const withPebble = missing === null ? {} : { skip: missing };

/** A temporary folder of this test file. */
export const folder = mkdtempSync(join(tmpdir(), "gateway-acme-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
/** A path in it that nothing has used yet. */
export function fresh(suffix: string): string {
  files += 1;
  return join(folder, `${files}${suffix}`);
}

export interface Owner {
  teardown(work: () => unknown): unknown;
}

export interface Pair {
  readonly pebble: Pebble;
  readonly gateway: TestGateway;
  /** Settings of the gateway, to start another beside or after it. */
  readonly env: Record<string, string>;
}

/** A gateway with TLS_MODE=acme on ports of its own, and a pebble that validates on them. */
export async function startPair(
  t: Owner,
  pebbleOptions: Partial<PebbleOptions> = {},
  gatewayOptions: TestGatewayOptions = {},
  prepare: (pebble: Pebble) => Promise<Readonly<Record<string, string>>> = async () => ({}),
): Promise<Pair> {
  const [httpPort = 0, tlsPort = 0] = await freePorts(2);
  const pebble = await startPebble({ httpPort, tlsPort, ...pebbleOptions });
  t.teardown(() => pebble.close());
  const env: Record<string, string> = {
    TLS_MODE: "acme",
    ACME_EMAIL: "it@odoo.test",
    ACME_DIRECTORY: pebble.directoryUrl,
    ACME_CA_FILE: pebble.caFile,
    HTTP_LISTEN: `127.0.0.1:${httpPort}`,
    HTTPS_LISTEN: `127.0.0.1:${tlsPort}`,
    CERTS_DIR: fresh("certs"),
    ...gatewayOptions.env,
    ...(await prepare(pebble)),
  };
  const gateway = await startTestGateway({ ...gatewayOptions, env });
  t.teardown(() => gateway.close());
  return { pebble, gateway, env };
}

/** The next word about the certificate, past or future, behind those seen before. */
export function outcome(gateway: TestGateway, skip = 0): Promise<GatewayEvent> {
  const isOutcome = ({ type }: GatewayEvent) => /^certificate-(ordered|renewed|failed)$/.test(type);
  let seen = 0;
  return gateway.event((event) => {
    if (!isOutcome(event)) return false;
    seen += 1;
    return seen > skip;
  });
}

/** Names of the certificate a client that trusts `ca` alone is shown; or why it refuses. */
export function shown(port: number, name: string, ca: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", port, servername: name, ca });
    socket.on("error", (error) => resolve(`refused: ${error.message}`));
    socket.on("secureConnect", () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? "");
      socket.destroy();
    });
  });
}

/** Orders that were placed so far. */
export const orders = (pebble: Pebble) => pebble.log().match(/POST \/order-plz /g)?.length ?? 0;

/** A hook in the words of pebble's name server; `more` runs after the record is set or taken away. */
export function dnsHook(pebble: Pebble, more = ""): string {
  const path = fresh(".mjs");
  writeFileSync(
    path,
    `#!${process.execPath}
const [action, name, value] = process.argv.slice(2);
const path = action === "add" ? "set-txt" : "clear-txt";
const body = JSON.stringify({ host: name + ".", value });
const answer = await fetch("http://127.0.0.1:${pebble.controlPort}/" + path, { method: "POST", body });
if (!answer.ok) process.exit(1);
${more}
`,
  );
  chmodSync(path, 0o755);
  return path;
}
