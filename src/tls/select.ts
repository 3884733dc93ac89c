import type { SecureContext } from "node:tls";
import { certificateName, wildcardOf } from "./names.ts";

/** Contexts to choose from. Replaced as a whole at a reload; running connections keep what they have. */
export interface ContextSet {
  readonly default: SecureContext;
  /** Keys as `certificateName` spells them; wildcards as `*.example.com`. */
  readonly byName: ReadonlyMap<string, SecureContext>;
}

export type SniCallback = (
  name: string,
  done: (error: Error | null, context?: SecureContext) => void,
) => void;

export interface Selector {
  /** For `SNICallback`. Answers in the same turn and never throws: a throw there ends the process (CVE-2026-21637). */
  readonly callback: SniCallback;
  /** One assignment: the next handshake sees the new set. */
  swap(set: ContextSet): void;
}

/**
 * Chooses by the name in the TLS hello: exact, then wildcard, then default. Case and a trailing dot do not matter
 * (CVE-2026-48928). An unknown name gets the default, and is told to `unknown` in our spelling; refusing it is left to the
 * screen, which can say 421.
 */
export function createSelector(first: ContextSet, unknown: (name: string) => void = () => {}): Selector {
  let current = first;
  return {
    callback(name, done) {
      done(null, choose(current, name, unknown));
    },
    swap(set) {
      current = set;
    },
  };
}

function choose(set: ContextSet, hello: string, unknown: (name: string) => void): SecureContext {
  let name: string;
  try {
    name = certificateName(hello);
  } catch {
    return set.default;
  }
  const exact = set.byName.get(name);
  if (exact !== undefined) return exact;
  const wildcard = wildcardOf(name);
  const context = wildcard === null ? undefined : set.byName.get(wildcard);
  if (context !== undefined) return context;
  if (name !== "") unknown(name);
  return set.default;
}
