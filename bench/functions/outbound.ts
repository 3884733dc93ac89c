import { type OutboundOptions, outboundFields } from "../../src/upstream/outbound.ts";
import { facts } from "./material.ts";
import type { Subject } from "./subject.ts";

const options: OutboundOptions = {
  exchangeId: "01ARZ3NDEKTSV4RRFFQ69G5FAV",
  bodyBytes: 200,
  keepAlive: false,
  keepDatabaseField: false,
  sessionCookie: "session_id",
  ownCookie: null,
  dropAuthorization: false,
  identityOnly: true,
};

/** Facts to the fields for Odoo. */
export const outboundSubject: Subject = {
  name: "outbound",
  calls: facts.length,
  step() {
    let fields = 0;
    for (const one of facts) fields += outboundFields(one, options).length;
    return fields;
  },
};
