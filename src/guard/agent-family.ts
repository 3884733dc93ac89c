/** Only this much of a User-Agent is looked at, in characters. */
const agentCharsMax = 512;

/** Phones: an app there shares its session with a program of the system that has another User-Agent, so a system is one family. */
const phones: readonly (readonly [mark: string, family: string])[] = [
  ["Android", "Android"],
  ["Dalvik/", "Android"],
  ["okhttp/", "Android"],
  ["iPhone", "iOS"],
  ["iPad", "iOS"],
  ["CFNetwork/", "iOS"],
];

/** In this order: Edge and Opera call themselves Chrome, too, and Chrome Safari. */
const browsers: readonly (readonly [mark: string, name: string])[] = [
  ["Edg/", "Edge"],
  ["OPR/", "Opera"],
  ["Firefox/", "Firefox"],
  ["Chrome/", "Chrome"],
  ["Safari/", "Safari"],
];

const systems: readonly (readonly [mark: string, name: string])[] = [
  ["Windows", "Windows"],
  ["Macintosh", "macOS"],
  ["CrOS", "ChromeOS"],
  ["Linux", "Linux"],
  ["X11", "Linux"],
];

const programs: readonly (readonly [mark: string, name: string])[] = [
  ["curl/", "curl"],
  ["Wget/", "Wget"],
  ["python", "Python"],
  ["Python", "Python"],
  ["aiohttp", "Python"],
  ["Go-http-client/", "Go"],
  ["Java/", "Java"],
  ["Apache-HttpClient/", "Java"],
  ["PostmanRuntime/", "Postman"],
  ["node", "Node"],
  ["undici", "Node"],
  ["axios/", "Node"],
  ["GuzzleHttp/", "PHP"],
];

/** Every pair once: the same text each time, and none of it a client's. */
const pairs: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map(
  [...browsers.map(([, name]) => name), "another browser"].map((browser) => [
    browser,
    new Map(
      [...systems.map(([, name]) => name), "another system"].map((system) => [
        system,
        `${browser} on ${system}`,
      ]),
    ),
  ]),
);

/**
 * What kind of browser or program a User-Agent says it is, without its version: `Firefox on Windows`, `Android`, `curl`, `another program`. Words of ours
 * only, some forty.
 */
export function agentFamily(userAgent: string): string {
  const text = userAgent.length > agentCharsMax ? userAgent.slice(0, agentCharsMax) : userAgent;
  const phone = marked(phones, text);
  if (phone !== null) return phone;
  if (!text.startsWith("Mozilla/")) return marked(programs, text) ?? "another program";
  const browser = marked(browsers, text) ?? "another browser";
  const system = marked(systems, text) ?? "another system";
  return pairs.get(browser)?.get(system) ?? "another browser on another system";
}

function marked(marks: readonly (readonly [mark: string, name: string])[], text: string): string | null {
  for (const [mark, name] of marks) if (text.includes(mark)) return name;
  return null;
}
