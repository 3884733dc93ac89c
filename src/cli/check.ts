import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { parseArgs } from "node:util";
import { systemClock } from "../base/clock.ts";
import { parseIp } from "../base/ip.ts";
import { packageRoot } from "../base/package-root.ts";
import { err, ok, type Result } from "../base/result.ts";
import { parseDurationMs } from "../base/units.ts";
import { outsideChecks } from "../check/catalogue.ts";
import { type CheckOptions, checkSite } from "../check/run.ts";
import { readAddress, readTarget } from "../check/target.ts";
import { readOutputOptions } from "../report/options.ts";
import { selectIds } from "../report/select.ts";
import { readEarlier, withChanges } from "../report/since.ts";
import { deliver, listText, processTerminal, type Terminal } from "../report/write.ts";

/** Largest file of authorities that is read. */
const authoritiesBytesMax = 1024 * 1024;
/** Longest `--timeout`. */
const timeoutMsMax = 600_000;

/** `odoo-gateway check URL`: the outside view. 0 nothing fails, 1 something does, 2 not understood or nothing to look at. */
export async function check(
  args: readonly string[],
  terminal: Terminal = processTerminal(),
): Promise<number> {
  const refuse = (why: string) => {
    terminal.error(`${why}\nsee: odoo-gateway check --help\n`);
    return 2;
  };
  const shared = readOutputOptions(args);
  if (!shared.ok) return refuse(shared.error);
  const { output, rest } = shared.value;
  if (output.list) {
    terminal.out(listText(outsideChecks));
    return 0;
  }
  const ids = selectIds(
    outsideChecks.map(({ id }) => id),
    output.selection,
  );
  if (!ids.ok) return refuse(ids.error);
  const options = readOptions(rest, ids.value);
  if (!options.ok) return refuse(options.error);
  const { from } = options.value;
  if (from !== null && !(await isOurs(from))) return refuse(`--from "${from}" is no address of this machine`);
  const earlier = output.since === null ? ok(null) : readEarlier(output.since, "check");
  if (!earlier.ok) return refuse(earlier.error);
  const report = await checkSite(options.value);
  if (!report.ok) {
    terminal.error(`nothing was looked at: ${report.error}\n`);
    return 2;
  }
  const told = output.since === null ? report.value : withChanges(report.value, earlier.value, output.since);
  const status = deliver(told, output, terminal);
  const { findings, unfinished } = report.value;
  if (unfinished !== undefined) terminal.error(`not all was looked at: ${unfinished}\n`);
  // What was not looked at may be what fails.
  if (unfinished !== undefined && status === 0) return 2;
  if (findings.some(({ outcome }) => outcome !== "skipped")) return status;
  // Nothing failed because nothing was looked at: no good news for who asks by exit status.
  terminal.error("nothing was looked at: every check was skipped\n");
  return 2;
}

function readOptions(args: readonly string[], ids: ReadonlySet<string>): Result<CheckOptions, string> {
  const parsed = parse(args);
  if (!parsed.ok) return parsed;
  const { values, positionals } = parsed.value;
  const [url, ...more] = positionals;
  if (url === undefined || more.length > 0)
    return err(
      `give one site, such as https://erp.example.com${more.length > 0 ? `; "${more[0]}" is one too many` : ""}`,
    );
  const target = readTarget(url);
  if (!target.ok) return target;
  const address = values.address === undefined ? ok(null) : readAddress(values.address);
  if (!address.ok) return err(`--address ${address.error}`);
  const from = values.from === undefined ? null : parseIp(values.from);
  if (values.from !== undefined && from === null)
    return err(`--from "${values.from}" is no address of this machine`);
  const authorities = values.ca === undefined ? ok(null) : readAuthorities(values.ca);
  if (!authorities.ok) return authorities;
  const httpPorts =
    values["http-port"] === undefined ? ok([]) : readPorts("--http-port", values["http-port"]);
  if (!httpPorts.ok) return httpPorts;
  if (httpPorts.value.length > 1) return err("--http-port takes one port");
  const direct =
    values["direct-ports"] === undefined ? ok(null) : readPorts("--direct-ports", values["direct-ports"]);
  if (!direct.ok) return direct;
  const wholeTimeoutMs = parseDurationMs(values.timeout);
  if (wholeTimeoutMs === null || wholeTimeoutMs < 1_000 || wholeTimeoutMs > timeoutMsMax)
    return err(`--timeout "${values.timeout}" is no duration between 1s and 10m, such as 120s`);
  return ok({
    target: target.value,
    address: address.value,
    from: from?.text ?? null,
    authorities: authorities.value,
    httpPort: httpPorts.value[0] ?? null,
    directPorts: direct.value,
    loginCanary: values["login-canary"],
    ids,
    version: packageRoot().version,
    clock: systemClock,
    bounds: { wholeTimeoutMs },
  });
}

/** Can a connection begin at this address. */
function isOurs(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen({ host: address, port: 0 }, () => server.close(() => resolve(true)));
  });
}

function parse(args: readonly string[]) {
  try {
    return ok(
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          address: { type: "string" },
          from: { type: "string" },
          ca: { type: "string" },
          "http-port": { type: "string" },
          "direct-ports": { type: "string" },
          "login-canary": { type: "boolean", default: false },
          timeout: { type: "string", default: "120s" },
        },
      }),
    );
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

function readAuthorities(path: string): Result<string, string> {
  try {
    // A pipe or a device could block, or never end.
    const stat = statSync(path);
    if (!stat.isFile()) return err(`--ca ${path} cannot be read: it is no regular file`);
    if (stat.size > authoritiesBytesMax) return err(`--ca ${path} is larger than 1 MiB`);
    const pem = readFileSync(path, "latin1");
    return pem.includes("-----BEGIN CERTIFICATE-----")
      ? ok(pem)
      : err(`--ca ${path} holds no certificate (PEM)`);
  } catch (error) {
    return err(`--ca ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** At most eight ports, separated by commas. */
function readPorts(option: string, text: string): Result<readonly number[], string> {
  const ports = text.split(",").map((part) => (/^[0-9]{1,5}$/.test(part.trim()) ? Number(part) : 0));
  if (ports.length > 8 || ports.some((port) => port < 1 || port > 65_535))
    return err(`${option} "${text}" is no list of ports, such as 8069,8072`);
  return ok(ports);
}
