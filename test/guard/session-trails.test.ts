import t from "tap";
import type { CanonicalPath, ExchangeId } from "../../src/base/brands.ts";
import { manualClock } from "../../src/base/clock.ts";
import { parseIp } from "../../src/base/ip.ts";
import { agentFamily } from "../../src/guard/agent-family.ts";
import {
  SessionSightings,
  type Sighting,
  sightingEveryMs,
  trustedPlace,
} from "../../src/guard/session-sightings.ts";
import {
  crossingsMax,
  crossingsWindowMs,
  type SessionMoved,
  SessionTrails,
  togetherMs,
  toldAgainMs,
  toldPerPairMax,
  trailsMax,
} from "../../src/guard/session-trails.ts";

const chrome =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

function setUp() {
  const clock = manualClock();
  const told: SessionMoved[] = [];
  const trails = new SessionTrails({ clock, news: (moved) => told.push(moved) });
  let count = 0;
  /** One use of the session `who`; an address without more is a browser of Windows. */
  const use = (who: string, address: string, agent = chrome, account: string | null = null) => {
    count += 1;
    const ip = parseIp(address);
    if (ip === null) throw new Error(address);
    const sighting: Sighting = {
      id: `x-${count}` as ExchangeId,
      client: address,
      session: who,
      account,
      network: address.includes(":")
        ? `${address.split(":").slice(0, 3).join(":")}::/48`
        : `${address.replace(/\.\d+$/, ".0")}/24`,
      family: ip.family,
      agent: agentFamily(agent),
    };
    trails.saw(sighting);
  };
  return { clock, told, trails, use };
}

t.test(
  "a session that turns up elsewhere in another kind of browser is told at once, with who and where",
  (t) => {
    const { told, use } = setUp();
    use("anna", "203.0.113.9", chrome, "hash-of-anna");
    use("anna", "198.51.100.7", "python-requests/2.32");
    t.match(told, [
      {
        id: "x-2",
        client: "198.51.100.7",
        session: "anna",
        account: "hash-of-anna",
        why: "other-browser",
        networks: ["203.0.113.0/24", "198.51.100.0/24"],
        agents: ["Chrome on Windows", "Python"],
      },
    ]);
    use("anna", "198.51.100.8", "python-requests/2.33");
    use("anna", "203.0.113.9");
    t.equal(told.length, 1, "once, not with each request");
    t.end();
  },
);

t.test("what people do all day is told to nobody", async (t) => {
  const phone =
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
  const rows: Readonly<Record<string, (one: ReturnType<typeof setUp>) => void>> = {
    "a phone that changes between Wi-Fi and mobile networks every few minutes": ({ clock, use }) => {
      for (let i = 0; i < 200; i += 1) {
        use("s", i % 2 === 0 ? "203.0.113.9" : `198.51.${i % 50}.7`, phone);
        clock.advance(togetherMs + 120_000);
      }
    },
    "the phone's own program beside the app": ({ use }) => {
      use("s", "203.0.113.9", phone);
      use("s", "198.51.100.7", "Odoo/24 CFNetwork/1568.100.1 Darwin/24.0.0");
    },
    "IPv4 and IPv6 of one browser at the same time": ({ clock, use }) => {
      for (let i = 0; i < 200; i += 1) {
        use("s", i % 2 === 0 ? "203.0.113.9" : "2001:db8:7:1::1");
        clock.advance(5_000);
      }
    },
    "many addresses of one network": ({ clock, use }) => {
      for (let i = 0; i < 200; i += 1) {
        use("s", `203.0.113.${i}`, i % 2 === 0 ? chrome : firefox);
        clock.advance(1_000);
      }
    },
    "a browser that was updated, from home": ({ use }) => {
      use("s", "203.0.113.9", chrome);
      use("s", "198.51.100.7", chrome.replace("142", "143"));
    },
    "another browser at the same place, taken along later": ({ use }) => {
      use("s", "203.0.113.9", chrome);
      use("s", "203.0.113.9", firefox);
      use("s", "198.51.100.7", firefox);
    },
    "the way home, one change": ({ use }) => {
      use("s", "203.0.113.9");
      use("s", "198.51.100.7");
    },
  };
  for (const [name, live] of Object.entries(rows)) {
    const one = setUp();
    live(one);
    t.same(one.told, [], name);
  }
});

t.test("two who use a session at the same time are told, once a day", (t) => {
  const { clock, told, use } = setUp();
  const both = (minutes: number) => {
    for (let i = 0; i < minutes * 6; i += 1) {
      use("anna", i % 2 === 0 ? "203.0.113.9" : "198.51.100.7");
      clock.advance(10_000);
    }
  };
  both(5);
  t.match(told, [{ why: "two-networks", networks: ["198.51.100.0/24", "203.0.113.0/24"], account: null }]);
  both(5);
  t.equal(told.length, 1);
  clock.advance(toldAgainMs);
  both(5);
  t.equal(told.length, 2);
  t.end();
});

t.test("changes that are far apart do not add up", (t) => {
  const { clock, told, use } = setUp();
  for (let i = 0; i < 20 * crossingsMax; i += 1) {
    use("anna", i % 2 === 0 ? "203.0.113.9" : "198.51.100.7");
    // In pairs: each second change comes at once, but no four of them in the window.
    clock.advance(i % 2 === 0 ? 1_000 : crossingsWindowMs / 2);
  }
  t.same(told, []);
  t.end();
});

