import type { Place } from "../../report/finding.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import { type Reading, readLine } from "./failregex.ts";
import type { Filter, Jail } from "./jails.ts";

/** How a line of Odoo's comes to fail2ban; "other": it reads the log of something else. */
export type Form = "plain" | "journal" | "syslog" | "docker" | "gateway" | "other";

/** The form by the jail's backend and the path of its log. */
export function formOf({ backend, logpath, filter }: Jail): Form {
  if (filter?.failregex?.some((one) => one.includes('"event":')) === true) return "gateway";
  if (/^systemd\b/.test(backend)) return "journal";
  const path = logpath.join(" ");
  if (/docker\/containers|-json\.log/.test(path)) return "docker";
  if (/(?:^|[\s/])(?:syslog|messages|daemon\.log|user\.log)/.test(path)) return "syslog";
  return /nginx|apache|httpd|caddy|traefik|access/i.test(path) ? "other" : "plain";
}

const stranger = "203.0.113.9";
const victim = "198.51.100.7";
const date = "2026-11-21 03:40:52,506";

/** Odoo's line as the patterns get it: fail2ban takes the date out first, in front of which nothing may stand then. */
function linesOf(message: string, form: Form, hasOwnDates: boolean): readonly string[] {
  const line = `24849 INFO prod odoo.addons.base.models.res_users: ${message}`;
  switch (form) {
    case "journal":
      return [`erp odoo[24849]: ${date} ${line}`, `erp odoo[24849]:  ${line}`];
    case "syslog":
      return [` erp odoo[24849]: ${date} ${line}`, ` erp odoo[24849]:  ${line}`];
    case "docker":
      return [`${date} ${line}`, ` ${line}`].map(
        (one) => `{"log":"${one}\\n","stream":"stderr","time":"2026-11-21T03:40:52.507123456Z"}`,
      );
    default:
      return hasOwnDates ? [` ${line}`, `${date} ${line}`, line] : [` ${line}`];
  }
}

/** What the filter makes of a message of Odoo's, in any of the ways in which it may come. */
function tried(filter: Filter, form: Form, message: string, expected = stranger): Reading {
  const readings = linesOf(message, form, filter.hasOwnDates).map((line) => readLine(filter, line));
  return (
    readings.find((one) => one.kind === "address" && one.address === expected) ??
    readings.find((one) => one.kind === "address") ??
    readings.find((one) => one.kind === "unknown") ?? { kind: "none" }
  );
}

const fix =
  "failregex = odoo\\.addons\\.base\\.models\\.res_users: Login failed for (?:db:\\S+ )?login:.* from <ADDR>\\s*$ — then try it: fail2ban-regex odoo.log filter.d/odoo.conf";
const dockerFix =
  "Write ` from <ADDR>\\s*\\\\n` at the end of failregex, behind login:.* — or let Odoo write a logfile into a volume.";

