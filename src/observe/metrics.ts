import type { SecondsHistogram } from "./histogram.ts";

/** Series one family may show; further ones are added up under the word `other`. */
export const seriesMax = 600;

/** One number with the values of its family's labels, in the family's order. */
export interface Sample {
  readonly labels: readonly string[];
  readonly value: number;
}

/** Numbers of one kind. Read when somebody asks for metrics, and at no other time. */
export type MetricFamily =
  | {
      readonly kind: "counter" | "gauge";
      /** `odoo_gateway_…`; counters end in `_total`, units stand last (prometheus.io/docs/practices/naming). */
      readonly name: string;
      readonly help: string;
      readonly labels: readonly string[];
      /** Values of labels come from fixed sets of ours (rules, codes, limits): never a path, name or address of a client. */
      readonly read: () => Iterable<Sample>;
    }
  | {
      readonly kind: "histogram";
      readonly name: string;
      readonly help: string;
      /** Beside `le`; values come from fixed sets, as above. */
      readonly labels: readonly string[];
      readonly read: () => Iterable<{
        readonly labels: readonly string[];
        readonly histogram: SecondsHistogram;
      }>;
    };

/** What `GET /metrics` answers. */
export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** The samples of a family within `seriesMax`. */
export function boundedSamples(
  family: Extract<MetricFamily, { readonly kind: "counter" | "gauge" }>,
): readonly Sample[] {
  const samples = [...family.read()];
  if (samples.length <= seriesMax) return samples;
  const kept = samples.slice(0, seriesMax - 1);
  const rest = samples.slice(seriesMax - 1).reduce((sum, { value }) => sum + value, 0);
  return [...kept, { labels: family.labels.map(() => "other"), value: rest }];
}

/** A counter or gauge without labels. */
export function single(
  kind: "counter" | "gauge",
  name: string,
  help: string,
  value: () => number,
): MetricFamily {
  return { kind, name, help, labels: [], read: () => [{ labels: [], value: value() }] };
}

/** A counter with one label from a table of totals. */
export function byWord(
  name: string,
  help: string,
  label: string,
  table: () => Readonly<Record<string, number>>,
): MetricFamily {
  const read = () => Object.entries(table()).map(([word, value]) => ({ labels: [word], value }));
  return { kind: "counter", name, help, labels: [label], read };
}
