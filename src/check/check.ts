import type { CheckInfo, Look } from "../report/finding.ts";
import type { Trouble } from "./budget.ts";
import type { SiteView } from "./view.ts";

/** One thing that is looked at, with what is known of it and how it is looked at. */
export interface Check extends CheckInfo {
  look(view: SiteView): Promise<Look>;
}

/** Nothing can be told: what should have been looked at did not come. */
export function untold({ detail }: Trouble): Look {
  return { outcome: "skipped", seen: `${detail}.` };
}

export function pass(seen: string): Look {
  return { outcome: "pass", seen };
}

export function warn(seen: string, fix?: string): Look {
  return { outcome: "warn", seen, ...(fix === undefined ? {} : { fix }) };
}

export function fail(seen: string, fix?: string): Look {
  return { outcome: "fail", seen, ...(fix === undefined ? {} : { fix }) };
}

export function skipped(seen: string): Look {
  return { outcome: "skipped", seen };
}

/** What the certificate checks, TLS checks and cookies say of a site that is served in clear. */
export const notOverTls: Look = skipped("The site is looked at over plain HTTP: there is no TLS to look at.");
