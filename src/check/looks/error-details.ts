import type { Look } from "../../report/finding.ts";
import { type Check, pass, untold, warn } from "../check.ts";

/** Python's own words; in JSON the quotes are escaped. */
const traceback = /Traceback \(most recent call last\)|File \\?"[^"\n]{1,300}", line [0-9]/;

const json = (target: string, params: string) => ({
  method: "POST",
  target,
  fields: ["Content-Type", "application/json"],
  body: `{"jsonrpc":"2.0","method":"call","id":1,"params":${params}}`,
});

/** Calls that end in an error and reach no database: one that needs a session, and a method no service has. */
const questions = [
  json("/web/dataset/call_kw", "{}"),
  json("/jsonrpc", '{"service":"common","method":"odoo_gateway_check","args":[]}'),
  {
    method: "POST",
    target: "/xmlrpc/2/common",
    fields: ["Content-Type", "text/xml"],
    body: '<?xml version="1.0"?><methodCall><methodName>odoo_gateway_check</methodName><params></params></methodCall>',
  },
];

const errorDetails: Check = {
  id: "error-details",
  title: "Errors do not show program code to strangers",
  why: "Odoo sends a traceback with each error of an RPC call: folders of the server, names and versions of modules, arguments and queries.",
  fix: "Let the gateway take tracebacks out of answers to strangers, or close XML-RPC and JSON-RPC to all but the networks of your programs; leave dev_mode out of odoo.conf.",
  async look(view) {
    const [told, quiet]: [string[], string[]] = [[], []];
    let trouble: Look | null = null;
    for (const question of questions) {
      const asked = await view.ask(question);
      const name = `POST ${question.target}`;
      if (!asked.ok) {
        if (asked.error.kind === "closed") quiet.push(`${name} closed`);
        else trouble ??= untold(asked.error);
      } else if (traceback.test(asked.value.body.toString("latin1"))) told.push(name);
      else quiet.push(`${name} ${asked.value.status}`);
    }
    if (told.length > 0) return warn(`A traceback came with ${told.join(", ")}.`);
    const silence = quiet.every((one) => one.endsWith(" closed")) ? await view.silence() : null;
    if (silence !== null) trouble ??= untold(silence);
    return trouble ?? pass(`None came: ${quiet.join(", ")}.`);
  },
};

export const errorDetailChecks: readonly Check[] = [errorDetails];
