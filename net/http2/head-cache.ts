/** Heads that were read before: a client that sends the same bytes again means the same. */
import { HpackReader, type HeaderLimits } from './hpack.ts'
import { RequestHead } from './request-head.ts'

/** Blocks that are remembered: a connection has as many kinds of calls as there are signals. */
const remembered = 4
/** Longest block that is: longer ones are seldom the same twice. */
const longest = 256

/** Why a head is none: it breaks the rules, or the limits. */
export type NoHead = 'malformed' | 'too large'

interface Known {
  readonly bytes: Buffer
  readonly version: number
  readonly head: RequestHead
}

/** Reads the heads of one connection. */
export class HeadCache {
  readonly #reader: HpackReader
  readonly #known: Known[] = []
  #next = 0

  constructor(limits: HeaderLimits) {
    this.#reader = new HpackReader(limits)
  }

  /**
   * The head at `from` to `to`.
   * @throws ConnectionError where it cannot be read
   */
  head(bytes: Buffer, from: number, to: number): RequestHead | NoHead {
    const { version } = this.#reader
    const length = to - from
    for (const known of this.#known) {
      if (known.version === version && known.bytes.length === length && isSame(known.bytes, bytes, from)) {
        return known.head
      }
    }
    const { raw, isTooLarge } = this.#reader.read(bytes, from, to)
    if (isTooLarge) return 'too large'
    const head = RequestHead.of(raw)
    if (head === undefined) return 'malformed'
    // Where reading it changed the table, reading it again would, too.
    if (length > longest || this.#reader.version !== version) return head
    this.#known[this.#next] = { bytes: Buffer.from(bytes.subarray(from, to)), version, head }
    this.#next = (this.#next + 1) % remembered
    return head
  }

  /** Headers that are no head: undefined where there are too many. */
  headers(bytes: Buffer, from: number, to: number): readonly string[] | undefined {
    const { raw, isTooLarge } = this.#reader.read(bytes, from, to)
    return isTooLarge ? undefined : raw
  }
}

function isSame(one: Buffer, bytes: Buffer, from: number): boolean {
  for (let i = 0; i < one.length; i++) if (one[i] !== bytes[from + i]) return false
  return true
}
