import { isUtf8 } from "node:buffer";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { AskedBody } from "./login-watch.ts";

/** Most form fields or parts that are looked at; more give no reading. */
const fieldsMax = 100;

type Field = readonly [name: string, value: string];
type AskedFacts = Pick<RequestFacts, "contentType" | "fields">;

/** The fields of a form, urlencoded or multipart, where it is wholly in memory and has one reading; null otherwise; none for another type. */
export function formFields(facts: AskedFacts, body: Pick<AskedBody, "memory" | "whole">): Field[] | null {
  if (!body.whole || !isUtf8(body.memory)) return null;
  const type = firstField(facts.fields, "content-type") ?? "";
  const text = Buffer.from(body.memory).toString("utf8");
  switch (facts.contentType) {
    case "application/x-www-form-urlencoded":
    case "application/x-url-encoded":
      return /;[ \t]*charset[ \t]*=[ \t]*(?!"?utf-8"?[ \t]*(?:;|$))/i.test(type) ? null : fieldsOf(text);
    case "multipart/form-data":
      return partsOf(type, text);
    default:
      return [];
  }
}

/** Name and value pairs; null when an escape is broken or does not spell UTF-8. */
export function fieldsOf(text: string): Field[] | null {
  if (text === "") return [];
  const pairs = text.split("&", fieldsMax + 1);
  if (pairs.length > fieldsMax) return null;
  const fields: Field[] = [];
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const name = decoded(at < 0 ? pair : pair.slice(0, at));
    const value = decoded(at < 0 ? "" : pair.slice(at + 1));
    if (name === null || value === null) return null;
    fields.push([name, value]);
  }
  return fields;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return null;
  }
}

const partHead =
  /^\r\nContent-Disposition: form-data; name="([^"\\%\r\n]*)"(; filename="[^"\r\n]*")?(\r\nContent-Type: [^\r\n]*)?\r\n\r\n/i;

/** Nothing but the boundary, once: with another parameter before it, or in one, Werkzeug may take another boundary. */
const multipartType =
  /^multipart\/form-data[ \t]*;[ \t]*boundary=(?:"([A-Za-z0-9'()+_,./:=? -]{1,70})"|([A-Za-z0-9'()+_,./:=?-]{1,70}))[ \t]*(?:;[ \t]*charset=utf-8[ \t]*)?$/i;

/** Parts as browsers write them (RFC 7578 §4.2); anything else has no reading. */
function partsOf(type: string, text: string): Field[] | null {
  const boundary = multipartType.exec(type);
  const mark = boundary?.[1] ?? boundary?.[2];
  if (mark === undefined) return null;
  const pieces = text.split(`--${mark}`, fieldsMax + 2);
  if (pieces.length < 2 || pieces.length > fieldsMax + 1 || pieces[0] !== "") return null;
  if (!/^--(?:\r\n)?$/.test(pieces.at(-1) ?? "")) return null;
  const fields: Field[] = [];
  for (const piece of pieces.slice(1, -1)) {
    const head = partHead.exec(piece);
    const name = head?.[1];
    if (head === null || name === undefined || !piece.endsWith("\r\n")) return null;
    if (head[2] !== undefined) continue;
    if (head[3] !== undefined) return null;
    fields.push([name, piece.slice(head[0].length, -2)]);
  }
  return fields;
}
