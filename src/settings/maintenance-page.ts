import { ok } from "../base/result.ts";
import { parseTemplate, type Template } from "../base/template.ts";
import { formatBytes } from "../base/units.ts";
import { complain, type Read, shown } from "./complaint.ts";
import type { ReadFile } from "./read-file.ts";

/** Largest page: it is held in memory and sent to everybody who asks meanwhile. */
export const maintenancePageBytesMax = 256 * 1024;
/** Places of a page. */
export const maintenancePlaces = ["message", "until", "retry_after", "exchange"] as const;

/** The operator's page for maintenance from its file, or what is wrong with it. */
export function maintenancePageFrom(
  text: string,
  path: (text: string) => Read<string>,
  readFile: ReadFile,
): Read<Template> {
  const absolute = path(text);
  if (!absolute.ok) return absolute;
  const read = readFile(absolute.value);
  if (!read.ok)
    return complain(`${shown(text)} cannot be read: ${read.error.detail}`, "name a readable file");
  if (Buffer.byteLength(read.value) > maintenancePageBytesMax)
    return complain(
      `${shown(text)} is larger than ${formatBytes(maintenancePageBytesMax)}`,
      "make it smaller",
    );
  if (read.value.trim() === "") return complain(`${shown(text)} is empty`, "write a page, or take it out");
  const template = parseTemplate(read.value, maintenancePlaces);
  return template.ok ? ok(template.value) : complain(`${shown(text)} ${template.error}`, "correct the page");
}
