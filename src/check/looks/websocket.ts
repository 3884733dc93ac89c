import { randomBytes } from "node:crypto";
import { acceptFor } from "../../message/handshake.ts";
import { fieldsOf } from "../answer.ts";
import type { Asked } from "../ask.ts";
import { type Check, fail, pass, skipped, untold, warn } from "../check.ts";
import type { SiteView } from "../view.ts";

const handshakes = new WeakMap<SiteView, Promise<{ readonly asked: Asked; readonly key: string }>>();

async function shake(
  view: SiteView,
  origin: string,
): Promise<{ readonly asked: Asked; readonly key: string }> {
  const key = randomBytes(16).toString("base64");
  const fields = ["Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Version", "13"];
  fields.push("Sec-WebSocket-Key", key, "Origin", origin);
  return { asked: await view.ask({ method: "GET", target: "/websocket", fields, alone: true }), key };
}

/** From the site's own page. */
function own(view: SiteView): Promise<{ readonly asked: Asked; readonly key: string }> {
  const before = handshakes.get(view);
  if (before !== undefined) return before;
  const shaking = shake(view, view.target.url);
  handshakes.set(view, shaking);
  return shaking;
}

/** What an answer to a proper handshake says about where it went (odoo-wire f). */
function causeOf(status: number, body: string): string {
  if (status === 400 && /upgrade|connection|websocket/i.test(body))
    return "the proxy does not pass Upgrade and Connection on, or sends /websocket to 8069 like any page";
  switch (status) {
    case 200:
      return "the proxy answered with a page: it does not route /websocket at all";
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return "it was redirected: the handshake reached something that is no WebSocket";
    case 400:
      return "refused as malformed: the proxy changes or drops a field of the handshake, or sends it to 8069";
    case 401:
      return "a password is asked for first";
    case 403:
      return "refused, although the Origin is the site's own: a rule for origins or addresses is too tight";
    case 404:
      return "no such route: /websocket is not passed on, or this is Odoo 15 or older";
    case 426:
      return "the version of the WebSocket was changed on the way";
    case 500:
      return "it reached Odoo's port 8069, where a WebSocket cannot be served (“Couldn't bind the websocket”): route it to 8072";
    case 502:
    case 503:
      return "nothing answers on port 8072: Odoo runs with workers = 0, or the gevent port is another one";
    case 504:
      return "port 8072 does not answer in time";
    default:
      return "an answer that no Odoo gives";
  }
}

const websocket: Check = {
  id: "websocket",
  title: "A WebSocket opens on /websocket",
  why: "Discuss, live chat, notifications and the point of sale's sync run over it; without it every open tab asks again and again and holds workers.",
  fix: "Route /websocket to Odoo's gevent port (8072) with HTTP/1.1 and the Upgrade and Connection fields.",
  async look(view) {
    const { asked, key } = await own(view);
    if (!asked.ok) {
      const { kind, detail } = asked.error;
      if (kind === "timeout")
        return fail(`The handshake got no answer (${detail}); the proxy holds it, or port 8072 hangs.`);
      return kind === "closed"
        ? fail(`The handshake was met with a closed connection (${detail}).`)
        : untold(asked.error);
    }
    const { status, fields, body } = asked.value;
    const login = status === 401 ? await view.login() : null;
    // A test copy behind a password: whether it opens is for those who have it.
    if (login?.ok === true && login.value.status === 401)
      return skipped(
        "GET /websocket with a handshake: 401, as every page here: a password is asked for first.",
      );
    if (status !== 101)
      return fail(`GET /websocket with a handshake: ${status}: ${causeOf(status, body.toString("latin1"))}.`);
    if (fieldsOf(fields, "sec-websocket-accept")[0] !== acceptFor(key))
      return fail("101, but Sec-WebSocket-Accept does not fit the key: something else than Odoo answered.");
    // RFC 6455 §4.1: browsers fail the connection without these two.
    const lacking = [
      ...(/^websocket$/i.test(fieldsOf(fields, "upgrade").join(", ")) ? [] : ["Upgrade: websocket"]),
      ...(/(?:^|,)\s*upgrade\s*(?:,|$)/i.test(fieldsOf(fields, "connection").join(", "))
        ? []
        : ["Connection: Upgrade"]),
    ];
    if (lacking.length > 0)
      return fail(`101, but without ${lacking.join(" and ")}, so browsers close it: a proxy drops them.`);
    return pass("101 with a fitting Sec-WebSocket-Accept.");
  },
};

const origin: Check = {
  id: "websocket-origin",
  title: "Foreign pages cannot open a WebSocket",
  why: "Odoo takes any Origin: a foreign page that a logged-in person opens reads that person's messages.",
  fix: "Refuse handshakes whose Origin is not the site's own, or set ODOO_BUS_PUBLIC_SAMESITE_WS for Odoo.",
  async look(view) {
    const first = await own(view);
    if (!first.asked.ok || first.asked.value.status !== 101)
      return skipped("No WebSocket opens at all (see websocket).");
    const { asked } = await shake(view, `https://odoo-gateway-check-${view.nonce}.invalid`);
    if (!asked.ok)
      return asked.error.kind === "closed"
        ? pass("A foreign Origin is met with a closed connection.")
        : untold(asked.error);
    const { status } = asked.value;
    return status === 101
      ? warn("A handshake with a foreign Origin got 101.")
      : pass(`A handshake with a foreign Origin got ${status}.`);
  },
};

export const websocketChecks: readonly Check[] = [websocket, origin];
