import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type CDPSession, chromium } from "playwright-core";

/** The one door to the browser: cold page loads in Chromium, each in a process and a profile of its own. */
export interface PageVisit {
  /** https://localhost:PORT/PATH */
  readonly url: string;
  /** The browser's program. */
  readonly program: string;
  /** SHA-256 of the certificate's public key, base64: the browser takes it as if an authority had signed it. */
  readonly keyHash: string;
  /** `name=value` pairs set before the visit. */
  readonly cookies: Readonly<Record<string, string>>;
  /** The page is over when it has made no request for this long. */
  readonly quietMs: number;
}

export interface PageLoad {
  /** As the browser counts: headers and bodies as they came, compressed, of the page's own requests. */
  readonly bytes: number;
  readonly requests: number;
  /** Requests without an answer, or with a status of 400 or more. */
  readonly failed: readonly string[];
  /** From the visit's start to the load event. */
  readonly loadMs: number;
  /** From the visit's start to the last byte of the last answer. */
  readonly lastByteMs: number;
  /** What the browser's console said of errors. */
  readonly consoleErrors: readonly string[];
  readonly title: string;
  /** From the big script's last byte to the load event; NaN without one. */
  readonly afterScriptMs: number;
  /** What the browser's network log says of each request, in order of asking. */
  readonly steps: readonly Step[];
}

/** One request on the visit's clock; milliseconds since the visit's start, NaN for what did not happen. */
export interface Step {
  readonly url: string;
  /** The `priority` field that went with it (RFC 9218), or "". */
  readonly priority: string;
  /** The browser's number for the connection. */
  readonly connection: number;
  readonly askedMs: number;
  readonly sentMs: number;
  readonly headMs: number;
  readonly firstByteMs: number;
  readonly lastByteMs: number;
  readonly bytes: number;
}

/** A visit longer than this is given up. */
const VISIT_MS_MAX = 30_000;

/** Runs in the page: when the load event came, and when the big script's last byte (null without one). */
const TIMING = `[
  performance.getEntriesByType("navigation")[0].loadEventStart,
  performance.getEntriesByType("resource").find((one) => one.name.includes("assets_web.min.js"))?.responseEnd ?? null,
]`;

function readTiming(value: unknown): readonly [loadMs: number, scriptEndMs: number] {
  if (!Array.isArray(value)) return [Number.NaN, Number.NaN];
  const [load, script]: readonly unknown[] = value;
  const number = (one: unknown): number => (typeof one === "number" ? one : Number.NaN);
  return [number(load), number(script)];
}

type OpenStep = { -readonly [name in keyof Step]: Step[name] };

interface Traffic {
  readonly steps: Map<string, OpenStep>;
  startS: number;
  lastS: number;
  bytes: number;
  requests: number;
  readonly failed: string[];
  readonly open: Map<string, string>;
  changedMs: number;
}

/**
 * The browser as an ordinary user's: one that root starts raises its own threads (nice -8) above the servers it measures, which in life are on another machine.
 * `setpriv`: Debian's program (util-linux). `processor`: the only one it may use; null: all. Answers a program to start in its place, written into `dir`.
 */
export function ordinaryBrowser(
  program: string,
  setpriv: string | null,
  processor: number | null,
  dir: string,
): string {
  const asUser =
    process.getuid?.() === 0 && setpriv !== null
      ? `${setpriv} --inh-caps=-sys_nice --bounding-set=-sys_nice `
      : "";
  const where = processor === null ? "" : `taskset -c ${processor} `;
  const file = join(dir, "browser");
  writeFileSync(file, `#!/bin/sh\nexec ${asUser}${where}${program} "$@"\n`, { mode: 0o755 });
  return file;
}

