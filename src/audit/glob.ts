/** Patterns for names of files, as the shell and glob(3) have them: `*`, `?`, `[a-z]`, `[!a]`. Pure. */

/** Does the name hold a pattern at all. */
export function isGlob(text: string): boolean {
  return /[*?[]/.test(text);
}

/**
 * Does the whole text match, `/` only where the pattern has one. In time by the product of the lengths, whatever the pattern:
 * after a `*` only the last one is tried again.
 */
export function globMatches(pattern: string, text: string): boolean {
  let at = 0;
  let inText = 0;
  let starAt = -1;
  let starText = 0;
  while (inText < text.length) {
    const unit = text[inText] ?? "";
    if (pattern[at] === "*") {
      starAt = at;
      starText = inText;
      at += 1;
      continue;
    }
    const next = oneFits(pattern, at, unit);
    if (next !== null) {
      at = next;
      inText += 1;
    } else if (starAt >= 0 && text[starText] !== "/") {
      starText += 1;
      inText = starText;
      at = starAt + 1;
    } else return false;
  }
  while (pattern[at] === "*") at += 1;
  return at === pattern.length;
}

/** Where the pattern goes on behind what fits this one character; null: it does not fit. */
function oneFits(pattern: string, at: number, unit: string): number | null {
  const own = pattern[at];
  if (own === "?") return unit === "/" ? null : at + 1;
  const end = own === "[" ? pattern.indexOf("]", at + 2) : -1;
  if (end === -1) return own === unit ? at + 1 : null;
  const isNegated = /[!^]/.test(pattern[at + 1] ?? "");
  const members = pattern.slice(at + (isNegated ? 2 : 1), end);
  let isMember = false;
  for (let index = 0; index < members.length; index += 1) {
    const from = members[index] ?? "";
    const isRange = members[index + 1] === "-" && index + 2 < members.length;
    const to = isRange ? (members[index + 2] ?? "") : from;
    if (isRange) index += 2;
    if (unit >= from && unit <= to) isMember = true;
  }
  return unit !== "/" && isMember !== isNegated ? end + 1 : null;
}
