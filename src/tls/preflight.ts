import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { http } from "../base/node-http.ts";
import type { Problem } from "../base/problem.ts";
import { type Challenges, challengePath } from "./challenges.ts";

/** All of the look before an order takes at most this long; what is not known by then is not told. */
const timeoutMs = 4_000;
/** Names that are looked at; further ones are left to the authority. */
const namesMax = 20;

export interface PreflightOptions {
  readonly names: readonly string[];
  /** Our plain listener as it is bound; null: there is none. */
  readonly plain: { readonly host: string; readonly port: number } | null;
  readonly challenges: Pick<Challenges, "addHttp" | "removeHttp">;
  /** Addresses of a name; the system's resolver when left out. */
  readonly lookUp?: (name: string) => Promise<readonly string[]>;
  /** Where authorities come for HTTP-01. */
  readonly publicPort?: number;
}

export interface Preflight {
  /** What will probably fail the order, told beside its failure: a router that does not lead back to us may be the reason too. */
  readonly hints: readonly Problem[];
  /** Nothing answers on port 80 of a name, or our own listener does not: HTTP-01 would only use up an attempt. */
  readonly plainIsClosed: boolean;
}

/**
 * Looks at the way an authority will take: our own plain listener answers a challenge, each name has an address, and port
 * 80 of each family leads to us. Wildcards are proved by DNS and left out.
 */
export async function preflight(options: PreflightOptions): Promise<Preflight> {
  const { names, plain, challenges } = options;
  const hints: Problem[] = [];
  const token = `preflight-${randomBytes(16).toString("hex")}`;
  const answer = randomBytes(16).toString("hex");
  const wanted = names.filter((name) => !name.startsWith("*.")).slice(0, namesMax);
  const [first] = wanted;
  let plainIsClosed = plain === null;
  challenges.addHttp(token, answer);
  try {
    if (plain !== null && first !== undefined) {
      const host =
        plain.host === "" || plain.host === "0.0.0.0" || plain.host === "::" ? "127.0.0.1" : plain.host;
      const seen = await ask(host, plain.port, first, token);
      if (seen !== answer) {
        plainIsClosed = true;
        hints.push({
          place: `HTTP_LISTEN ${host}:${plain.port}`,
          thing: `does not answer a challenge for ${first} (${brief(seen)})`,
          remedy: "is another program on that port?",
        });
      }
    }
    const looked = await Promise.all(wanted.map((name) => lookAt(name, options, token, answer)));
    for (const { problems, isClosed } of looked) {
      hints.push(...problems);
      plainIsClosed ||= isClosed;
    }
  } finally {
    challenges.removeHttp(token);
  }
  return { hints, plainIsClosed };
}

async function lookAt(
  name: string,
  options: PreflightOptions,
  token: string,
  answer: string,
): Promise<{ readonly problems: readonly Problem[]; readonly isClosed: boolean }> {
  const port = options.publicPort ?? 80;
  const addresses = await within((options.lookUp ?? systemLookUp)(name));
  if (addresses === null) return { problems: [], isClosed: false };
  if (addresses.length === 0) {
    const remedy = "set an A record (and AAAA for IPv6) that leads here";
    return {
      problems: [{ place: name, thing: "has no address as seen from here", remedy }],
      isClosed: false,
    };
  }
  const problems: Problem[] = [];
  let closed = 0;
  let tried = 0;
  if (options.plain === null) return { problems, isClosed: false };
  // One address of each family: authorities prefer IPv6 and do not always fall back.
  const both = [addresses.find((one) => one.includes(":")), addresses.find((one) => !one.includes(":"))];
  for (const address of both) {
    if (address === undefined) continue;
    tried += 1;
    const seen = await ask(address, port, name, token);
    if (seen === answer) continue;
    if (seen === "ECONNREFUSED") closed += 1;
    problems.push({
      place: name,
      thing: `on ${address} port ${port} is not answered by this gateway (${brief(seen)})`,
      remedy: `port ${port} of the name must lead to HTTP_LISTEN on every address it has`,
    });
  }
  return { problems, isClosed: tried > 0 && closed === tried };
}

async function systemLookUp(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

async function within<T>(work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs);
  });
  const first = await Promise.race([work, late]);
  clearTimeout(timer);
  return first;
}

/** The answer's text, `status 404`, or the error's code. */
function ask(host: string, port: number, name: string, token: string): Promise<string> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const request = http.request(
      { host, port, path: challengePath + token, headers: { Host: name }, agent: false, signal },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString("latin1");
          if (text.length > 1_000) response.destroy();
        });
        response.on("error", () => resolve("cut"));
        response.on("close", () =>
          resolve(response.statusCode === 200 ? text : `status ${response.statusCode}`),
        );
      },
    );
    request.on("error", (error: NodeJS.ErrnoException) =>
      resolve(signal.aborted ? "no answer in time" : (error.code ?? error.message)),
    );
    request.end();
  });
}

function brief(seen: string): string {
  return /^[\x20-\x7e]{1,40}$/.test(seen) ? seen : "another answer";
}

/**
 * Would what is written here be gone with the container: the folder, or its nearest parent that exists, lies on an
 * overlay that is the root file system. `mounts` is the text of /proc/self/mountinfo (proc(5)).
 */
export function isContainerLayer(path: string, mounts: string): boolean {
  let best = { at: "", isOverlay: false };
  for (const line of mounts.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const at = (before.split(" ")[4] ?? "").replace(/\\040/g, " ");
    const isUnder = at === "/" || path === at || path.startsWith(`${at}/`);
    if (at !== "" && isUnder && at.length >= best.at.length)
      best = { at, isOverlay: after.startsWith("overlay ") };
  }
  return best.at === "/" && best.isOverlay;
}

/** The text of /proc/self/mountinfo; throws where there is none. */
export type ReadMounts = () => string;
const systemMounts: ReadMounts = () => readFileSync("/proc/self/mountinfo", "utf8");

/** `isContainerLayer` of a folder on this machine; false where there is no /proc. */
export function keptInContainerLayer(directory: string, readMounts: ReadMounts = systemMounts): boolean {
  try {
    let path = directory;
    while (!existsSync(path) && dirname(path) !== path) path = dirname(path);
    return isContainerLayer(realpathSync(path), readMounts());
  } catch {
    return false;
  }
}
