import { problemLine } from "../base/problem.ts";
import type { EventSink } from "../observe/events.ts";
import type { Settings } from "../settings/settings.ts";
import { type Admin, type AdminOptions, startAdmin } from "./admin.ts";

/** How often a listener that could not be opened is tried again. */
const retryMs = 10_000;

/**
 * The admin listener over the gateway's life. A taken port is told and tried again: health pages are no reason to
 * keep a site down.
 */
export class AdminDoor {
  readonly #settings: Pick<Settings, "adminListen">;
  readonly #shown: Omit<AdminOptions, "listen">;
  readonly #sink: EventSink;
  #admin: Admin | null = null;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(settings: Pick<Settings, "adminListen">, shown: Omit<AdminOptions, "listen">, sink: EventSink) {
    this.#settings = settings;
    this.#shown = shown;
    this.#sink = sink;
  }

  /** The open listener; null while there is none. */
  get value(): Admin | null {
    return this.#admin;
  }

  /** Opens it, or says why not and tries again until `close`. */
  async open(): Promise<void> {
    const listen = this.#settings.adminListen;
    if (listen === null || this.#closed) return;
    const opened = await startAdmin({ ...this.#shown, listen });
    if (!opened.ok) {
      const detail = `${problemLine(opened.error)}; the site is served without it, next try in ${retryMs / 1000} s`;
      this.#sink.emit({ type: "warning", what: "admin listener", detail });
      this.#timer = setTimeout(() => void this.open(), retryMs);
      this.#timer.unref();
      return;
    }
    if (this.#closed) return opened.value.close();
    this.#admin = opened.value;
    this.#sink.emit({ type: "listening", what: "admin", address: opened.value.address });
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#admin?.close();
  }
}
