import { type InboundOptions, inboundFields } from "../../src/upstream/inbound.ts";
import { facts } from "./material.ts";
import type { Subject } from "./subject.ts";

const options: InboundOptions = {
  authorityOf: (host) => (host === "erp.example.com" ? host : null),
  sessionCookie: "session_id",
  headLength: null,
};
const shared = ["Server", "Werkzeug/3.0.1 Python/3.12.3", "Date", "Sat, 21 Nov 2026 10:00:00 GMT"];
const cookie = `session_id=${"b".repeat(84)}; Expires=Sat, 28 Nov 2026 10:00:00 GMT; Max-Age=604800; HttpOnly; Path=/`;
/** A page, a JSON answer, a redirect and a bundle, as Odoo 19 sends them. */
const answers: readonly (readonly string[])[] = [
  [
    ...shared,
    ...["Content-Type", "text/html; charset=utf-8", "Content-Length", "9000", "X-Frame-Options", "DENY"],
    ...["Content-Security-Policy", "frame-ancestors 0", "Set-Cookie", cookie, "Connection", "close"],
  ],
  [
    ...shared,
    "Content-Type",
    "application/json; charset=utf-8",
    "Content-Length",
    "1024",
    "Set-Cookie",
    cookie,
  ],
  [...shared, "Content-Length", "200", "Location", "http://erp.example.com/odoo", "Set-Cookie", cookie],
  [
    ...shared,
    ...[
      "Content-Type",
      "application/javascript; charset=utf-8",
      "Content-Length",
      "3000000",
      "ETag",
      `"a1-b2"`,
    ],
    ...["Cache-Control", "public, max-age=31536000, immutable", "X-Content-Type-Options", "nosniff"],
  ],
];

/** The fields of an answer of Odoo to those of ours. */
export const inboundSubject: Subject = {
  name: "inbound",
  calls: answers.length,
  step() {
    const [first] = facts;
    let fields = 0;
    if (first !== undefined)
      for (const answer of answers) fields += inboundFields(answer, first, options).length;
    return fields;
  },
};
