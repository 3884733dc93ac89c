/** What one part of the audit saw, before it is put beside the catalogue. */
import type { Look, Outcome, Place } from "../report/finding.ts";

/** A look with the id of its check. */
export interface Note<Id extends string = string> extends Look {
  readonly id: Id;
}

/** Most notes of one check; beyond it the last one says how many there were. A file can repeat a mistake without end. */
export const notesPerCheckMax = 40;

/** More exact words than the catalogue's. */
export interface Words {
  readonly why?: string;
  readonly fix?: string;
}

/** A note at a line of a file; `line` null: the file as a whole. */
export function note<Id extends string>(
  id: Id,
  outcome: Outcome,
  seen: string,
  place?: Place,
  words: Words = {},
): Note<Id> {
  return { id, outcome, seen, ...(place === undefined ? {} : { place }), ...words };
}

/** `notes` as they are, or one pass when there are none. */
export function orPass<Id extends string>(
  notes: readonly Note<Id>[],
  id: Id,
  seen: string,
  place?: Place,
): readonly Note<Id>[] {
  return notes.length > 0 ? notes : [note(id, "pass", seen, place)];
}

/** A value of an operator's file for a sentence: quoted, cut. Never called with a secret. */
export function quoted(text: string): string {
  const lengthMax = 120;
  return JSON.stringify(text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text);
}

/** Keeps at most `notesPerCheckMax` notes of one check; the last that is kept says how many were left out. */
export function bounded(notes: readonly Note[]): readonly Note[] {
  const seen = new Map<string, number>();
  for (const { id } of notes) seen.set(id, (seen.get(id) ?? 0) + 1);
  const given = new Map<string, number>();
  return notes.flatMap((one) => {
    const count = (given.get(one.id) ?? 0) + 1;
    given.set(one.id, count);
    const total = seen.get(one.id) ?? 0;
    if (count > notesPerCheckMax) return [];
    const left = total - notesPerCheckMax;
    return count === notesPerCheckMax && left > 0
      ? [{ ...one, seen: `${one.seen} (and ${left} more)` }]
      : [one];
  });
}
