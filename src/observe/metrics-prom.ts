import { secondsBuckets } from "./histogram.ts";
import { boundedSamples, type MetricFamily, type MetricsText } from "./metrics.ts";

/**
 * Door of `prom-client`: the text format and the process's own metrics. It is loaded with the first request for metrics: who
 * does not scrape pays no memory for it, and exchanges are counted by ours (observe/tally), which is several times cheaper.
 */
export function createMetricsPage(families: readonly MetricFamily[]): () => Promise<MetricsText> {
  let page: Promise<() => Promise<MetricsText>> | null = null;
  return async () => {
    page ??= load(families);
    return (await page)();
  };
}

/** Read again at each scrape they would cost a walk over every socket. */
const withoutUse = [
  "nodejs_active_handles",
  "nodejs_active_handles_total",
  "nodejs_active_requests",
  "nodejs_active_requests_total",
  "nodejs_active_resources",
  "nodejs_active_resources_total",
] as const;
const loopSampleMs = 20;

type HistogramFamily = Extract<MetricFamily, { readonly kind: "histogram" }>;

async function load(families: readonly MetricFamily[]): Promise<() => Promise<MetricsText>> {
  const { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = (await import("prom-client"))
    .default;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: loopSampleMs });
  for (const name of withoutUse) registry.removeSingleMetric(name);

  /**
   * Shows a histogram that was filled elsewhere. Only its `get` is asked by the registry, as that of every gauge; the shape
   * comes from a histogram of the package's own.
   */
  class Shown extends Gauge<string> {
    readonly #family: HistogramFamily;
    readonly #shape: InstanceType<typeof Histogram<string>>;
    constructor(family: HistogramFamily) {
      const { name, help } = family;
      super({ name, help, labelNames: ["le", ...family.labels], registers: [registry] });
      this.#family = family;
      this.#shape = new Histogram({ name, help, registers: [] });
    }
    override async get() {
      return { ...(await this.#shape.get()), values: histogramLines(this.#family) };
    }
  }

  for (const family of families) {
    if (family.kind === "histogram") {
      new Shown(family);
      continue;
    }
    const { name, help } = family;
    const shape = { name, help, labelNames: [...family.labels], registers: [registry] };
    const named = (values: readonly string[]) =>
      Object.fromEntries(family.labels.map((label, at) => [label, values[at] ?? ""]));
    if (family.kind === "counter") {
      new Counter({
        ...shape,
        collect() {
          this.reset();
          for (const { labels, value } of boundedSamples(family)) this.inc(named(labels), value);
        },
      });
    } else {
      new Gauge({
        ...shape,
        collect() {
          this.reset();
          for (const { labels, value } of boundedSamples(family)) this.set(named(labels), value);
        },
      });
    }
  }
  return async () => ({
    contentType: registry.contentType,
    // The package writes `Nan`, which only some readers take.
    text: (await registry.metrics()).replaceAll(/ Nan$/gm, " NaN"),
  });
}

/** Buckets are cumulative in the text format; `+Inf` holds all. */
function histogramLines(family: HistogramFamily) {
  const { name } = family;
  return [...family.read()].flatMap(({ labels: values, histogram: { counts, sum } }) => {
    const labels = Object.fromEntries(family.labels.map((label, at) => [label, values[at] ?? ""]));
    let total = 0;
    const buckets = [...secondsBuckets, "+Inf" as const].map((le, at) => {
      total += counts[at] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: total },
    ];
  });
}
