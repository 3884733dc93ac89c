import { randomBytes } from "node:crypto";
import { isServiceReply } from "../../policy/guarded.ts";
import type { Look } from "../../report/finding.ts";
import { fieldsOf } from "../answer.ts";
import type { Asked } from "../ask.ts";
import { type Check, fail, pass, skipped, untold } from "../check.ts";
import type { SiteView } from "../view.ts";
import { formOf, type LoginForm, openForm, tryLogin } from "./log-in.ts";

/** Wrong guesses at one made-up account; the guides' limits answer by the tenth. */
const guessesMax = 12;
const guessesEnough = 10;

const notAskedFor = skipped(
  "Not asked for. --login-canary sends wrong guesses at a made-up account; it may ban this address for a while.",
);

/** A made-up account: nobody is locked out, and the name tells an operator who it was. */
function accountOf(view: SiteView): string {
  return `odoo-gateway-check-${view.nonce}@example.invalid`;
}

function wrongPassword(): string {
  return randomBytes(12).toString("hex");
}

/** What became of a row of wrong guesses at one door. */
type Row =
  | { readonly end: "limited"; readonly words: string }
  | { readonly end: "tried"; readonly guesses: number }
  /** It does not take guesses, or not from here. */
  | { readonly end: "no-door"; readonly words: string }
  | { readonly end: "unknown"; readonly look: Look };

/** Guesses until something refuses, at most `guessesMax` times. `isTried`: the answer says that the guess was looked at. */
async function guessAt(guess: () => Promise<Asked>, isTried: (asked: Asked) => boolean): Promise<Row> {
  for (let number = 1; number <= guessesMax; number += 1) {
    const asked = await guess();
    if (!asked.ok) {
      const { kind, detail } = asked.error;
      if (kind === "closed" || kind === "connect" || kind === "tls")
        return {
          end: "limited",
          words: `After ${number - 1} wrong guesses the connection was refused (${detail})`,
        };
      // Enough to tell by: the look's requests ran out.
      if (kind === "spent" && number > guessesEnough) return { end: "tried", guesses: number - 1 };
      return { end: "unknown", look: untold(asked.error) };
    }
    const { status, fields } = asked.value;
    const wait = fieldsOf(fields, "retry-after")[0];
    if (status === 429 || status === 403 || status === 503)
      return {
        end: "limited",
        words: `Guess ${number} was answered with ${status}${wait === undefined ? "" : `, Retry-After: ${wait}`}`,
      };
    if (!isTried(asked)) return { end: "no-door", words: `Guess ${number} was answered with ${status}` };
  }
  return { end: "tried", guesses: guessesMax };
}

const limit: Check = {
  id: "login-limit",
  title: "Guessing passwords is slowed down",
  why: "Odoo counts wrong passwords for each of its workers and forgets them on any success; eight guesses a second also keep two workers busy.",
  fix: "Limit POST /web/login to a few attempts a minute for each address, and the other doors (session/authenticate, XML-RPC, JSON-RPC) too.",
  async look(view) {
    if (!view.loginCanary) return notAskedFor;
    return (await atTheForm(view)).look;
  },
};

interface AtTheForm {
  readonly look: Look;
  /** Null: there was none to fill in. */
  readonly form: LoginForm | null;
}

const forms = new WeakMap<SiteView, Promise<AtTheForm>>();

/** The guesses at the form; made once for both checks. */
function atTheForm(view: SiteView): Promise<AtTheForm> {
  const before = forms.get(view) ?? guessAtTheForm(view);
  forms.set(view, before);
  return before;
}

async function guessAtTheForm(view: SiteView): Promise<AtTheForm> {
  const { page, form } = await openForm(view);
  if (!page.ok) return { look: untold(page.error), form };
  if (page.value.status === 429) return { look: pass("GET /web/login itself was answered with 429."), form };
  if (form === null)
    return {
      look: skipped(`GET /web/login: ${page.value.status}, and no form that could be filled in.`),
      form,
    };
  const row = await guessAt(
    () => tryLogin(view, form, accountOf(view), wrongPassword()),
    (asked) => asked.ok && asked.value.status === 200,
  );
  return { look: lookOf(row), form };
}

