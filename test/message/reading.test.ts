import fc from "fast-check";
import t from "tap";
import { targetBytesMax } from "../../src/message/bounds.ts";
import {
  hardenSetCookie,
  joinCookies,
  readCookie,
  renameCookie,
  renameSetCookie,
} from "../../src/message/cookies.ts";
import {
  connectionTokens,
  fieldValues,
  hasUnderscore,
  isFieldValue,
  isToken,
  trimOws,
} from "../../src/message/fields.ts";
import { clientAddress } from "../../src/message/forwarded.ts";
import { wantsHtml, wantsJsonRpc } from "../../src/message/json-caller.ts";
import { redactTarget } from "../../src/message/redact.ts";
import { refusals } from "../../src/message/refusals.ts";
import { readTarget } from "../../src/message/target.ts";
import { factsOf, head, headWith, ip, ipSet } from "./head.ts";

function reading(target: string): string {
  const result = readTarget(target);
  if (!result.ok) return `${result.error.status} ${result.error.code}`;
  return result.value.paths.join(" | ");
}

t.test("every refusal says what and why, in a form logs can count", async (t) => {
  for (const [code, row] of Object.entries(refusals)) {
    t.match(code, /^[a-z0-9]+(-[a-z0-9]+)*$/, `${code} is kebab-case`);
    t.match(row.detail, /^[A-Z].*\.$/, `${code} has a sentence`);
    t.ok(row.status >= 400 && row.status < 600, `${code} has an error status`);
  }
});

t.test("a target has one canonical path, and a second one behind a possible language", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["/", "/"],
    ["/odoo", "/odoo"],
    ["/odoo/", "/odoo"],
    ["/web/login", "/web/login | /login"],
    ["/web/login///", "/web/login | /login"],
    ["/web//login", "/web/login | /login"],
    ["/%77eb/login", "/web/login | /login"],
    ["/%77%65%62/%6Cogin", "/web/login | /login"],
    ["/fr/web/login", "/fr/web/login | /web/login"],
    ["/%66r/web/login", "/fr/web/login | /web/login"],
    ["/fr//web/login", "/fr/web/login | /web/login"],
    ["/fr", "/fr | /"],
    ["/fr/", "/fr | /"],
    ["/pt_BR/web/login", "/pt_BR/web/login | /web/login"],
    ["/zh-hans-cn/web/login", "/zh-hans-cn/web/login | /web/login"],
    ["/sr@latin/web/login", "/sr@latin/web/login | /web/login"],
    ["/sr%40latin/web/login", "/sr@latin/web/login | /web/login"],
    ["/shop/web/login", "/shop/web/login"],
    ["/fr_/web/login", "/fr_/web/login"],
    ["/caf%C3%A9", "/café"],
    ["/odoo/100%25", "/odoo/100%"],
    ["/odoo/100%25zz", "/odoo/100%zz"],
    ["/odoo/a%20b", "/odoo/a b"],
    ["/odoo/.well-known", "/odoo/.well-known"],
    ["/odoo/...", "/odoo/..."],
    ["/odoo/a..b", "/odoo/a..b"],
    ["/shop/x;y=1", "/shop/x;y=1"],
    ["/shop/a:b", "/shop/a:b"],
    ["/odoo/t:x/y/z/w:", "400 target-drive"],
    ["/website/image/ir.attachment/1_ab/datas/d:x", "/website/image/ir.attachment/1_ab/datas/d:x"],
  ];
  for (const [target, expected] of table) t.equal(reading(target), expected, target);
});

t.test("the query stays as it came", async (t) => {
  const query = (target: string): string => {
    const result = readTarget(target);
    return result.ok ? result.value.query : result.error.code;
  };
  t.equal(query("/odoo"), "");
  t.equal(query("/odoo?"), "");
  t.equal(query("/odoo?a=b?c"), "a=b?c");
  t.equal(query("/odoo?a=%zz&b=%"), "a=%zz&b=%", "broken escapes are left alone");
  t.equal(query("/odoo?path=../..&u=//x&w=a\\b"), "path=../..&u=//x&w=a\\b");
  t.equal(query("/odoo?a=%0d%0a"), "a=%0d%0a", "a text area may send line ends");
  t.equal(query("/odoo?a=%00"), "target-query-nul");
  t.equal(query("/odoo?a=b#c"), "target-fragment");
  t.equal(query("/odoo?a=b c"), "target-character");
});

