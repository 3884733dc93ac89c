import { nearestName } from "../base/nearest.ts";
import type { KeyPath } from "../base/yaml-positions.ts";

/** The parts of gateway.yaml that are no single values: they stand in the file only. */
export const sectionNames = ["api", "cors", "hosts"] as const;
export type SectionName = (typeof sectionNames)[number];

/** Is this key of gateway.yaml a section. */
export function isSectionName(key: string): key is SectionName {
  return sectionNames.some((name) => name === key);
}

/** One section as it was written, with the place of everything in it. */
export interface Section {
  readonly value: unknown;
  /** `gateway.yaml:3:5`, of a value below the section. */
  readonly valuePlace: (path: KeyPath) => string;
  readonly keyPlace: (path: KeyPath) => string;
}

/** Takes complaints about one section: the way to what is wrong, what it is, and what to write instead. */
export type SectionComplaint = (place: string, thing: string, remedy: string) => void;

/** Longest list in a section. */
export const sectionItemsMax = 1_000;

/** The keys and values of a map; null after a complaint about what is none. */
export function mapOf(
  section: Section,
  path: KeyPath,
  value: unknown,
  what: string,
  complain: SectionComplaint,
): ReadonlyMap<string, unknown> | null {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return new Map(Object.entries(value));
  complain(section.valuePlace(path), `${what} must be a map of keys`, "");
  return null;
}

/** Complains about each key that is not known here, naming the nearest that is. */
export function checkKeys(
  section: Section,
  path: KeyPath,
  map: ReadonlyMap<string, unknown>,
  known: readonly string[],
  complain: SectionComplaint,
): void {
  for (const key of map.keys()) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    const remedy = near === null ? `known are ${known.join(", ")}` : `did you mean ${near}?`;
    complain(
      section.keyPlace([...path, key]),
      `${JSON.stringify(key.slice(0, 60))} is not known here`,
      remedy,
    );
  }
}

/** One text or a list of texts, each with its place; null when the key is absent or wrong. */
export function textsOf(
  section: Section,
  path: KeyPath,
  value: unknown,
  complain: SectionComplaint,
): { readonly text: string; readonly place: string }[] | null {
  if (value === undefined || value === null) return null;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0 || list.length > sectionItemsMax) {
    complain(
      section.valuePlace(path),
      `${String(path.at(-1))} must have 1 to ${sectionItemsMax} entries`,
      "",
    );
    return null;
  }
  const texts: { text: string; place: string }[] = [];
  for (const [index, item] of list.entries()) {
    const place = section.valuePlace(Array.isArray(value) ? [...path, index] : path);
    if (typeof item === "string" && item.trim() !== "") texts.push({ text: item.trim(), place });
    else complain(place, `${String(path.at(-1))} has an entry that is no text`, "put it in quotes");
  }
  return texts;
}
