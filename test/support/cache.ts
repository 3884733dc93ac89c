import type { Clock } from "../../src/base/clock.ts";
import type { AccessRecord } from "../../src/observe/events.ts";
import { type H2Fields, type Http2Answer, h2, openHttp2, until } from "../exchange/clients.ts";
import { type FileAnswer, type FilesUpstream, type SeenRequest, startFiles } from "./files-upstream.ts";
import { startTestGateway, type TestGateway } from "./gateway.ts";

export interface CachedSite {
  readonly gateway: TestGateway;
  readonly odoo: FilesUpstream;
  /** One GET over HTTP/2. */
  get(path: string, fields?: H2Fields): Promise<Http2Answer>;
  /** Access records since the start, of all that was asked by now: an answer is there before its record. */
  records(): Promise<readonly AccessRecord[]>;
  close(): Promise<void>;
}

/** A gateway before an upstream that answers as the test says, and a connection to it. */
export async function startCachedSite(
  answer: (request: SeenRequest) => FileAnswer | null,
  options: { readonly env?: Readonly<Record<string, string>>; readonly clock?: Clock } = {},
): Promise<CachedSite> {
  const odoo = await startFiles(answer);
  const gateway = await startTestGateway({
    upstream: { webPort: odoo.port, busPort: odoo.port },
    ...options,
  });
  const session = await openHttp2(gateway);
  return {
    gateway,
    odoo,
    get: (path, fields = {}) => h2(session, gateway, { ":method": "GET", ":path": path, ...fields }),
    async records() {
      await until(() => gateway.running.gateway.exchanges === 0);
      return gateway.records();
    },
    async close() {
      session.destroy();
      await gateway.close();
      await odoo.close();
    },
  };
}
