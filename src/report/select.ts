import { nearestName } from "../base/nearest.ts";
import { err, ok, type Result } from "../base/result.ts";

/** Which checks an operator wants: all of `only` (none given: all), less those of `skip`. */
export interface Selection {
  readonly only: readonly string[];
  readonly skip: readonly string[];
}

/**
 * The ids that are to run. Words are ids, or beginnings that end in `*` (`tls-*`); several stand in one word behind commas.
 * A word that means no check is refused: a mistyped --skip must not run what was to be left out, and a mistyped --only
 * must not pass because nothing was looked at.
 */
export function selectIds(
  known: readonly string[],
  { only, skip }: Selection,
): Result<ReadonlySet<string>, string> {
  const wanted = idsOf("--only", only, known);
  if (!wanted.ok) return wanted;
  const unwanted = idsOf("--skip", skip, known);
  if (!unwanted.ok) return unwanted;
  const base = only.length === 0 ? known : known.filter((id) => wanted.value.has(id));
  const chosen = base.filter((id) => !unwanted.value.has(id));
  return chosen.length === 0 ? err("--only and --skip leave no check to run") : ok(new Set(chosen));
}

function idsOf(
  option: string,
  words: readonly string[],
  known: readonly string[],
): Result<ReadonlySet<string>, string> {
  const found = new Set<string>();
  for (const word of words.flatMap((one) => one.split(",")).map((one) => one.trim())) {
    const matches = word.endsWith("*")
      ? known.filter((id) => id.startsWith(word.slice(0, -1)))
      : known.filter((id) => id === word);
    if (matches.length === 0) {
      const near = nearestName(word, known);
      const hint = near === null ? "see --list" : `did you mean ${near}?`;
      return err(`${option} "${word}" is no check: ${hint}`);
    }
    for (const id of matches) found.add(id);
  }
  return ok(found);
}
