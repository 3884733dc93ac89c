import { complain, type Read, shown } from "./complaint.ts";
import type { ReadFile } from "./read-file.ts";
import type { SettingReader } from "./reader.ts";
import type { AccountBinding } from "./settings.ts";
import type { SettingName } from "./table.ts";
import { readLine } from "./values.ts";

/** The three settings of one account binding: key id, key, and a file with the key. */
export const bindingNames = {
  first: ["ACME_EAB_KID", "ACME_EAB_HMAC_KEY", "ACME_EAB_HMAC_KEY_FILE"],
  fallback: ["ACME_FALLBACK_EAB_KID", "ACME_FALLBACK_EAB_HMAC_KEY", "ACME_FALLBACK_EAB_HMAC_KEY_FILE"],
} as const satisfies Readonly<Record<string, readonly [SettingName, SettingName, SettingName]>>;

/**
 * Reads an external account binding (RFC 8555 §7.3.4); null when none is given or a part has a problem. The key comes
 * from the setting or from a file, never from both; it is quoted in no message.
 */
export function readBinding(
  reader: SettingReader,
  [kidName, keyName, fileName]: (typeof bindingNames)["first" | "fallback"],
  path: (text: string) => Read<string>,
  readFile: ReadFile,
): AccountBinding | null {
  const kid = reader.maybe(kidName, readLine);
  const typed = reader.maybe(keyName, readHmacKey);
  const filed = reader.maybe(fileName, (text) => keyFrom(text, path, readFile));
  if (reader.has(keyName) && reader.has(fileName))
    reader.complain(keyName, { thing: `and ${fileName} are both set`, remedy: "set one of them" });
  const keyGiven = reader.has(keyName) ? keyName : reader.has(fileName) ? fileName : null;
  const remedy = "the authority gives both";
  if (reader.has(kidName) && keyGiven === null)
    reader.complain(kidName, { thing: `needs ${keyName} too`, remedy });
  if (!reader.has(kidName) && keyGiven !== null)
    reader.complain(keyGiven, { thing: `needs ${kidName} too`, remedy });
  const hmacKey = typed ?? filed;
  return kid === null || hmacKey === null ? null : { kid, hmacKey };
}

/** Base64url, as authorities give it. */
function readHmacKey(text: string): Read<string> {
  const key = text.trim();
  return /^[A-Za-z0-9_-]{16,1024}={0,2}$/.test(key)
    ? { ok: true, value: key.replace(/=+$/, "") }
    : complain("is no base64url key", "copy the HMAC key of the account's external binding");
}

function keyFrom(text: string, path: (text: string) => Read<string>, readFile: ReadFile): Read<string> {
  const absolute = path(text);
  if (!absolute.ok) return absolute;
  const read = readFile(absolute.value);
  if (!read.ok)
    return complain(`${shown(text)} cannot be read: ${read.error.detail}`, "name a readable file");
  const key = readHmacKey(read.value);
  return key.ok ? key : complain(`${shown(text)} holds no base64url key`, key.error.remedy);
}