function lookOf(row: Row): Look {
  switch (row.end) {
    case "limited":
      return pass(`${row.words}.`);
    case "tried":
      return fail(`${row.guesses} wrong guesses in a row were all tried.`);
    case "no-door":
      return skipped(`${row.words}, which is no log-in page.`);
    case "unknown":
      return row.look;
  }
}

interface Door {
  readonly name: string;
  readonly guess: () => Promise<Asked>;
  readonly isTried: (asked: Asked) => boolean;
}

/** The doors beside the form that take a name and a password of whoever comes. */
async function doorsOf(view: SiteView, form: LoginForm | null): Promise<readonly Door[]> {
  const [language = "en"] = await view.languages();
  const [account, database] = [accountOf(view), `odoo-gateway-check-${view.nonce}`];
  const json = (target: string, params: (password: string) => unknown): Door => ({
    name: `POST ${target}`,
    guess: () =>
      view.ask({
        method: "POST",
        target,
        fields: ["Content-Type", "application/json"],
        body: JSON.stringify({ jsonrpc: "2.0", method: "call", id: 1, params: params(wrongPassword()) }),
        alone: true,
      }),
    isTried: isReply,
  });
  const behindLanguage: Door[] =
    form === null
      ? []
      : [
          {
            name: `POST /${language}/web/login`,
            guess: () => tryLogin(view, form, account, wrongPassword(), `/${language}/web/login`),
            isTried: (asked) => formOf(asked) !== null,
          },
        ];
  const strings = (texts: readonly string[]) =>
    texts.map((text) => `<param><value><string>${text}</string></value></param>`).join("");
  return [
    ...behindLanguage,
    json("/web/session/authenticate", (password) => ({ db: database, login: account, password })),
    json("/jsonrpc", (password) => ({
      service: "common",
      method: "authenticate",
      args: [database, account, password, {}],
    })),
    {
      name: "POST /xmlrpc/2/common",
      guess: () =>
        view.ask({
          method: "POST",
          target: "/xmlrpc/2/common",
          fields: ["Content-Type", "text/xml"],
          body: `<?xml version="1.0"?><methodCall><methodName>authenticate</methodName><params>${strings([database, account, wrongPassword()])}<param><value><struct></struct></value></param></params></methodCall>`,
          alone: true,
        }),
      isTried: isReply,
    },
  ];
}

/** An answer of the service itself: a wrong password, or that there is no such database. */
function isReply(asked: Asked): boolean {
  return asked.ok && isServiceReply(asked.value.body.toString("latin1"));
}

const doors: Check = {
  id: "login-limit-doors",
  title: "Guessing passwords is slowed down at every door",
  why: "The form behind a language, /web/session/authenticate, JSON-RPC and XML-RPC take the same names and passwords. A limit on /web/login alone sends whoever guesses there, where Odoo writes no address into its log.",
  fix: "Limit these doors as the form, in every spelling, or close XML-RPC and JSON-RPC to all but the networks of your programs.",
  async look(view) {
    if (!view.loginCanary) return notAskedFor;
    const { look: first, form } = await atTheForm(view);
    if (first.outcome === "fail") return skipped("The form itself is not limited (see login-limit).");
    const [open, closed]: [string[], string[]] = [[], []];
    let unknown: Look | null = null;
    for (const { name, guess, isTried } of await doorsOf(view, form)) {
      const row = await guessAt(guess, isTried);
      if (row.end === "tried") open.push(name);
      else if (row.end === "unknown") unknown ??= row.look;
      else closed.push(`${name}: ${row.words}`);
    }
    if (open.length > 0)
      return fail(`${guessesMax} wrong guesses in a row were all tried by ${open.join(", ")}.`);
    return unknown ?? pass(`${closed.join("; ")}.`);
  },
};

export const loginLimitChecks: readonly Check[] = [limit, doors];