/** Throws when the browser cannot be started or the page does not come to rest within 30 s. */
export async function visit(wanted: PageVisit): Promise<PageLoad> {
  const profile = mkdtempSync(join(tmpdir(), "odoo-gateway-bench-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: wanted.program,
    headless: true,
    args: [
      `--ignore-certificate-errors-spki-list=${wanted.keyHash}`,
      "--host-resolver-rules=MAP localhost 127.0.0.1, MAP * ~NOTFOUND",
      "--no-sandbox",
      "--disable-background-networking",
      "--disable-component-update",
    ],
  });
  try {
    const { origin } = new URL(wanted.url);
    await context.addCookies(
      Object.entries(wanted.cookies).map(([name, value]) => ({ name, value, url: origin, httpOnly: true })),
    );
    const page = context.pages()[0] ?? (await context.newPage());
    const consoleErrors: string[] = [];
    page.on("console", (message) => message.type() === "error" && consoleErrors.push(message.text()));
    page.on("pageerror", (error) => consoleErrors.push(error.message));
    const session = await context.newCDPSession(page);
    const traffic = await watch(session);
    await page.goto(wanted.url, { waitUntil: "load", timeout: VISIT_MS_MAX });
    await rest(traffic, wanted.quietMs);
    const [loadMs, scriptEndMs] = readTiming(await page.evaluate(TIMING));
    return {
      loadMs,
      afterScriptMs: loadMs - scriptEndMs,
      bytes: traffic.bytes,
      requests: traffic.requests,
      failed: traffic.failed,
      lastByteMs: (traffic.lastS - traffic.startS) * 1000,
      consoleErrors,
      title: await page.title(),
      steps: [...traffic.steps.values()],
    };
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** The script of Odoo's shared worker: begun on the page's session, ended on the worker's own. */
const SHARED_WORKER = "/bus/websocket_worker_bundle";

/** Counts the page's requests from now on. */
async function watch(session: CDPSession): Promise<Traffic> {
  const traffic: Traffic = {
    steps: new Map(),
    startS: Number.NaN,
    lastS: Number.NaN,
    bytes: 0,
    requests: 0,
    failed: [],
    open: new Map(),
    changedMs: performance.now(),
  };
  const sinceMs = (timestampS: number): number => (timestampS - traffic.startS) * 1_000;
  session.on("Network.requestWillBeSentExtraInfo", (event) => {
    const step = traffic.steps.get(event.requestId);
    if (step !== undefined) step.priority = event.headers["priority"] ?? "";
  });
  session.on("Network.dataReceived", (event) => {
    const step = traffic.steps.get(event.requestId);
    if (step !== undefined && Number.isNaN(step.firstByteMs)) step.firstByteMs = sinceMs(event.timestamp);
  });
  session.on("Network.requestWillBeSent", (event) => {
    if (!event.request.url.startsWith("http") || event.request.url.includes(SHARED_WORKER)) return;
    if (Number.isNaN(traffic.startS)) traffic.startS = event.timestamp;
    traffic.open.set(event.requestId, event.request.url);
    traffic.steps.set(event.requestId, {
      url: event.request.url,
      priority: "",
      connection: Number.NaN,
      askedMs: sinceMs(event.timestamp),
      sentMs: Number.NaN,
      headMs: Number.NaN,
      firstByteMs: Number.NaN,
      lastByteMs: Number.NaN,
      bytes: 0,
    });
    traffic.requests++;
    traffic.changedMs = performance.now();
  });
  session.on("Network.responseReceived", (event) => {
    const step = traffic.steps.get(event.requestId);
    const { timing } = event.response;
    if (step !== undefined && timing !== undefined) {
      step.connection = event.response.connectionId;
      step.sentMs = sinceMs(timing.requestTime) + timing.sendStart;
      step.headMs = sinceMs(timing.requestTime) + timing.receiveHeadersEnd;
    }
    if (event.response.status >= 400) traffic.failed.push(`${event.response.status} ${event.response.url}`);
  });
  session.on("Network.loadingFinished", (event) => {
    if (!traffic.open.delete(event.requestId)) return;
    const step = traffic.steps.get(event.requestId);
    if (step !== undefined) {
      step.lastByteMs = sinceMs(event.timestamp);
      step.bytes = event.encodedDataLength;
    }
    traffic.bytes += event.encodedDataLength;
    traffic.lastS = event.timestamp;
    traffic.changedMs = performance.now();
  });
  session.on("Network.loadingFailed", (event) => {
    const url = traffic.open.get(event.requestId);
    if (!traffic.open.delete(event.requestId)) return;
    traffic.failed.push(`${event.errorText} ${url}`);
    traffic.changedMs = performance.now();
  });
  await session.send("Network.enable");
  return traffic;
}

async function rest(traffic: Traffic, quietMs: number): Promise<void> {
  const deadline = performance.now() + VISIT_MS_MAX;
  while (performance.now() < deadline) {
    if (traffic.open.size === 0 && performance.now() - traffic.changedMs > quietMs) return;
    await delay(50);
  }
  throw new Error(`the page is not at rest after 30 s: ${[...traffic.open.values()].slice(0, 5).join(" ")}`);
}
