import type { HeldFiles } from "../cache/cache.ts";

/** What the admin listener may do with the cache. */
export interface AdminCache {
  figures(): Promise<CacheFigures>;
  /** Answers how many files were given up. */
  clear(): Promise<number>;
}

/** How full the memory for files is. */
export interface CacheFigures extends HeldFiles {
  /** Files that wait for their best compressed form. */
  readonly toCompress: number;
}

/** Of several processes: each keeps files of its own. */
export function sumCaches(parts: readonly CacheFigures[]): CacheFigures {
  const total = (pick: (one: CacheFigures) => number) => parts.reduce((sum, one) => sum + pick(one), 0);
  return {
    entries: total((one) => one.entries),
    bytes: total((one) => one.bytes),
    bytesMax: total((one) => one.bytesMax),
    fetching: total((one) => one.fetching),
    toCompress: total((one) => one.toCompress),
  };
}

/** No page of another site can send this field without being asked first, and we do not answer the asking. */
export const cacheField = "x-odoo-gateway";

/** `GET /cache` tells how full it is; `POST /cache/clear` with the field `X-Odoo-Gateway: cache` empties it. */
export async function answerCache(
  cache: AdminCache,
  method: string,
  path: string,
  field: string | readonly string[] | undefined,
): Promise<{ readonly status: number; readonly body: object }> {
  if (path === "/cache") {
    if (method !== "GET" && method !== "HEAD") return { status: 405, body: { error: "only GET and HEAD" } };
    return { status: 200, body: await cache.figures() };
  }
  if (method !== "POST") return { status: 405, body: { error: "only POST" } };
  if (field !== "cache") return { status: 403, body: { error: "send the field X-Odoo-Gateway: cache" } };
  return { status: 200, body: { cleared: await cache.clear() } };
}
