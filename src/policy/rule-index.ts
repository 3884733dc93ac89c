import type { RequestFacts } from "../message/facts.ts";
import type { PathPattern } from "./path-pattern.ts";

/**
 * The first cut: which rules could match at all, by the first segment of the path (or the second, behind a
 * wildcard). Each bucket is a set of bits in rule order, so that one request costs a few look-ups, an OR and
 * the rules that are left, whatever their number; and order is kept without sorting.
 */
export interface RuleIndex {
  readonly words: number;
  readonly any: Uint32Array;
  readonly first: ReadonlyMap<string, Uint32Array>;
  readonly second: ReadonlyMap<string, Uint32Array>;
}

/** Builds the index; entry i holds the patterns of rule i, or null when it has no path condition. */
export function indexRules(patternsOfRules: readonly (readonly PathPattern[] | null)[]): RuleIndex {
  const words = Math.ceil(patternsOfRules.length / 32);
  const any = new Uint32Array(words);
  const first = new Map<string, Uint32Array>();
  const second = new Map<string, Uint32Array>();
  const setIn = (map: Map<string, Uint32Array>, key: string, rule: number): void => {
    const bits = map.get(key) ?? new Uint32Array(words);
    map.set(key, bits);
    setBit(bits, rule);
  };
  for (const [rule, patterns] of patternsOfRules.entries()) {
    if (patterns === null) {
      setBit(any, rule);
      continue;
    }
    for (const { segments, below } of patterns) {
      const [one, two] = segments;
      if (one?.kind === "literal") {
        setIn(first, one.text.toLowerCase(), rule);
      } else if (one === undefined && !below) {
        setIn(first, "", rule);
      } else if (two?.kind === "literal") {
        setIn(second, two.text.toLowerCase(), rule);
      } else {
        setBit(any, rule);
      }
    }
  }
  return { words, any, first, second };
}

function setBit(bits: Uint32Array, index: number): void {
  const word = index >>> 5;
  bits[word] = (bits[word] ?? 0) | (1 << (index & 31));
}

/** The buckets one request falls into. */
export interface Candidates {
  readonly first: Uint32Array | undefined;
  readonly second: Uint32Array | undefined;
  readonly otherFirst: Uint32Array | undefined;
  readonly otherSecond: Uint32Array | undefined;
}

/** Looks up the buckets of a request, once. */
export function candidates(index: RuleIndex, facts: RequestFacts): Candidates {
  const one = facts.pathsLower[0] ?? "/";
  // At most two readings by contract; the second is what stands behind a language segment.
  const two = facts.pathsLower[1];
  return {
    first: index.first.get(segmentAt(one, 1)),
    second: index.second.get(secondSegment(one)),
    otherFirst: two === undefined ? undefined : index.first.get(segmentAt(two, 1)),
    otherSecond: two === undefined ? undefined : index.second.get(secondSegment(two)),
  };
}

/** The rules of one word that could match, as bits: lowest bit first is the order of the rules. */
export function candidatesIn(index: RuleIndex, found: Candidates, word: number): number {
  return (
    (index.any[word] ?? 0) |
    (found.first?.[word] ?? 0) |
    (found.second?.[word] ?? 0) |
    (found.otherFirst?.[word] ?? 0) |
    (found.otherSecond?.[word] ?? 0)
  );
}

function segmentAt(path: string, start: number): string {
  const end = path.indexOf("/", start);
  return end === -1 ? path.slice(start) : path.slice(start, end);
}

function secondSegment(path: string): string {
  const end = path.indexOf("/", 1);
  return end === -1 ? "" : segmentAt(path, end + 1);
}
