import { isLoopback, parseIp } from "../../base/ip.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import { matcherOf } from "../regex.ts";
import type { Hba, HbaLine } from "./hba.ts";

/** Who may connect to PostgreSQL from where, and how they prove who they are. */
export function auditHba(hba: Hba, file: string): readonly Note[] {
  const place = { file, line: null };
  const from = (id: string, good: string, look: (line: HbaLine) => readonly Note[]): readonly Note[] =>
    orPass(hba.lines.filter(({ method }) => method !== "reject").flatMap(look), id, good, place);
  const mistakes = [
    ...hba.mistakes.map((one) => note("hba-syntax", "fail", one.thing, one.place)),
    ...hba.unread.map((one) =>
      note("hba-syntax", "skipped", `${one.thing}: what that file allows was not looked at`, one.place),
    ),
  ];
  return [
    ...orPass(mistakes, "hba-syntax", `${hba.lines.length} lines`, place),
    ...from("hba-trust", "nobody is trusted without proof", trust),
    ...from("hba-any-address", "no line is for every address", anyAddress),
    ...from("hba-method", "passwords are proved with SCRAM", method),
    ...from("hba-tls", "connections over the network are encrypted", tls),
    ...from("hba-superuser", "the superuser comes from this machine only", superuser),
    ...from("hba-scope", "lines for the network name database and role", scope),
  ];
}

function trust({ method, type, address, place }: HbaLine): readonly Note[] {
  if (method !== "trust") return [];
  const who =
    type === "local" ? "every user of the machine" : `whoever connects from ${quoted(address ?? "")}`;
  return [note("hba-trust", "fail", `${who} is any role of the line without a password`, place)];
}

function anyAddress(line: HbaLine): readonly Note[] {
  return reach(line) === "everywhere"
    ? [note("hba-any-address", "fail", `${quoted(line.address ?? "")} is every address there is`, line.place)]
    : [];
}

function method({ method: used, type, place }: HbaLine): readonly Note[] {
  const id = "hba-method";
  if (used === "password" && type !== "hostssl")
    return [note(id, "fail", "method password sends the password as it is", place)];
  if (used === "password")
    return [note(id, "warn", "method password shows the server the password as it is", place)];
  if (used === "md5")
    return [
      note(
        id,
        "warn",
        "method md5 also takes passwords kept as MD5, which are as good as the password itself",
        place,
      ),
    ];
  if (used === "ident" && type !== "local")
    return [note(id, "fail", "method ident believes what the client's machine says about itself", place)];
  return [];
}

function tls(line: HbaLine): readonly Note[] {
  const id = "hba-tls";
  const where = reach(line);
  if (where === "local" || line.type === "hostssl" || line.type === "hostgssenc") return [];
  return line.type === "hostnossl"
    ? [note(id, "fail", `hostnossl for ${quoted(line.address ?? "")}: nothing is encrypted`, line.place)]
    : [
        note(
          id,
          "warn",
          `${line.type} for ${quoted(line.address ?? "")}: a client may come without TLS`,
          line.place,
        ),
      ];
}

function superuser(line: HbaLine): readonly Note[] {
  if (reach(line) === "local") return [];
  const isNamed = line.users.includes("postgres");
  if (!isNamed && !takesAll(line.users)) return [];
  return [
    note(
      "hba-superuser",
      isNamed ? "fail" : "warn",
      `${isNamed ? "postgres" : "every role, the superuser included,"} may come from ${quoted(line.address ?? "")}`,
      line.place,
    ),
  ];
}

/** `all`, or a regular expression behind a slash (PostgreSQL 16 on) that takes names which have nothing in common. */
function takesAll(names: readonly string[]): boolean {
  return names.some((one) => {
    if (!one.startsWith("/")) return one === "all";
    const takes = matcherOf(one.slice(1));
    return ["postgres", "q7"].every((name) => takes(name)?.matches === true);
  });
}

function scope(line: HbaLine): readonly Note[] {
  if (reach(line) === "local") return [];
  const wide = [
    ...(takesAll(line.databases) ? ["all databases"] : []),
    ...(takesAll(line.users) ? ["all roles"] : []),
  ];
  return wide.length === 0
    ? []
    : [
        note(
          "hba-scope",
          "warn",
          `${quoted(line.address ?? "")} is let to ${wide.join(" and ")}`,
          line.place,
        ),
      ];
}

/** How far a line reaches. `samehost` is this machine; a host name or `samenet` is the network. */
function reach({ type, address }: HbaLine): "local" | "network" | "everywhere" {
  if (type === "local" || address === null || address === "samehost" || address === "localhost")
    return "local";
  if (address === "all") return "everywhere";
  const [written = "", mask] = address.split(" ");
  const [base = "", prefix] = written.split("/");
  const ip = parseIp(base);
  // PostgreSQL also reads numbers with fewer than four parts: `0/0` is every address.
  if (ip === null && !/^[0-9.]+$/.test(base)) return "network";
  const isWide =
    mask === undefined
      ? prefix !== undefined && Number(prefix) < (base.includes(":") ? 16 : 8)
      : /^(?:0|1(?:28|92)|2(?:24|40|48|52|54))\.|^0$|^::$/.test(mask);
  if (isWide) return "everywhere";
  return ip !== null && isLoopback(ip) ? "local" : "network";
}
