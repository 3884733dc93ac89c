import { flatLatin1 } from "../base/flat.ts";
import type { RawFields } from "./facts.ts";

/** What a spelling of a field name comes to. */
export interface FieldName {
  /** As it was asked for; the same string each time. */
  readonly spelling: string;
  /** In lower case. */
  readonly lower: string;
  /** A token (RFC 9110 §5.6.2), as every name has to be. */
  readonly isToken: boolean;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Browsers and Odoo write the same few names again and again; each spelling is looked at once. */
const known = new Map<string, FieldName>();
/** Spellings remembered; past it the table is emptied, so that a client that invents names costs a look each and no memory. */
const knownMax = 1_024;
const knownCharsMax = 64;

export function fieldName(name: string): FieldName {
  const before = known.get(name);
  if (before !== undefined) return before;
  const isShort = name.length <= knownCharsMax;
  // Its own copy: a part of a head's text would keep all of that.
  const spelling = isShort ? flatLatin1(name) : name;
  const found = { spelling, lower: spelling.toLowerCase(), isToken: token.test(spelling) };
  if (!isShort) return found;
  if (known.size >= knownMax) known.clear();
  known.set(spelling, found);
  return found;
}

/** A raw name in lower case. */
export function lowerName(name: string): string {
  return fieldName(name).lower;
}

/** Lists that were asked about last: as a rule a request's and its answer's. */
let lastFields: RawFields = [];
let lastNames: readonly string[] = [];
let otherFields: RawFields = [];
let otherNames: readonly string[] = [];

/**
 * The names of a list of fields in lower case, one for each pair. The many questions about one message are asked one after
 * the other, so the last two lists are remembered; a list must not get other names behind this (longer it may get).
 */
export function lowerNames(fields: RawFields): readonly string[] {
  if (fields === lastFields && lastNames.length === fields.length >> 1) return lastNames;
  if (fields === otherFields && otherNames.length === fields.length >> 1) return otherNames;
  return asLast(fields, kept.get(fields) ?? namesOf(fields));
}

function asLast(fields: RawFields, names: readonly string[]): readonly string[] {
  otherFields = lastFields;
  otherNames = lastNames;
  lastFields = fields;
  lastNames = names;
  return names;
}

function namesOf(fields: RawFields): readonly string[] {
  const names: string[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) names.push(lowerName(fields[i] ?? ""));
  return names;
}

/** Lists that will be asked about again, as long as they live. */
const kept = new WeakMap<RawFields, readonly string[]>();

/** Keeps the names of a list that stands for many messages; it must not change from here on. */
export function rememberNames(fields: RawFields): void {
  kept.set(fields, namesOf(fields));
}

/** A list has the names of another, which is kept. */
export function sameNames(fields: RawFields, other: RawFields): void {
  asLast(fields, lowerNames(other));
}
