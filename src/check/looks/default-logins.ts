import { fieldsOf } from "../answer.ts";
import { type Check, fail, pass, skipped, untold } from "../check.ts";
import { formOf, openForm, tryLogin } from "./log-in.ts";

/** Accounts every new database has: the administrator, and the one of the demonstration data. Password and name are the same. */
const accounts = ["admin", "demo"];

const logins: Check = {
  id: "default-logins",
  title: "The passwords Odoo comes with do not open it",
  why: "Everybody tries admin/admin and demo/demo first, on test copies too, whose data is real.",
  fix: "Give admin another password and, better, another login; make databases without demonstration data, or archive the user demo.",
  async look(view) {
    if (!view.loginCanary)
      return skipped("Not asked for. --login-canary tries admin/admin and demo/demo, once each.");
    const answers: string[] = [];
    const open: string[] = [];
    let page = await view.login();
    let form = formOf(page);
    for (const account of accounts) {
      if (form === null) ({ page, form } = await openForm(view));
      if (open.length > 0 && form === null) break;
      if (!page.ok) return untold(page.error);
      if (form === null)
        return skipped(`GET /web/login: ${page.value.status}, and no form that could be filled in.`);
      const asked = await tryLogin(view, form, account, account);
      if (!asked.ok) {
        if (asked.error.kind !== "closed") return open.length > 0 ? fail(told(open)) : untold(asked.error);
        answers.push(`${account}: closed`);
        continue;
      }
      const { status, fields } = asked.value;
      const to = fieldsOf(fields, "location")[0] ?? "";
      // Odoo answers a wrong password with the page again; a right one leads on, to the client or to the second factor.
      const isIn = (status === 302 || status === 303) && !/\/web\/login(?:[?#]|$)|\/web\/database\//.test(to);
      if (isIn) {
        open.push(account);
        // The token holds for the session before.
        form = null;
      } else answers.push(`${account}: ${status}`);
    }
    if (open.length > 0) return fail(told(open));
    const seen = answers.join(", ");
    return answers.some((one) => /: 5\d\d$/.test(one))
      ? skipped(`No word on the passwords came (${seen}).`)
      : pass(`Refused (${seen}).`);
  },
};

function told(open: readonly string[]): string {
  return `Let in: ${open.map((account) => `${account}/${account}`).join(", ")}.`;
}

export const defaultLoginChecks: readonly Check[] = [logins];
