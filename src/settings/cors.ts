import { shown } from "./complaint.ts";
import { readOrigin } from "./hosts.ts";
import { checkKeys, mapOf, type Section, type SectionComplaint, textsOf } from "./sections.ts";
import type { CorsEntry } from "./settings.ts";
import { readPathPattern } from "./values.ts";

/** Entries of the section: each request that has one of their paths walks them. */
const corsEntriesMax = 64;
const keys = ["paths", "origins", "credentials"];

/** Reads the section `cors:` of gateway.yaml: which other sites' scripts may read answers, by path. Empty: there is none. */
export function readCors(section: Section | undefined, complain: SectionComplaint): readonly CorsEntry[] {
  if (section === undefined) return [];
  const list: unknown = section.value;
  if (!Array.isArray(list) || list.length === 0 || list.length > corsEntriesMax) {
    const thing = `cors must be a list of 1 to ${corsEntriesMax} entries`;
    complain(section.valuePlace([]), thing, "leave it out where no other site's pages call Odoo");
    return [];
  }
  const entries: CorsEntry[] = [];
  for (const [index, value] of (list as readonly unknown[]).entries()) {
    const map = mapOf(section, [index], value, "an entry of cors", complain);
    if (map === null) continue;
    checkKeys(section, [index], map, keys, complain);
    const texts = (key: "paths" | "origins", example: string, read: typeof readOrigin) => {
      if (!map.has(key))
        complain(section.valuePlace([index]), `an entry of cors names no ${key}`, `add ${key}: [${example}]`);
      return readAll(key, textsOf(section, [index, key], map.get(key), complain), read, complain);
    };
    const credentials = map.get("credentials") ?? false;
    if (typeof credentials !== "boolean")
      complain(
        section.valuePlace([index, "credentials"]),
        `credentials ${shown(String(credentials))} must be true or false`,
        "true lets those pages use the session of whoever is logged in",
      );
    entries.push({
      paths: texts("paths", "/json/2/**", readPathPattern),
      origins: texts("origins", "https://shop.example.com", readOrigin),
      credentials: credentials === true,
    });
  }
  return entries;
}

function readAll(
  key: string,
  texts: ReturnType<typeof textsOf>,
  read: typeof readOrigin,
  complain: SectionComplaint,
): readonly string[] {
  const all: string[] = [];
  for (const { text, place } of texts ?? []) {
    const one = read(text);
    if (one.ok) all.push(one.value);
    else complain(place, `${key} ${one.error.thing}`, one.error.remedy);
  }
  return all;
}