t.test("lower-case readings exist for deny rules and share the array when nothing differs", async (t) => {
  const upper = readTarget("/FR/Web/Database");
  t.ok(upper.ok);
  if (upper.ok) {
    t.strictSame(upper.value.paths, ["/FR/Web/Database", "/Web/Database"]);
    t.strictSame(upper.value.pathsLower, ["/fr/web/database", "/web/database"]);
  }
  const lower = readTarget("/web/login");
  t.ok(lower.ok && lower.value.pathsLower === lower.value.paths);
});

t.test("the bound of the target is exact", async (t) => {
  t.equal(reading(`/${"a".repeat(targetBytesMax - 1)}`).length, targetBytesMax);
  t.equal(reading(`/${"a".repeat(targetBytesMax)}`), "414 target-too-long");
});

/** The path as Odoo 19 on 8069 reads a request line (odoo-wire d): Werkzeug 2.2 and http_routing, step by step. */
function odooPath(target: string): string {
  const noFragment = target.split("#", 1)[0] ?? "";
  const noScheme = noFragment.replace(/^[a-z][a-z0-9+.-]*:(\/\/[^/?]*)?/i, "");
  const rawPath = noScheme.split("?", 1)[0] ?? "";
  const bytes = rawPath.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const text = Buffer.from(bytes, "latin1").toString("utf8");
  const merged = `/${text}`.replace(/\/{2,}/g, "/").trimEnd();
  return merged.length > 1 && merged.endsWith("/") ? merged.slice(0, -1) : merged;
}

const odooLanguages = ["fr", "en", "pt_BR", "zh_CN", "sr@latin", "FR"];

function odooReadings(target: string): string[] {
  const path = odooPath(target);
  const [, first = "", ...rest] = path.split("/");
  return odooLanguages.includes(first) ? [path, `/${rest.join("/")}`] : [path];
}

const piece = fc.constantFrom(
  ..."/ // web database manager login fr pt_BR sr@latin xmlrpc db jsonrpc".split(" "),
  ..."%2f %2F %5c \\ . .. ... %2e %2E%2e ; ;x %3b %00 %0a %20 %7f # %23 ? %3f".split(" "),
  ..."% %2 %25 %252f %2577 %77 %65b %c3%a9 %ff %c0%af %ef%bc%8f : c: x: http: @ a A ~".split(" "),
  " ",
  "é",
);

t.test("property: what is accepted is read as Odoo reads it", async (t) => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 9 }), fc.boolean(), (pieces, rooted) => {
      const target = (rooted ? "/" : "") + pieces.join("");
      const result = readTarget(target);
      if (!result.ok) return true;
      accepted += 1;
      const { path, paths, pathsLower } = result.value;
      const sane =
        path.startsWith("/") &&
        !path.includes("//") &&
        (path === "/" || !path.endsWith("/")) &&
        paths[0] === path;
      const lower = paths.every((one, i) => pathsLower[i] === one.toLowerCase());
      return sane && lower && odooReadings(target).every((one) => paths.some((ours) => ours === one));
    }),
    { numRuns: 3_000 },
  );
  t.ok(accepted > 200, `${accepted} targets were accepted, so the property was put to the test`);
});

