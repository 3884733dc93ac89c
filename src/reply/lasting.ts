import type { Likeness } from "../message/facts.ts";
import type { SecurityClass } from "./security.ts";

/** The finished fields of one kind of answer: one for each class of security fields and each coding. */
interface Finished {
  readonly security: SecurityClass;
  readonly coding: string | null;
  readonly fields: readonly string[];
}

const finished = new WeakMap<Likeness, Finished[]>();
/** Kinds remembered for one head: three classes of hosts, in frames of others or not, five ways to be coded. Past it the oldest goes, which a reload left. */
const kindsMax = 32;

/**
 * The fields a client gets for heads of Odoo that are alike, worked out once and frozen. Only for heads without cookies and redirects, and
 * answers to which we add neither: all else depends on nothing but the head, the class of the host and the coding.
 */
export function lastingFields(
  likeness: Likeness,
  security: SecurityClass,
  coding: string | null,
  work: () => string[],
): readonly string[] {
  const kinds = finished.get(likeness) ?? [];
  for (const kind of kinds) if (kind.security === security && kind.coding === coding) return kind.fields;
  const fields = Object.freeze(work());
  if (kinds.length === 0) finished.set(likeness, kinds);
  if (kinds.length === kindsMax) kinds.shift();
  kinds.push({ security, coding, fields });
  return fields;
}
