import { resolve } from "node:path";
import type { Problem } from "../base/problem.ts";
import { err, ok, type Result } from "../base/result.ts";
import { readAddressOrOff } from "./hosts.ts";
import type { SettingSources } from "./load.ts";
import { SettingReader } from "./reader.ts";
import type { ListenAddress } from "./settings.ts";
import { gatherSettings } from "./sources.ts";

/**
 * ADMIN_LISTEN alone, whatever is wrong with other settings: who asks a running gateway (a container's health check) must find it
 * while its file is being edited. A file that is no YAML is looked through for the line.
 */
export function loadAdminListen({
  env,
  cwd,
  readFile,
}: SettingSources): Result<ListenAddress | null, readonly Problem[]> {
  const name = "ADMIN_LISTEN";
  const own = { [name]: env[name], GATEWAY_FILE: env["GATEWAY_FILE"] };
  const given = gatherSettings(own, cwd, readFile);
  const found = given.settings.get(name);
  // A bad line of the file is of no matter to whom the environment answers.
  const problems =
    found === undefined ? given.problems.filter(({ thing }) => /^admin_listen /i.test(thing)) : [];
  const said = found ?? (problems.length > 0 ? undefined : lineOf());
  const settings = new Map(said === undefined ? [] : [[name, said] as const]);
  const reader = new SettingReader({ settings, sections: new Map(), problems });
  const { address } = reader.one(name, readAddressOrOff);
  return reader.problems.length > 0 ? err(reader.problems) : ok(address);

  /** The line of a file that could not be read as a whole. */
  function lineOf() {
    const file = env["GATEWAY_FILE"]?.trim() || "gateway.yaml";
    const read = given.problems.length > 0 ? readFile(resolve(cwd, file)) : null;
    if (read?.ok !== true) return undefined;
    const text = /^admin_listen[ \t]*:[ \t]+(["']?)([^\s"'#]+)\1/m.exec(read.value)?.[2];
    return text === undefined
      ? undefined
      : { spelling: "admin_listen", place: file, items: [{ text, place: file }] };
  }
}
