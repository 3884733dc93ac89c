import type { EdgeBounds } from "../bounds.ts";
import { type Http2Error, http2Error, payloadBytesMax, settingsFrame, windowBytesMax } from "./frame.ts";

/** Parameters of SETTINGS (RFC 9113 §6.5.2, RFC 9218 §2.1). */
export const parameter = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  noRfc7540Priorities: 9,
} as const;

/** What we say at the beginning, and never again. */
export function ourSettings(bounds: EdgeBounds): Buffer {
  return settingsFrame([
    [parameter.maxConcurrentStreams, bounds.http2StreamsMax],
    [parameter.initialWindowSize, bounds.http2StreamWindowBytes],
    [parameter.maxHeaderListSize, bounds.http2HeaderListBytesMax],
    [parameter.noRfc7540Priorities, 1],
  ]);
}

/** What is wrong with a value of the client's; null: nothing, or we do not know the parameter. */
export function settingFault(id: number, value: number): Http2Error | null {
  switch (id) {
    case parameter.enablePush:
    case parameter.noRfc7540Priorities:
      return value > 1 ? http2Error.protocol : null;
    case parameter.initialWindowSize:
      return value > windowBytesMax ? http2Error.flowControl : null;
    case parameter.maxFrameSize:
      return value < payloadBytesMax || value >= 2 ** 24 ? http2Error.protocol : null;
    default:
      return null;
  }
}