t.test("property: no spelling of a guarded route reaches Odoo under another name", async (t) => {
  const guarded = ["/web/database/manager", "/web/login", "/xmlrpc/2/db", "/jsonrpc"];
  const encode = (path: string, picks: readonly number[]): string =>
    [...path]
      .map((char, i) => {
        const pick = picks[i % picks.length] ?? 0;
        if (pick === 0) return `%${char.charCodeAt(0).toString(16)}`;
        if (pick === 1) return `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
        return char === "/" && pick === 2 ? "//" : char;
      })
      .join("");
  const passed = { count: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(...guarded),
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 30 }),
      fc.constantFrom("", "/", "//", "/fr", "/pt_BR", "/sr@latin", "/%66r", "/fr/", "http://a.b", "x:", "/."),
      fc.constantFrom("", "/", "//", "?", "?a=b", "#f", ";", ";x=1", "%20", " ", "%00", "\\", "/."),
      (path, picks, before, after) => {
        const target = before + encode(path, picks) + after;
        const result = readTarget(target);
        if (!result.ok) return true;
        passed.count += 1;
        const odoo = odooReadings(target);
        return !odoo.includes(path) || result.value.paths.some((one) => one === path);
      },
    ),
    { numRuns: 2_000 },
  );
  t.ok(passed.count > 100, `${passed.count} spellings were accepted`);
});

t.test("field helpers", async (t) => {
  const fields = ["Accept", " a ", "ACCEPT", "b\t", "Accept-Encoding", "gzip", "connection", "Close, ,X-a"];
  t.strictSame(fieldValues(fields, "accept"), ["a", "b"]);
  t.strictSame(fieldValues(fields, "host"), []);
  t.strictSame(connectionTokens([...fields, "Connection", "UPGRADE"]), ["close", "x-a", "upgrade"]);
  for (const good of ["a", "X-Y", "!#$%&'*+-.^_`|~09"]) t.ok(isToken(good), good);
  for (const bad of ["", "a b", "a:", "a,", "a\u00e9", "(a)", "a\n", "a\0"])
    t.notOk(isToken(bad), JSON.stringify(bad));
  for (const good of ["", "a b", "\t", "\u00ff\u0080"]) t.ok(isFieldValue(good), JSON.stringify(good));
  for (const bad of ["\0", "a\r", "a\n", "\x1b", "\x7f", "\u010a", "\ud83d\ude00"])
    t.notOk(isFieldValue(bad), JSON.stringify(bad));
  t.ok(hasUnderscore("X_A"));
  t.notOk(hasUnderscore("X-A"));
  t.equal(trimOws(" \t a\u00a0 b \t"), "a\u00a0 b");
  t.equal(trimOws(" \t "), "");
});

t.test("cookies", async (t) => {
  t.equal(
    readCookie("a=1; session_id=one; session_id=two", "session_id"),
    "one",
    "the first wins, as in Odoo",
  );
  t.equal(readCookie("xsession_id=a;session_id = b ", "session_id"), "b");
  t.equal(readCookie('session_id="q"', "session_id"), "q");
  t.equal(readCookie("Session_Id=a", "session_id"), null, "names are case-sensitive");
  t.equal(readCookie("session_id", "session_id"), "");
  t.equal(readCookie("a=session_id=b", "session_id"), null);
  t.equal(joinCookies(["a=1", " b=2 ", ""]), "a=1; b=2");

  t.equal(
    renameCookie("session_id=prod; tz=UTC; staging_session=mine", "staging_session", "session_id"),
    "tz=UTC; session_id=mine",
    "production's session does not reach staging",
  );
  t.equal(renameCookie("a=1;b=2", "a", "a"), "a=1;b=2");
  const line = "session_id=abc; Expires=Sat, 21 Nov 2027 00:00:00 GMT; HttpOnly; Path=/";
  t.equal(renameSetCookie(line, "session_id", "s2"), `s2${line.slice("session_id".length)}`);
  t.equal(renameSetCookie("tz=session_id", "session_id", "s2"), "tz=session_id");

  t.equal(hardenSetCookie(line), `${line}; Secure; SameSite=Lax`);
  t.equal(hardenSetCookie("session_id=a; secure; samesite=None"), "session_id=a; secure; samesite=None");
  t.equal(hardenSetCookie("session_id=a;Secure"), "session_id=a;Secure; SameSite=Lax");
  t.equal(
    hardenSetCookie("session_id=Secure"),
    "session_id=Secure; Secure; SameSite=Lax",
    "a value is no attribute",
  );
  t.equal(
    hardenSetCookie("session_id=a; Path=/secure; X=SameSite"),
    "session_id=a; Path=/secure; X=SameSite; Secure; SameSite=Lax",
  );
  for (const other of ["frontend_lang=fr; Path=/", "xsession_id=1", "=session_id", "session_id", ""])
    t.equal(hardenSetCookie(other), other, `${other} stays byte for byte`);
});

t.test("the client's address is what trusted proxies vouch for", async (t) => {
  const trusted = ipSet("10.0.0.0/8", "fd00::/8");
  const from = (peer: string, ...lines: string[]): string =>
    clientAddress(
      ip(peer),
      lines.flatMap((line) => ["X-Forwarded-For", line]),
      trusted,
    ).client.text;
  const table: readonly (readonly [string, readonly string[], string])[] = [
    ["203.0.113.9", ["198.51.100.1"], "203.0.113.9"],
    ["10.0.0.1", [], "10.0.0.1"],
    ["10.0.0.1", ["198.51.100.1"], "198.51.100.1"],
    ["10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"],
    ["10.0.0.1", ["1.2.3.4, 198.51.100.1, 10.0.0.2"], "198.51.100.1"],
    ["10.0.0.1", ["1.2.3.4", "198.51.100.1"], "198.51.100.1"],
    ["10.0.0.1", ["198.51.100.1", "10.0.0.7"], "198.51.100.1"],
    ["10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"],
    ["10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"],
    ["10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"],
    ["10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"],
    ["10.0.0.1", ["2001:DB8:0::1"], "2001:db8::1"],
    ["fd00::1", ["::ffff:198.51.100.1"], "198.51.100.1"],
    ["10.0.0.1", ["198.51.100.1,"], "10.0.0.1"],
    ["10.0.0.1", [""], "10.0.0.1"],
    ["10.0.0.1", ["198.51.100.1, junk, 10.0.0.2"], "10.0.0.2"],
    ["10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"],
    ["10.0.0.1", ["198.51.100.1 10.0.0.2"], "10.0.0.1"],
    ["10.0.0.1", [Array<string>(100).fill("10.0.0.9").join(",")], "10.0.0.9"],
    ["10.0.0.1", [`198.51.100.1,${Array<string>(32).fill("10.0.0.9").join(",")}`], "10.0.0.9"],
  ];
  for (const [peer, lines, expected] of table)
    t.equal(from(peer, ...lines), expected, `${peer} ${JSON.stringify(lines).slice(0, 60)}`);

  const reported = (...fields: string[]): string | null =>
    clientAddress(ip("203.0.113.9"), fields, trusted).untrustedForwarding;
  t.equal(reported("A", "b", "X-Real-IP", "1.2.3.4", "X-Forwarded-For", "1.2.3.4"), "x-real-ip");
  t.equal(reported("X-Forwarded-Evil-Name", "1"), "x-forwarded-*", "labels come from a fixed set");
  for (const name of [
    "Forwarded",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Forwarded-For",
    "X-Forwarded-Host",
  ])
    t.equal(reported(name, "x"), name.toLowerCase());
  t.equal(reported("X-Forwarded", "x"), null);
  t.equal(clientAddress(ip("10.0.0.1"), ["X-Real-IP", "1.2.3.4"], trusted).untrustedForwarding, null);
});

t.test("records keep no secrets", async (t) => {
  const table: readonly (readonly [string, string])[] = [
    ["/odoo", "/odoo"],
    ["/odoo?", "/odoo?"],
    ["/web?debug=1&menu_id=4", "/web?debug=1&menu_id=4"],
    ["/web/login?login=bob&password=hunter2&x=1", "/web/login?login=***&password=***&x=1"],
    ["/web/login?%70assword=hunter2", "/web/login?%70assword=***"],
    ["/web/login?PASSWORD=hunter2", "/web/login?PASSWORD=***"],
    ["/web/login?+password=hunter2", "/web/login?+password=***"],
    ["/my/invoices/1?access_token=abc", "/my/invoices/1?access_token=***"],
    ["/x?my_secret_thing=1&a=2", "/x?my_secret_thing=***&a=2"],
    ["/x?token=a;b=c", "/x?token=***"],
    ["/x?a=1;token=abc", "/x?a=***"],
    [
      "/x?pwd=a&sid=b&PHPSESSID=c&csrf=d&x-api-key=e",
      "/x?pwd=***&sid=***&PHPSESSID=***&csrf=***&x-api-key=***",
    ],
    ["/my/orders/1?pid=3&hash=abc&passenger=2", "/my/orders/1?pid=3&hash=***&passenger=2"],
    [
      "/event/3/my_tickets?registration_ids=[7]&tickets_hash=ab",
      "/event/3/my_tickets?registration_ids=[7]&tickets_hash=***",
    ],
    [
      "/slides/3/invite?invite_partner_id=9&invite_hash=ab",
      "/slides/3/invite?invite_partner_id=9&invite_hash=***",
    ],
    ["/x?SAMLResponse=a&authorization=b&jwt=c", "/x?SAMLResponse=***&authorization=***&jwt=***"],
    ["/x?next=%2Fx%3Fsig%3Dabc", "/x?next=***"],
    ["/x?a;code=abc", "/x?a;code=***"],
    ["/x?token", "/x?token"],
    ["/x?token=", "/x?token=***"],
    ["/x?token=a=b", "/x?token=***"],
    ["/x?redirect=%2Fweb%2Freset_password%3Ftoken%3Dabc", "/x?redirect=***"],
    ["/x?redirect=%252Fweb%253Fcode%253Dabc", "/x?redirect=***"],
    ["/x?redirect=/odoo", "/x?redirect=/odoo"],
    ["/x#token=abc", "/x#token=***"],
    ["http://bob:pw@h/x?db=a", "***@h/x?db=***"],
    ["bob:pw@h:443", "***@h:443"],
    ["//bob@h/x", "***@h/x"],
    ["/a\r\nb\u00e9", "/a??b?"],
    ["/web/login?db=%zz", "/web/login?db=***"],
    ["/web/signup?signup_email=anna", "/web/signup?signup_email=***"],
    ["/mailing/unsubscribe?res_id=7&email=anna%40example.com", "/mailing/unsubscribe?res_id=7&email=***"],
    ["/shop?search=anna@example.com&order=name", "/shop?search=***&order=name"],
    ["/x?redirect=%2Fweb%2Fsignup%3Fe%3Danna%2540example.com", "/x?redirect=***"],
    ["/x?anna%40example.com", "/x?***"],
    ["/slides?search=@anna&mailing_id=7&at=a@b", "/slides?search=@anna&mailing_id=7&at=a@b"],
  ];
  for (const [target, expected] of table) t.equal(redactTarget(target), expected, JSON.stringify(target));
  const long = redactTarget(`/x?token=secret&a=${"b".repeat(20_000)}`);
  t.equal(long.length, 2_048);
  t.ok(long.startsWith("/x?token=***&a=bbb") && long.endsWith("…"));
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }),
      fc.constantFrom("token", "PassWord", "%64b"),
      (noise, name) => {
        const shown = redactTarget(`/x?${noise.join("").replaceAll("=", "")}&${name}=hunter2`);
        return !shown.includes("hunter2") && shown.length <= 2_048;
      },
    ),
    { numRuns: 300 },
  );
});

