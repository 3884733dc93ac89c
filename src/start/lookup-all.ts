import { lookup } from "node:dns/promises";
import type { LookupAll } from "../upstream/resolver.ts";

/** Every address of a name, both families, as /etc/hosts and the system's resolver know them. */
export async function lookupAll(host: string): ReturnType<LookupAll> {
  const found = await lookup(host, { all: true });
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}
