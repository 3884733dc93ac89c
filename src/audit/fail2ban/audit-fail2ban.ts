import type { ConfView } from "../conf/view.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import { Fail2banConfig, type Text, type Trouble } from "./config.ts";
import { filterOf, type Jail, jailsOf, type ReadFilter } from "./jails.ts";
import { limits } from "./limits.ts";
import { logOf } from "./log.ts";
import { filterNotes, formOf } from "./tried.ts";

/** What an operator named: a folder such as /etc/fail2ban, a file of jails, or a filter. */
export interface Fail2banFiles {
  readonly name: string;
  /** Texts of jails in the order in which they hold, or a filter's with those it includes. */
  readonly texts: readonly Text[];
  readonly readFilter: ReadFilter;
}

/** Other programs write "Login failed for" as well, such as SQL Server. */
const aboutOdoo = /odoo|openerp|openspp|res_users|Login failed for .{0,20}(?:db|login):/i;

/** What jails and filters make of Odoo's log. */
export function auditFail2ban(files: Fail2banFiles, conf: ConfView | null): readonly Note[] {
  const config = new Fail2banConfig(files.texts);
  const place = { file: files.name, line: null };
  if (config.sections.has("Definition")) {
    const name = /([^/\\]+)\.[a-z]+$/.exec(files.name)?.[1] ?? files.name;
    const filter = filterOf(config, "Definition", name);
    return [
      ...syntax(config, files.name, `the filter ${name}`),
      ...filterNotes(filter, "plain", filter.place),
    ];
  }
  const jails = jailsOf(config, files.readFilter);
  const odoos = jails.filter(isAboutOdoo);
  if (odoos.length === 0)
    return [
      ...config.mistakes.map(mistake),
      note(
        "fail2ban-syntax",
        "warn",
        `${jails.length} jails, none of them watches Odoo's log: nothing to look at`,
        place,
      ),
    ];
  return [
    ...syntax(config, files.name, `${odoos.length} of ${jails.length} jails watch Odoo`, odoos),
    ...odoos.flatMap((jail) => [
      ...(jail.filter === null ? [] : filterNotes(jail.filter, formOf(jail), jail.place, jail.name)),
      ...logOf(jail, conf),
      ...limits(jail),
    ]),
  ];
}

function isAboutOdoo({ name, filterName, logpath, filter }: Jail): boolean {
  return aboutOdoo.test([name, filterName, ...logpath, ...(filter?.failregex ?? [])].join("\n"));
}

function mistake({ thing, place }: Trouble): Note {
  return note("fail2ban-syntax", "fail", `${thing}; fail2ban does not start with it`, place);
}

/** Options of actions whose value is nobody's to read. */
const secret = /token|pass|key|secret|pw$/;

/** Options whose value may hold a `#`. */
const patterns = /regex$|^datepattern$|^action|^banaction|^journalmatch$|^ignorecommand$/;

function syntax(
  config: Fail2banConfig,
  file: string,
  good: string,
  jails: readonly Jail[] = [],
): readonly Note[] {
  const id = "fail2ban-syntax";
  const notes = config.mistakes.map(mistake);
  const names = new Set(["DEFAULT", ...jails.map(({ name }) => name)]);
  for (const [section, options] of config.sections)
    for (const [name, { value, place }] of names.has(section) ? options : [])
      if (/\s#/.test(value) && !patterns.test(name))
        notes.push(
          note(
            id,
            name === "maxretry" || name === "enabled" ? "fail" : "warn",
            `${name} = ${secret.test(name) ? "…" : quoted(value)}: the # belongs to the value; fail2ban knows ; for comments behind values`,
            place,
            { fix: "Put the comment in a line of its own." },
          ),
        );
  for (const jail of jails) {
    if (jail.filter === null)
      notes.push(
        note(
          id,
          "skipped",
          `[${jail.name}]: no filter.d/${jail.filterName}.conf is here; what it matches is not known`,
          jail.place,
          {
            fix: "Give the folder /etc/fail2ban, or the filter's file as well.",
          },
        ),
      );
    if (!jail.isEnabled)
      notes.push(
        note(id, "warn", `[${jail.name}] is not enabled`, jail.place, {
          fix: "Write enabled = true in the jail.",
        }),
      );
  }
  return orPass(notes, id, good, { file, line: null });
}
