import { isRecord, type Service } from "./read.ts";

/** A volume of a service: what of the machine, or which named volume, lies where in the container. */
export interface Mount {
  /** In the list `volumes`. */
  readonly index: number;
  /** Empty: a volume without a name. */
  readonly source: string;
  readonly target: string;
  /** As it is written, for a sentence. */
  readonly shown: string;
}

/** Stands for a variable whose value is not known here. */
export const unknownPart = "\u2026";

/** Bind mounts and volumes, long and short, variables substituted. */
export function mountsOf(service: Service): readonly Mount[] {
  const value = service.at("volumes");
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown, index) => {
    if (isRecord(item)) {
      const text = (key: string) => service.filled(item[key], unknownPart);
      const [source, target] = [text("source"), text("target")];
      return [{ index, source, target, shown: source === "" ? target : source }];
    }
    if (typeof item !== "string") return [];
    const [first = "", second] = service.filled(item, unknownPart).split(":");
    return second === undefined
      ? [{ index, source: "", target: first, shown: item }]
      : [{ index, source: first, target: second, shown: first.includes(unknownPart) ? item : first }];
  });
}
