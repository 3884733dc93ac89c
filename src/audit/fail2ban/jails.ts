/** Jails of fail2ban with the filters they use. Pure; files come from `ReadFilter`. */
import type { Place } from "../../report/finding.ts";
import { Fail2banConfig, type Text } from "./config.ts";

/** The files of a filter by its name, those it includes among them, in the order in which they hold; empty: it is not here. */
export type ReadFilter = (name: string) => readonly Text[];

export interface Filter {
  readonly name: string;
  /** null: what a variable of it says is not known here. */
  readonly failregex: readonly string[] | null;
  readonly ignoreregex: readonly string[] | null;
  readonly prefregex: string | null;
  readonly hasOwnDates: boolean;
  readonly place: Place;
}

export interface Jail {
  readonly name: string;
  readonly place: Place;
  readonly isEnabled: boolean;
  readonly filterName: string;
  /** null: no file of that name is here. */
  readonly filter: Filter | null;
  readonly logpath: readonly string[];
  readonly backend: string;
  /** Value and place of an option, the jail's own or of [DEFAULT]. */
  readonly option: (name: string) => { readonly value: string | null; readonly place: Place } | null;
}

/** Most jails that are looked at. */
export const jailsMax = 200;

/** Every jail of a configuration. */
export function jailsOf(config: Fail2banConfig, readFilter: ReadFilter): readonly Jail[] {
  return [...config.sections.keys()]
    .filter((name) => !["DEFAULT", "INCLUDES", "Definition", "Init"].includes(name))
    .slice(0, jailsMax)
    .map((name) => jailOf(config, name, readFilter));
}

function jailOf(config: Fail2banConfig, name: string, readFilter: ReadFilter): Jail {
  const place = [...(config.sections.get(name)?.values() ?? [])][0]?.place ?? {
    file: config.files[0] ?? "",
    line: null,
  };
  const written = config.text(name, "filter") ?? name;
  const [, filterName = name, parameters = ""] =
    /^([^[\s]+)\s*(?:\[([\s\S]*)\])?\s*$/.exec(written.trim()) ?? [];
  const more = new Map(
    [...parameters.matchAll(/([A-Za-z_][\w-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^,\]]*))/g)].map(
      ([, key = "", double, single, bare]) => [key.toLowerCase(), (double ?? single ?? bare ?? "").trim()],
    ),
  );
  const inJail = config.option(name, "failregex");
  const texts = readFilter(filterName);
  return {
    name,
    place: config.option(name, "logpath")?.place ?? place,
    isEnabled: /^(?:true|yes|on|1)$/i.test(config.text(name, "enabled")?.trim() ?? ""),
    filterName,
    filter:
      inJail !== null
        ? filterOf(config, name, filterName, more)
        : texts.length === 0
          ? null
          : filterOf(new Fail2banConfig(texts), "Definition", filterName, more),
    logpath: linesOf(config.text(name, "logpath") ?? config.option(name, "logpath")?.value ?? ""),
    backend: config.text(name, "backend")?.trim() ?? "auto",
    option: (key) => {
      const option = config.option(name, key);
      return option === null ? null : { value: config.text(name, key), place: option.place };
    },
  };
}

/** The filter of a section: [Definition] of a filter's file, or a jail that has its own failregex. */
export function filterOf(
  config: Fail2banConfig,
  section: string,
  name: string,
  more: ReadonlyMap<string, string> = new Map(),
): Filter {
  const lines = (key: string): readonly string[] | null =>
    config.option(section, key) === null
      ? []
      : (config
          .text(section, key, more)
          ?.split("\n")
          .filter((one) => one.trim() !== "") ?? null);
  const prefix = config.option(section, "prefregex");
  const dates = config.option(section, "datepattern")?.value.trim() ?? "";
  return {
    name,
    failregex:
      prefix !== null && config.text(section, "prefregex", more) === null ? null : lines("failregex"),
    ignoreregex: lines("ignoreregex"),
    prefregex: prefix === null || prefix.value.trim() === "" ? null : config.text(section, "prefregex", more),
    hasOwnDates: dates !== "",
    place: config.option(section, "failregex")?.place ?? { file: config.files.at(-1) ?? "", line: null },
  };
}

function linesOf(text: string): readonly string[] {
  return text
    .split("\n")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}
