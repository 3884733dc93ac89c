import { randomBytes } from "node:crypto";
import type { Look } from "../../report/finding.ts";
import { fieldsOf } from "../answer.ts";
import { type Check, fail, pass, skipped, untold } from "../check.ts";
import { openForm, tryLogin } from "./log-in.ts";

/** Wrong guesses at one made-up account; the guides' limits answer by the tenth. */
const guessesMax = 12;
const guessesEnough = 10;

function tried(guesses: number): Look {
  return fail(`${guesses} wrong guesses in a row were all tried.`);
}

const limit: Check = {
  id: "login-limit",
  title: "Guessing passwords is slowed down",
  why: "Odoo counts wrong passwords for each of its workers and forgets them on any success; eight guesses a second also keep two workers busy.",
  fix: "Limit POST /web/login to a few attempts a minute for each address, and the other doors (session/authenticate, XML-RPC, JSON-RPC) too.",
  async look(view) {
    if (!view.loginCanary)
      return skipped(
        "Not asked for. --login-canary sends wrong guesses at a made-up account; it may ban this address for a while.",
      );
    const { page, form } = await openForm(view);
    if (!page.ok) return untold(page.error);
    if (page.value.status === 429) return pass("GET /web/login itself was answered with 429.");
    if (form === null)
      return skipped(`GET /web/login: ${page.value.status}, and no form that could be filled in.`);
    // A made-up account: nobody is locked out, and the name tells an operator who it was.
    const account = `odoo-gateway-check-${view.nonce}@example.invalid`;
    for (let guess = 1; guess <= guessesMax; guess += 1) {
      const asked = await tryLogin(view, form, account, randomBytes(12).toString("hex"));
      if (!asked.ok) {
        if (asked.error.kind === "closed" || asked.error.kind === "connect" || asked.error.kind === "tls")
          return pass(`After ${guess - 1} wrong guesses the connection was refused (${asked.error.detail}).`);
        // Enough to tell by: the look's requests ran out.
        if (asked.error.kind === "spent" && guess > guessesEnough) return tried(guess - 1);
        return untold(asked.error);
      }
      const { status, fields } = asked.value;
      const wait = fieldsOf(fields, "retry-after")[0];
      if (status === 429 || status === 403 || status === 503)
        return pass(
          `Guess ${guess} was answered with ${status}${wait === undefined ? "" : `, Retry-After: ${wait}`}.`,
        );
      if (status !== 200)
        return skipped(`Guess ${guess} was answered with ${status}, which is no log-in page.`);
    }
    return tried(guessesMax);
  },
};

export const loginLimitChecks: readonly Check[] = [limit];