t.test("records keep no link that lets in whoever has it", async (t) => {
  const uuid = "3f2b8c1e-9a4d-4e57-b6f0-1c2d3e4f5a6b";
  const hex = uuid.replaceAll("-", "");
  const document = "rpFYOOlrRMWmI5mPJwJlpgo1a";
  const masked = [
    ...[`/survey/start/${uuid}`, `/survey/start/${uuid}.`, `/survey/start/${uuid.toUpperCase()}`],
    ...[`/survey/print/${uuid.replaceAll("-", "%2D")}`, `/survey/${uuid}/${uuid}`],
    ...[`/fr/survey/submit/${uuid}/${uuid}`, `//survey/start/${uuid}`, `/sign/document/7/${uuid}`],
    ...[
      `/web/hook/${uuid}`,
      `/pos_customer_display/1/${uuid}`,
      `/dashboard/share/3/${uuid}`,
      `/my/${uuid}/pdf`,
    ],
    ...[
      `/calendar/join_videocall/${hex}`,
      `/rate/${hex}/5`,
      `/rate/${hex}/submit_feedback`,
      `/hr_attendance/${hex}`,
    ],
    ...[`/mail/track/12/${hex}${hex}/blank.gif`, `/calendar/join_videocall/${hex}.`],
    ...["/chat/12/aBcDeFgHiJ", "/fr/chat/12/aBcDeFgHiJ", "/chat/12/aBcDeFgHiJ?x=1", "/chat//12//aBcDeFgHiJ"],
    ...["/chat/aBcDeFgHiJ", "/meet/aBcDeFgHiJ/team", "/sr@latin/meet/aBcDeFgHiJ", "/coupon/044a-1b2c"],
    ...[`/odoo/documents/${document}`, `/documents/content/${document}`, `/documents/${document}`],
    ...[`/web/login?redirect=/survey/start/${uuid}`, `/web/login?redirect=%2Fchat%2F12%2FaBcDeFgHiJ`],
    ...[`/x?url=https%3A%2F%2Fodoo.test%2Fcalendar%2Fjoin_videocall%2F${hex}`, `/x?/survey/start/${uuid}`],
    ...[`http://odoo.test/survey/start/${uuid}`, `/a\u0001/survey/start/${uuid}`],
  ];
  for (const target of masked) {
    const shown = redactTarget(target);
    const secrets = [uuid, hex, "aBcDeFgHiJ", "044a", document, uuid.toUpperCase(), "9a4d"];
    t.notOk(
      secrets.some((secret) => shown.includes(secret)),
      shown,
    );
    t.match(shown, /\*{3}/);
  }
  t.equal(redactTarget(`/fr/survey/submit/${uuid}/${uuid}?page=2`), "/fr/survey/submit/***/***?page=2");
  t.equal(redactTarget(`/calendar/join_videocall/${hex}.`), "/calendar/join_videocall/***.");
  t.equal(redactTarget("/chat/12/aBcDeFgHiJ/"), "/chat/12/***/");
  t.equal(redactTarget("/meet/aBcDeFgHiJ/team"), "/meet/***/team");
  const shown = [
    ...["/", "/odoo/action-123/45", "/chat", "/chat/12", "/chat/12?x=1", "/fr/chat/12", "/meet/", "/coupon"],
    ...["/web/assets/1/abcdef7/web.assets_frontend_lazy.min.js", `/web/assets/${hex}/web.assets_web.min.css`],
    ...[`/web/assets/2/${hex}${hex}/web.assets_web.min.js`, `/theme/static/src/img/${hex}.png`],
    ...[
      "/web/image/12-abcdef7/a-very-long-name-of-a-picture.png",
      "/web/content/12/Invoice_INV_2024_00012.pdf",
    ],
    ...[
      "/shop/customizable-desk-of-oak-with-four-drawers-12",
      "/shop/chat/customizable",
      "/blog/meet/our-team-4",
    ],
    ...["/web/dataset/call_kw/res.partner/web_search_read_group_of_progress_bars", "/my/documents/a-slug-4"],
    ...[
      "/.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
      "/survey/start/customers-2026",
    ],
    ...["/web/image?model=res.partner&id=7&unique=3f2b8c1e9a4d4e57b6f01c2d3e4f5a6b", "/documents/upload"],
  ];
  for (const target of shown) t.equal(redactTarget(target), target);
});

