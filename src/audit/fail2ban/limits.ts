import { type Note, note, orPass, quoted } from "../note.ts";
import { secondsOf } from "./config.ts";
import type { Jail } from "./jails.ts";
import { formOf } from "./tried.ts";

/** Guesses a day of one address that stays below the bound; guide 1's values leave 576. */
const guessesMax = 3_000;
const banSecondsLeast = 600;
/** fail2ban's own (jail.conf). */
const defaults = { maxretry: "5", findtime: "10m", bantime: "10m" } as const;

/** How many guesses a jail leaves, and for how long it bans. */
export function limits(jail: Jail): readonly Note[] {
  const id = "fail2ban-limits";
  // The gateway bans by itself; a jail on its log is the second line, and may be wide.
  if (formOf(jail) === "gateway") return [];
  const notes: Note[] = [];
  const written = (name: keyof typeof defaults) => {
    const option = jail.option(name);
    // A comment behind the value is told elsewhere, with what becomes of it.
    const value = option === null ? defaults[name] : (option.value?.replace(/\s#.*$/s, "") ?? null);
    return { value, place: option?.place ?? jail.place };
  };
  const [retry, window, ban] = [written("maxretry"), written("findtime"), written("bantime")];
  const count = retry.value !== null && /^[0-9]{1,9}$/.test(retry.value.trim()) ? Number(retry.value) : null;
  const seconds = window.value === null ? null : secondsOf(window.value);
  const banned = ban.value === null ? null : secondsOf(ban.value);
  for (const [name, { value, place }, number] of [
    ["maxretry", retry, count],
    ["findtime", window, seconds],
    ["bantime", ban, banned],
  ] as const)
    if (number === null)
      notes.push(
        value === null
          ? note(id, "skipped", `[${jail.name}] ${name}: a variable of it is not known here`, place)
          : note(id, "warn", `[${jail.name}] ${name} = ${quoted(value)} cannot be read`, place),
      );
  if (count !== null && seconds !== null && seconds > 0) {
    const guesses = Math.floor((Math.max(0, count - 1) * 86_400) / seconds);
    if (guesses > guessesMax)
      notes.push(
        note(
          id,
          "warn",
          `[${jail.name}] ${count} in ${seconds} s: an address that stays below guesses ${guesses} times a day`,
          window.place,
        ),
      );
  }
  if (banned !== null && banned < 0)
    notes.push(
      note(
        id,
        "warn",
        `[${jail.name}] bantime = ${ban.value}: for ever, an office behind one address as well`,
        ban.place,
        {
          fix: "Write bantime = 2h and bantime.increment = true.",
        },
      ),
    );
  else if (banned !== null && banned < banSecondsLeast)
    notes.push(note(id, "warn", `[${jail.name}] bans for ${banned} s only`, ban.place));
  const ignored = jail.option("ignoreip");
  const open = ignored?.value?.split(/[\s,]+/).find((one) => /\/[0-7]$/.test(one) && !one.startsWith("127."));
  if (ignored !== null && open !== undefined)
    notes.push(
      note(id, "fail", `[${jail.name}] ignoreip holds ${quoted(open)}: nobody is banned`, ignored.place, {
        fix: "Name single addresses and networks of your own.",
      }),
    );
  return orPass(notes, id, `[${jail.name}] ${count} in ${seconds} s, then ${banned} s`, retry.place);
}
