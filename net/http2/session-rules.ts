/** What a server allows on each of its connections. */
import type { HeaderLimits } from './hpack.ts'

/** See above. */
export interface SessionRules {
  /** Streams that may be open at once. */
  readonly streams: number
  /** What a stream may bring before its sender has to be told that there is room, and what all of a connection may. */
  readonly streamWindow: number
  readonly window: number
  readonly headers: HeaderLimits
}
