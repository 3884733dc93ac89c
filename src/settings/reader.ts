import type { Problem } from "../base/problem.ts";
import type { Complaint, Read } from "./complaint.ts";
import type { Section, SectionName } from "./sections.ts";
import type { Given, GivenSetting } from "./sources.ts";
import { isListType, type SettingName, settingRow } from "./table.ts";

/** Several values of one setting: each item is read by itself, so that a mistake names its own place. */
export type ReadItem<T> = (text: string) => Read<T>;

/**
 * Reads the gathered texts one setting at a time and collects every problem. A setting with a problem answers its
 * default, so that reading goes on; the settings are given out only when there was no problem.
 */
export class SettingReader {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #given: Given;
  readonly #bad = new Set<SettingName>();

  constructor(given: Given) {
    this.#given = given;
    this.problems.push(...given.problems);
  }

  /** A section of gateway.yaml; undefined: there is none. */
  section(name: SectionName): Section | undefined {
    return this.#given.sections.get(name);
  }

  /** Takes what is wrong in a section. */
  readonly complainAt = (place: string, thing: string, remedy: string): void => {
    this.problems.push({ place, thing, remedy });
  };

  /** Was the setting given (not: left to its default). */
  has(name: SettingName): boolean {
    return this.#given.settings.has(name);
  }

  /** Were all of these read without a problem: checks across settings have nothing to say otherwise. */
  good(...names: readonly SettingName[]): boolean {
    return names.every((name) => !this.#bad.has(name));
  }

  /** One value of a setting that has a default in the table. */
  one<T>(name: SettingName, read: ReadItem<T>): T {
    return this.maybe(name, read) ?? defaultOf(name, read);
  }

  /** One value of a setting; null when it is not given and has no default, or has a problem. */
  maybe<T>(name: SettingName, read: ReadItem<T>): T | null {
    const item = this.#given.settings.get(name)?.items[0];
    if (item === undefined) {
      return settingRow(name).default === null ? null : defaultOf(name, read);
    }
    const value = read(item.text);
    if (value.ok) {
      return value.value;
    }
    this.complain(name, value.error, item.place);
    return null;
  }

  /** The items of a list with their places; those of the default when it is not given; empty when it has none. */
  items(name: SettingName): readonly { readonly text: string; readonly place: string }[] {
    const given = this.#given.settings.get(name);
    if (given !== undefined) {
      return given.items;
    }
    const fallback = settingRow(name).default;
    const texts = fallback === null ? [] : fallback.split(" ");
    return texts.map((text) => ({ text, place: "default" }));
  }

  /** A list read item by item; `none` alone is the empty list. */
  list<T>(name: SettingName, read: ReadItem<T>): T[] {
    const items = this.items(name);
    if (items.length === 1 && items[0]?.text.toLowerCase() === "none") {
      return [];
    }
    const values: T[] = [];
    for (const { text, place } of items) {
      const value = read(text);
      if (value.ok) {
        values.push(value.value);
      } else {
        this.complain(name, value.error, place);
      }
    }
    return values;
  }

  /** A problem of this setting, at its own place or the one given. */
  complain(name: SettingName, complaint: Complaint, place?: string): void {
    this.#bad.add(name);
    this.problems.push(this.#problem(name, complaint, place));
  }

  /** Something that works and is probably not meant. */
  warn(name: SettingName, complaint: Complaint): void {
    this.warnings.push(this.#problem(name, complaint));
  }

  #problem(name: SettingName, complaint: Complaint, place?: string): Problem {
    const given: GivenSetting | undefined = this.#given.settings.get(name);
    return {
      place: place ?? given?.place ?? "environment",
      thing: `${given?.spelling ?? name} ${complaint.thing}`,
      remedy: complaint.remedy,
    };
  }
}

function defaultOf<T>(name: SettingName, read: ReadItem<T>): T {
  const row = settingRow(name);
  const value = row.default === null || isListType(row.type) ? null : read(row.default);
  if (value === null || !value.ok) {
    throw new Error(`the default of ${name} cannot be read`);
  }
  return value.value;
}
