import { BoundedMap } from "../base/bounded-map.ts";
import { ownCopy } from "../base/flat.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { Condition, DecideExtra } from "./matchers.ts";
import { candidates, candidatesIn, type RuleIndex } from "./rule-index.ts";

/** Paths whose rules are remembered. Strangers invent paths: past it those asked longest ago are looked up again. */
const pathsMax = 4_096;
/** Longer paths are looked up each time. */
const pathCharsMax = 256;

/** A rule as far as paths go. */
export interface PathRule {
  /** Null: any path. */
  readonly ofPath: Condition | null;
}

const noExtra: DecideExtra = { knownSession: false };

/**
 * The rules that a path leaves, in order: what depends on the path alone is asked once for each path, not once for each request. A path
 * determines its readings (`readTarget`).
 */
export class PathRules<R extends PathRule> {
  readonly #rules: readonly R[];
  readonly #index: RuleIndex;
  readonly #known = new BoundedMap<string, readonly R[]>(pathsMax);

  constructor(rules: readonly R[], index: RuleIndex) {
    this.#rules = rules;
    this.#index = index;
  }

  of(facts: RequestFacts): readonly R[] {
    const { path } = facts;
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const found = this.#look(facts);
    if (path.length <= pathCharsMax) this.#known.set(ownCopy(path), found);
    return found;
  }

  #look(facts: RequestFacts): readonly R[] {
    const out: R[] = [];
    const found = candidates(this.#index, facts);
    for (let word = 0; word < this.#index.words; word += 1) {
      let bits = candidatesIn(this.#index, found, word);
      while (bits !== 0) {
        const rule = this.#rules[word * 32 + 31 - Math.clz32(bits & -bits)];
        if (rule !== undefined && (rule.ofPath === null || rule.ofPath.holds(facts, noExtra))) out.push(rule);
        bits &= bits - 1;
      }
    }
    return out;
  }
}
