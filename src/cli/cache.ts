import { formatBytes } from "../base/units.ts";
import { type Asked, askAdmin, member } from "./admin-client.ts";
import { cacheHelp } from "./help.ts";

/** `odoo-gateway cache [show] | clear`: asks the running gateway. 0 done, 1 no gateway, 2 misspelt. */
export async function cache(args: readonly string[]): Promise<number> {
  const asked = askedFor(args);
  if (typeof asked === "string") {
    process.stderr.write(`${asked}\n\n${cacheHelp}`);
    return 2;
  }
  const text = await askAdmin(asked);
  if (text === null) return 1;
  const figure = (name: string) => Number(member(text, name));
  process.stdout.write(
    asked.method === "POST"
      ? `${figure("cleared")} files given up\n`
      : `${figure("entries")} files, ${formatBytes(figure("bytes"))} of ${formatBytes(figure("bytesMax"))}\n`,
  );
  return 0;
}

/** What to ask, or what could not be understood. */
function askedFor([what = "show", ...rest]: readonly string[]): Asked | string {
  if (rest[0] !== undefined) return `"${rest[0]}" was not expected`;
  if (what === "show") return { method: "GET", path: "/cache", field: "cache" };
  return what === "clear"
    ? { method: "POST", path: "/cache/clear", field: "cache" }
    : `there is no "${what}", only show and clear`;
}
