/** What `nginx -T` prints: every file nginx read, each behind a line with its path. Pure. */
import { dirname, isAbsolute, join } from "node:path/posix";
import { globMatches, isGlob } from "../glob.ts";
import type { ReadIncluded } from "./parse.ts";

export interface NginxDump {
  /** nginx.conf, as nginx names it. */
  readonly file: string;
  readonly text: string;
  /** Files of the dump; includes are relative to the folder of nginx.conf. */
  readonly readIncluded: ReadIncluded;
}

const header = /^# configuration file (\S.*):\s*$/;

/** null: it is no such dump, but a file of nginx's. */
export function readDump(text: string): NginxDump | null {
  const lines = text.split("\n");
  const first = lines.findIndex((line) => header.test(line));
  // What nginx says of the test may stand in front, when both outputs went into one file.
  if (first === -1 || lines.slice(0, first).some((line) => !/^\s*$|^nginx: |^[0-9/]+ [0-9:]+ \[/.test(line)))
    return null;
  const files = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of lines.slice(first)) {
    const path = header.exec(line)?.[1];
    if (path === undefined) {
      if (!/^nginx: (?:the )?configuration file /.test(line)) current.push(line);
      continue;
    }
    current = [];
    // A file that is included twice is printed once; a second one under its name would be another output behind this one.
    if (!files.has(path)) files.set(path, current);
  }
  const [file = ""] = files.keys();
  const textOf = (path: string) => ({ file: path, text: (files.get(path) ?? []).join("\n") });
  return {
    file,
    text: textOf(file).text,
    readIncluded: (name) => {
      const path = isAbsolute(name) ? name : join(dirname(file), name);
      const found = isGlob(path)
        ? [...files.keys()].filter((one) => globMatches(path, one) && !/\/\.[^/]*$/.test(one)).sort()
        : files.has(path)
          ? [path]
          : [];
      return found.length === 0 ? null : found.map(textOf);
    },
  };
}