t.test("who gets a JSON-RPC answer, who a page", async (t) => {
  const caller = (method: string, target: string, type: string, accept = ""): string => {
    const facts = factsOf(headWith(["Content-Type", type, "Accept", accept], { method, target }));
    return `${wantsJsonRpc(facts) ? "rpc" : "-"} ${wantsHtml(facts) ? "html" : "-"}`;
  };
  t.equal(caller("POST", "/web/dataset/call_kw", "application/json"), "rpc -");
  t.equal(caller("POST", "/jsonrpc", "application/json-rpc; charset=utf-8"), "rpc -");
  t.equal(caller("POST", "/fr/web/session/authenticate", "Application/JSON", "text/html"), "rpc -");
  t.equal(caller("POST", "/json/2/res.partner/read", "application/json"), "- -");
  t.equal(caller("POST", "/fr/json/2/res.partner/read", "application/json"), "- -");
  t.equal(caller("GET", "/jsonrpc", "application/json"), "- -");
  t.equal(caller("POST", "/web/login", "application/x-www-form-urlencoded", "text/html,*/*;q=0.8"), "- html");
  t.equal(caller("GET", "/odoo", "", "image/png, application/xhtml+xml;q=0.9"), "- html");
  t.equal(caller("GET", "/odoo", "", "text/html;q=0"), "- -");
  t.equal(caller("GET", "/odoo", "", "*/*"), "- -");
  t.equal(factsOf(head()).contentType, "");
});
