import type { AuditContext } from "../context.ts";
import type { Note } from "../note.ts";
import { people } from "./people.ts";
import type { OdooFacts } from "./read.ts";
import { settings } from "./settings.ts";

/** Everything a database of Odoo tells about who may log in and how it is set up. */
export function auditOdoo(facts: OdooFacts, context: AuditContext, nowMs: number): readonly Note[] {
  const place = { file: `database ${facts.database}`, line: null };
  return [...people(facts, nowMs), ...settings(facts, context, nowMs)].map((one) => ({ ...one, place }));
}
