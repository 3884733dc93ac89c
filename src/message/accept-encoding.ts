import type { RawFields } from "./facts.ts";
import { listElements } from "./fields.ts";

/** Content codings we can make (RFC 9110 §8.4.1, RFC 7932, RFC 8878). */
export type Coding = "br" | "zstd" | "gzip";

/** RFC 9110 §12.4.2: a weight is 0 to 1 with at most three digits. */
const weighted = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?$/;
/** Elements that are read; what a longer list says behind them counts as not said. */
const elementsMax = 32;

/**
 * The coding an answer should have for this Accept-Encoding, null for none (identity). The highest weight wins; among equals the
 * order of `preferred`. A coding that is not named, or named with `q=0`, is never chosen; nor is one that weighs
 * less than an identity the client named itself. An element that cannot be read counts as not said. A client that refuses
 * identity and everything we have gets identity all the same (RFC 9110 §12.5.3 lets a server do that).
 */
export function chooseCoding(fields: RawFields, preferred: readonly Coding[]): Coding | null {
  const elements = listElements(fields, "accept-encoding");
  if (elements.length === 0) return null;
  const weights = new Map<string, number>();
  for (const element of elements.slice(0, elementsMax)) {
    const [, name, weight = "1"] = weighted.exec(element) ?? [];
    if (name === undefined) continue;
    const lower = name.toLowerCase();
    // RFC 9110 §8.4.1.3: x-gzip is gzip.
    const coding = lower === "x-gzip" ? "gzip" : lower;
    // Named twice: the client's more careful word holds.
    weights.set(coding, Math.min(weights.get(coding) ?? 1, Number(weight)));
  }
  const others = weights.get("*") ?? 0;
  let chosen: Coding | null = null;
  let best = Math.max(weights.get("identity") ?? 0, Number.MIN_VALUE);
  for (const coding of preferred) {
    const weight = weights.get(coding) ?? others;
    if (chosen === null ? weight >= best : weight > best) {
      chosen = coding;
      best = weight;
    }
  }
  return chosen;
}
