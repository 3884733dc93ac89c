import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../src/base/clock.ts";
import { problemLine } from "../../src/base/problem.ts";
import { err, ok } from "../../src/base/result.ts";
import { type Demo, type DemoOptions, startDemo } from "../../src/demo/start.ts";
import type { CrawlerDns } from "../../src/guard/crawler-lookup.ts";
import type { AccessRecord, GatewayEvent } from "../../src/observe/events.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { readTextFile } from "../../src/settings/read-file.ts";
import type { RunningGateway } from "../../src/start/running-gateway.ts";
import { startGateway } from "../../src/start.ts";
import type { LookupAll } from "../../src/upstream/resolver.ts";

export interface TestGateway {
  readonly running: RunningGateway;
  readonly demo: Demo;
  readonly httpsPort: number;
  readonly httpPort: number;
  readonly adminPort: number;
  /** 0 without REPORT_LISTEN. */
  readonly reportPort: number;
  /** Every event since the start. */
  readonly events: readonly GatewayEvent[];
  /** Access records since the start. */
  records(): readonly AccessRecord[];
  /** Resolves with the first event, past or future, for which `test` is true. */
  event(test: (event: GatewayEvent) => boolean): Promise<GatewayEvent>;
  /** PEM file of the local CA. */
  readonly caFile: string;
  /** A temporary folder of this gateway, removed at `close`. */
  readonly folder: string;
  close(): Promise<void>;
}

export interface TestGatewayOptions {
  /** Settings, spelled as in the environment; listeners are on free loopback ports, DOMAIN is odoo.test. */
  readonly env?: Readonly<Record<string, string>>;
  readonly demo?: DemoOptions;
  /** What stands in gateway.yaml. */
  readonly yaml?: string;
  /** Another upstream than the stand-in. */
  readonly upstream?: { readonly webPort: number; readonly busPort: number };
  readonly clock?: Clock;
  /** What names stand for. */
  readonly lookup?: LookupAll;
  /** What DNS says of clients' addresses. */
  readonly crawlerDns?: CrawlerDns;
}

/** A whole gateway on real sockets, in front of the stand-in Odoo, in this process. */
export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-test-"));
  const demo = await startDemo(options.demo ?? {});
  const at = options.upstream ?? demo;
  // Read anew at a reload: a test may change `options.env`.
  const env = () => ({
    DOMAIN: "odoo.test",
    ODOO_URL: `http://127.0.0.1:${at.webPort}`,
    ODOO_BUS_URL: `http://127.0.0.1:${at.busPort}`,
    HTTPS_LISTEN: "127.0.0.1:0",
    HTTP_LISTEN: "127.0.0.1:0",
    ADMIN_LISTEN: "127.0.0.1:0",
    CERTS_DIR: join(folder, "certs"),
    STATE_DIR: join(folder, "state"),
    DRAIN_TIMEOUT: "5s",
    ...options.env,
  });
  const read = () =>
    loadSettings({
      env: env(),
      cwd: folder,
      // The machine's own gateway.yaml is none of a test's; files it names itself are read.
      readFile: (path) => {
        if (!path.endsWith("gateway.yaml")) return readTextFile(path);
        return options.yaml === undefined ? err({ missing: true, detail: "" }) : ok(options.yaml);
      },
    });
  const loaded = read();
  if (!loaded.ok) throw new Error(loaded.error.map(problemLine).join("\n"));
  const events: GatewayEvent[] = [];
  const waiting = new Set<{
    test: (event: GatewayEvent) => boolean;
    resolve: (event: GatewayEvent) => void;
  }>();
  const sink = {
    emit(event: GatewayEvent) {
      events.push(event);
      for (const wait of [...waiting]) {
        if (!wait.test(event)) continue;
        waiting.delete(wait);
        wait.resolve(event);
      }
    },
  };
  const started = await startGateway({
    settings: loaded.value.settings,
    sink,
    readSettings: () => {
      const again = read();
      return again.ok ? { ok: true, value: again.value.settings } : again;
    },
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
    ...(options.crawlerDns === undefined ? {} : { crawlerDns: options.crawlerDns }),
  });
  if (!started.ok) {
    await demo.close();
    rmSync(folder, { recursive: true, force: true });
    throw new Error(started.error.map(problemLine).join("\n"));
  }
  const running = started.value;
  return {
    running,
    demo,
    httpsPort: running.httpsPort,
    httpPort: running.httpPort ?? 0,
    adminPort: running.adminPort ?? 0,
    reportPort: running.reportPort ?? 0,
    events,
    records: () => events.filter((event) => event.type === "access"),
    event: (test) => {
      const past = events.find(test);
      if (past !== undefined) return Promise.resolve(past);
      return new Promise((resolve) => waiting.add({ test, resolve }));
    },
    caFile: join(folder, "certs", "local-ca.pem"),
    folder,
    async close() {
      await running.stop();
      await demo.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
