import { BoundedMap } from "../base/bounded-map.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { Condition, DecideExtra } from "./matchers.ts";

/** Clients whose networks are remembered; past it those seen longest ago are looked up again. */
const clientsMax = 4_096;

const noExtra: DecideExtra = { knownSession: false };

/**
 * Which of the policy's `from` conditions a client meets, as bits: the networks are searched once for each client, not once for each
 * request and rule.
 */
export class ClientRules {
  readonly #conditions: readonly Condition[];
  readonly #known = new BoundedMap<string, Uint32Array>(clientsMax);

  constructor(conditions: readonly Condition[]) {
    this.#conditions = conditions;
  }

  of(facts: RequestFacts): Uint32Array {
    const client = facts.client.text;
    const known = this.#known.get(client);
    if (known !== undefined) return known;
    const bits = new Uint32Array(Math.ceil(this.#conditions.length / 32));
    for (const [number, condition] of this.#conditions.entries()) {
      if (condition.holds(facts, noExtra))
        bits[number >>> 5] = (bits[number >>> 5] ?? 0) | (1 << (number & 31));
    }
    this.#known.set(client, bits);
    return bits;
  }
}

/** Does the client meet this condition. */
export function meets(bits: Uint32Array, number: number): boolean {
  return ((bits[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0;
}
