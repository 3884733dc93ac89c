import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanText } from "../base/clean.ts";
import type { Settings } from "../settings/settings.ts";
import { type InventoryEntry, takeInventory } from "../tls/inventory.ts";
import { howToTrust } from "../tls/trust.ts";
import { printProblems, printWarnings, processSettings } from "./settings.ts";

const dayMs = 86_400_000;
/** A hundred names, or what an authority said of them. */
const lineLengthMax = 10_000;

/** `odoo-gateway certs [ca]`: what certificates there are, or the local CA; the exit status. */
export async function certs(args: readonly string[]): Promise<number> {
  const [what, ...more] = args;
  if ((what !== undefined && what !== "ca") || more.length > 0) {
    process.stderr.write(`odoo-gateway certs takes "ca" or nothing, but got "${args.join(" ")}"\n`);
    return 2;
  }
  const loaded = processSettings();
  if (!loaded.ok) {
    printProblems(loaded.error);
    return 1;
  }
  return what === "ca" ? printCa(loaded.value.settings) : await list(loaded.value.settings);
}

async function list(settings: Settings): Promise<number> {
  const nowMs = Date.now();
  const { entries, problems } = await takeInventory(settings, nowMs);
  process.stdout.write(entries.map((entry) => text(entry, nowMs)).join("\n"));
  printWarnings(problems);
  return entries.every(({ certificate }) => certificate !== null) ? 0 : 1;
}

function text(entry: InventoryEntry, nowMs: number): string {
  const { names, certificate, source, renewAtMs, renewalWindow, lastFailure, nextTryMs } = entry;
  const lines = [names.join(", "), `  from          ${source}`];
  if (certificate === null) {
    // A file that is there and of no use (expired, for another key) is no missing one; the warning below says why.
    lines.push(`  certificate   ${existsSync(source) ? "cannot be used" : "none yet"}`);
  } else {
    const unplanned = source.startsWith("https://") ? "not planned yet" : "by whoever made the files";
    const asked =
      renewalWindow === undefined
        ? ""
        : `, as the authority asks: ${moment(renewalWindow.startMs)} to ${moment(renewalWindow.endMs)}`;
    const days = Math.floor((certificate.notAfterMs - nowMs) / dayMs);
    lines.push(
      `  issuer        ${certificate.issuer}`,
      `  valid until   ${moment(certificate.notAfterMs)}, ${days} ${days === 1 ? "day" : "days"} left`,
      `  next renewal  ${renewAtMs === null ? unplanned : moment(renewAtMs) + asked}`,
    );
  }
  lines.push(
    `  last failure  ${lastFailure === null ? "none" : `${moment(lastFailure.wallMs)}: ${lastFailure.detail}`}`,
  );
  if (nextTryMs !== null) lines.push(`  next try      ${moment(nextTryMs)}`);
  // An issuer's name, and what an authority or a hook said, are from outside.
  return `${lines.map((line) => cleanText(line.replaceAll(/\s*[\r\n\t]\s*/g, " "), lineLengthMax)).join("\n")}\n`;
}

/** The certificate to standard output, so that it can be sent to a file; how to trust it to standard error. */
function printCa(settings: Settings): number {
  const path = join(settings.certsDir, "local-ca.pem");
  if (settings.tlsMode !== "local") {
    process.stderr.write(`TLS_MODE is ${settings.tlsMode}: the local CA is not what browsers are to trust\n`);
    return 1;
  }
  if (!existsSync(path)) {
    process.stderr.write(`${path} does not exist yet: it is made when the gateway starts\n`);
    return 1;
  }
  process.stdout.write(readFileSync(path, "utf8"));
  process.stderr.write(`\nThis is ${path}. To make a machine trust it:\n`);
  const [first] = settings.domains;
  const site = `https://${first?.host ?? "localhost"}:${first?.port ?? settings.httpsListen.port}`;
  for (const line of howToTrust(path, site)) process.stderr.write(`  ${line}\n`);
  return 0;
}

function moment(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