/** Tries a filter on what Odoo 16 to 19 write, on a successful log-in and on a name that poses as an address. */
export function filterNotes(filter: Filter, form: Form, place: Place, jail = ""): readonly Note[] {
  const id = "fail2ban-filter";
  const who = jail === "" ? filter.name : `[${jail}], filter ${filter.name}`;
  const where = filter.failregex === null || filter.failregex.length > 0 ? filter.place : place;
  if (form === "gateway" || filter.failregex?.some((one) => one.includes('"event":')) === true)
    return [note(id, "skipped", `${who} reads the gateway's own log`, where)];
  if (form === "other") return [accessLog(filter, who, where)];
  if (filter.failregex?.length === 0) return [note(id, "fail", `${who} has no failregex`, where)];
  const words = { fix: form === "docker" ? dockerFix : fix };
  const now = tried(filter, form, `Login failed for login:admin from ${stranger}`);
  const before = tried(filter, form, `Login failed for db:prod login:admin from ${stranger}`);
  if (now.kind === "unknown" || before.kind === "unknown")
    return [
      note(
        id,
        "skipped",
        `${who}: a pattern or a variable of it cannot be tried here; fail2ban-regex on a line of the log tells`,
        where,
      ),
    ];
  const notes: Note[] = [];
  const wrong = [now, before].find((one) => one.kind === "address" && one.address !== stranger);
  if (wrong?.kind === "address")
    notes.push(
      note(
        id,
        "fail",
        `${who}: of a line from ${stranger} it bans ${quoted(wrong.address)} (${quoted(wrong.pattern)})`,
        where,
        {
          why: "In front of <HOST> a .* takes all it can, and leaves the end of the address: strangers are banned, and whoever guesses is not.",
          ...words,
        },
      ),
    );
  else if (now.kind === "none" && before.kind === "none")
    notes.push(
      note(
        id,
        "fail",
        `${who} matches no line of a failed log-in of Odoo 16 to 19${hint(filter)}`,
        where,
        words,
      ),
    );
  else if (now.kind === "none")
    notes.push(
      note(
        id,
        "fail",
        `${who} matches Odoo 16 to 18 only: Odoo 19 writes no db: in the line, and nobody would be banned`,
        where,
        words,
      ),
    );
  else if (before.kind === "none")
    notes.push(
      note(
        id,
        "warn",
        `${who} matches Odoo 19 only: Odoo 16 to 18 write db:NAME in front of login:`,
        where,
        words,
      ),
    );
  const good = ["login:ann", "db:prod login:ann"].some(
    (login) => tried(filter, form, `Login successful for ${login} from ${stranger}`).kind === "address",
  );
  if (good)
    notes.push(
      note(id, "fail", `${who} matches successful log-ins, too: who works with Odoo is banned`, where, words),
    );
  const isFine = now.kind === "address" && now.address === stranger;
  if (
    isFine &&
    tried(filter, form, "Login failed for login:admin from 2001:db8::9", "2001:db8::9").kind === "none"
  )
    notes.push(note(id, "warn", `${who} reads addresses of IPv4 only`, where, words));
  const all = orPass(notes, id, `${who} reads the address of a failed log-in`, where);
  return [...all, ...(isFine || before.kind === "address" ? [spoof(filter, form, who, where, words)] : [])];
}

/** A log-in in a proxy's log (combined format, its date taken out): Odoo answers 200 to a wrong password, 303 to a right one. */
function accessLog(filter: Filter, who: string, place: Place): Note {
  const id = "fail2ban-filter";
  const reading = (status: number) =>
    readLine(
      filter,
      `${stranger} - - [] "POST /web/login HTTP/1.1" ${status} 4321 "https://erp.example.com/web/login" "Mozilla/5.0"`,
    ).kind;
  if (reading(303) === "address")
    return note(
      id,
      "fail",
      `${who} matches successful log-ins in the proxy's log, too: who works with Odoo is banned`,
      place,
      {
        why: "Odoo answers 200 to a wrong password and 303 to a right one; a pattern without the status counts both.",
        fix: 'Let the pattern hold the status: failregex = ^<HOST> \\S+ \\S+ \\[\\] "POST (?:/[a-z_A-Z]+)?/web/login\\S* HTTP/[0-9.]+" 200',
      },
    );
  return reading(200) === "address"
    ? note(
        id,
        "pass",
        `${who} reads failed log-ins of the page /web/login; those over RPC are 200 like any call, and not seen`,
        place,
      )
    : note(id, "skipped", `${who} reads the log of a proxy, and no log-in in it as it is tried here`, place);
}

function spoof(filter: Filter, form: Form, who: string, place: Place, words: { readonly fix: string }): Note {
  const id = "fail2ban-spoof";
  const isTaken = ["login:", "db:prod login:"].some((start) => {
    const reading = tried(filter, form, `Login failed for ${start}x from ${victim} from ${stranger}`, victim);
    return reading.kind === "address" && reading.address === victim;
  });
  return isTaken
    ? note(
        id,
        "fail",
        `${who}: who logs in as "x from ${victim}" has ${victim} banned, and not himself`,
        place,
        words,
      )
    : note(id, "pass", `${who}: a name that holds an address bans nobody else`, place);
}

/** Why nothing matches, where the pattern tells. */
function hint({ failregex }: Filter): string {
  const text = (failregex ?? []).join("\n");
  if (/base\.?\\?\.res\.?\\?\.res_users|base\.res\.res_users/.test(text))
    return "; it names the logger base.res.res_users of Odoo 11, which is base.models.res_users since";
  return /[Dd]atabase manager|Authentication failure/.test(text) ? "; Odoo writes no such words" : "";
}
