import { endOfSeriesMs } from "../../base/odoo-series.ts";
import { type Note, note, orPass, quoted } from "../note.ts";
import { lastDayOf } from "../postgres/versions.ts";
import type { ComposeFile, Service } from "./read.ts";

const id = "compose-image-age";
/** A build of Odoo's image older than this misses half a year of fixes. */
const buildDaysMax = 180;
const dayMs = 86_400_000;

/** Do the images of Odoo and PostgreSQL still get fixes, by what their tags say. Images of one's own say nothing. */
export function imageAge(compose: ComposeFile, nowMs: number): readonly Note[] {
  const tagged = compose.services.flatMap((service) => {
    const age = ageOf(service.text("image") ?? "");
    return age === null ? [] : [{ service, age }];
  });
  const place = { file: compose.file, line: null };
  if (tagged.length === 0)
    return [note(id, "skipped", "no image tells a version of Odoo or PostgreSQL by its tag", place)];
  return orPass(
    tagged.flatMap(({ service, age }) => trouble(service, age, nowMs) ?? []),
    id,
    `${tagged.map(({ age }) => age.words).join(", ")}: still mended`,
    place,
  );
}

interface Age {
  /** `Odoo 19`. */
  readonly words: string;
  /** When its fixes end; null: long past. */
  readonly endMs: number | null;
  /** When it was built; null: the tag does not say. */
  readonly builtMs: number | null;
}

/** `odoo:17.0-20240401`, `postgres:15.4-alpine`, `pgvector/pgvector:pg16`, digests aside; null: nobody knows what the tag means. */
function ageOf(image: string): Age | null {
  const [, name = "", tag = ""] = /(?:^|\/)([^/:@]+):([^/:@]+)(?:@[^/]*)?$/.exec(image) ?? [];
  if (name === "odoo") {
    const [, series, zero, date] =
      /^([89]|[12][0-9])(\.0)?(?:[.-]([0-9]{8}))?(?:-[a-z][\w.-]*)?$/.exec(tag) ?? [];
    // An image of one's own may count its builds: registry.example.com/odoo:12.
    if (series === undefined || (zero === undefined && !/^(?:(?:docker\.io\/)?library\/)?odoo:/.test(image)))
      return null;
    const builtMs =
      date === undefined
        ? Number.NaN
        : Date.parse(`${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6, 8)}T00:00:00Z`);
    return {
      words: `Odoo ${series}`,
      endMs: endOfSeriesMs(Number(series)),
      builtMs: Number.isNaN(builtMs) ? null : builtMs,
    };
  }
  if (!/^(?:postgres|postgresql|pgvector|postgis)$/.test(name)) return null;
  const major = (/(?:^|-)pg([0-9]{1,2})(?![0-9])/.exec(tag) ?? /^([0-9]{1,2})(?![0-9])/.exec(tag))?.[1];
  if (major === undefined) return null;
  const last = lastDayOf(Number(major));
  // The day itself still counts.
  const endMs = last === null ? Number.POSITIVE_INFINITY : last === "past" ? null : Date.parse(last) + dayMs;
  return { words: `PostgreSQL ${major}`, endMs, builtMs: null };
}

function trouble(service: Service, { words, endMs, builtMs }: Age, nowMs: number): Note | null {
  const seen = `${service.name}: ${quoted(service.text("image") ?? "")}`;
  const place = service.placeOf("image");
  if (endMs === null || nowMs >= endMs) {
    const since = endMs === null ? "for years" : `since ${new Date(endMs).toISOString().slice(0, 7)}`;
    return note(id, "fail", `${seen}: ${words} has had no fixes ${since}`, place);
  }
  const days = builtMs === null ? 0 : Math.floor((nowMs - builtMs) / dayMs);
  return days > buildDaysMax ? note(id, "warn", `${seen} was built ${days} days ago`, place) : null;
}