t.test("an office with two lines is told for the first few people, and is one place then", (t) => {
  const { clock, told, use } = setUp();
  for (let person = 0; person < 20; person += 1) {
    for (let i = 0; i < 12; i += 1) {
      use(`p${person}`, i % 2 === 0 ? "203.0.113.9" : "198.51.100.7");
      clock.advance(10_000);
    }
  }
  t.equal(told.length, toldPerPairMax);
  for (let i = 0; i < 12; i += 1) {
    use("p1", i % 2 === 0 ? "203.0.113.9" : "192.0.2.7");
    clock.advance(10_000);
  }
  use("p2", "192.0.2.8", firefox);
  t.same(
    told.slice(toldPerPairMax).map(({ session, why }) => `${session} ${why}`),
    ["p2 other-browser"],
    "p1 was told of today; a third network is another matter",
  );
  t.end();
});

t.test("sessions without end fill no memory, and a forgotten one begins anew", (t) => {
  const { told, use } = setUp();
  use("first", "203.0.113.9");
  for (let i = 0; i < 2 * trailsMax; i += 1) use(`s${i}`, "203.0.113.9");
  use("first", "198.51.100.7", firefox);
  t.same(told, []);
  t.end();
});

t.test("a User-Agent becomes a word of ours, whatever it says", (t) => {
  const rows: readonly (readonly [string, string])[] = [
    [chrome, "Chrome on Windows"],
    [`${chrome} Edg/142.0.0.0`, "Edge on Windows"],
    [firefox, "Firefox on Linux"],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15",
      "Safari on macOS",
    ],
    [
      "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36",
      "Android",
    ],
    ["okhttp/4.12.0", "Android"],
    ["curl/8.5.0", "curl"],
    ["python-requests/2.32.3", "Python"],
    ["", "another program"],
    ["x".repeat(1_000_000), "another program"],
    ['Mozilla/5.0 \n{"event":"ban"}', "another browser on another system"],
  ];
  for (const [agent, family] of rows) t.equal(agentFamily(agent), family);
  t.end();
});

t.test("a session is noted now and then, and never by its id", (t) => {
  const seen: Sighting[] = [];
  const sightings = new SessionSightings({ saw: (one) => seen.push(one) }, (text) => `#${text.length}`);
  const id = "x-1" as ExchangeId;
  const client = parseIp("203.0.113.9");
  const other = parseIp("198.51.100.7");
  if (client === null || other === null) throw new Error("no address");
  const sessionId = "a".repeat(42) + "b".repeat(42);
  const path = "/odoo" as CanonicalPath;
  const facts = { client, fields: ["User-Agent", chrome], sessionId, likeness: {}, method: "GET", path };
  const no = () => false;
  for (let i = 0; i < 1_000; i += 1) sightings.saw(id, facts, "key", 5, no);
  for (let i = 0; i < 1_000; i += 1) sightings.saw(id, { ...facts, likeness: null }, "key", 5, no);
  for (let i = 0; i < 1_000; i += 1) sightings.saw(id, { ...facts, likeness: {} }, "key", 5, no);
  t.equal(seen.length, 1, "one of three thousand");
  sightings.saw(id, { ...facts, client: other, likeness: {} }, "key", 6, (ip) => ip === other);
  sightings.saw(id, facts, "key", 5 + sightingEveryMs, no);
  t.match(seen, [
    { network: "203.0.113.0/24", family: 4, agent: "Chrome on Windows", account: null },
    { network: trustedPlace },
    { network: "203.0.113.0/24" },
  ]);
  t.notMatch(JSON.stringify(seen), /a{42}|b{42}/);
  seen.length = 0;
  const printing = [
    "User-Agent",
    "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/534.34 (KHTML, like Gecko) wkhtmltopdf Safari/534.34",
  ];
  for (const file of [
    "/web/assets/7/1/web.report_assets_common.min.css",
    "/web/image/res.company/1/logo",
    "/logo.png",
    "/report/barcode/QR/x",
    "/web/static/fonts/x.woff",
    "/sale/static/x.png",
  ])
    sightings.saw(
      id,
      { ...facts, fields: printing, likeness: {}, path: file as CanonicalPath },
      `printed ${file}`,
      5,
      no,
    );
  t.same(seen, [], "Odoo's own PDF maker is nobody's browser");
  for (const page of ["/odoo", "/web/content/77", "/web/dataset/call_kw"])
    sightings.saw(
      id,
      { ...facts, fields: printing, likeness: {}, path: page as CanonicalPath },
      `opened ${page}`,
      5,
      no,
    );
  t.equal(seen.length, 3, "who calls himself so and wants more, is");
  const renewed = { ...facts, sessionId: "a".repeat(42) + "c".repeat(42) };
  const words: string[] = [];
  const named = new SessionSightings({ saw: ({ session }) => words.push(session) }, (text) => text);
  named.began(id, facts, sessionId, "account", no);
  named.saw(id, renewed, "other key", 5, no);
  t.equal(words[0], words[1], "an id that Odoo renewed is the same session");
  t.end();
});
