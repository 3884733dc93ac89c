import { type LookupAddress, lookup as systemLookup } from "node:dns";
import type { LookupFunction } from "node:net";

/** Names that are asked for at once: each holds a thread that files need too, and a resolver that hangs lets none of them go. */
export const lookupsMax = 2;

type Heard = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

/** The system's own look-up: one at a time for each name, however many ask for it and however long it takes, and `lookupsMax` in all. */
export function createLookup(
  system: (host: string, options: { readonly all: true }, heard: Heard) => void,
): LookupFunction {
  /** Who waits for each name that is being asked for. */
  const asked = new Map<string, Heard[]>();
  return (host, options, answer) => {
    const heard: Heard = (error, addresses) => {
      const [first] = addresses;
      if (error !== null || first === undefined) answer(error ?? trouble("ENOTFOUND"), "", 0);
      else if (options.all === true) answer(null, addresses);
      else answer(null, first.address, first.family);
    };
    const waiting = asked.get(host);
    if (waiting !== undefined) return void waiting.push(heard);
    if (asked.size >= lookupsMax) return void setImmediate(() => heard(trouble("EAI_AGAIN"), []));
    const all = [heard];
    asked.set(host, all);
    system(host, { all: true }, (error, addresses) => {
      asked.delete(host);
      for (const one of all) one(error, error === null ? addresses : []);
    });
  };
}

export const boundedLookup: LookupFunction = createLookup(systemLookup);

function trouble(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error("the name was not resolved"), { code });
}
