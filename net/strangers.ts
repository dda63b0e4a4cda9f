/** Connections that nobody can talk on: the log has one line for each peer and fault, and never more than some. */
import type { Logger } from '../core/logger.ts'

/** The first byte of a TLS handshake, and what to say of one that comes to a port without TLS. */
export const tlsRecord = 0x16
export const tlsAtPlainPort = 'this port speaks plain text, and this is a TLS handshake: is the sender set to TLS?'

/** Milliseconds after which the same is told again. */
const silence = 600_000
/** Most lines in that time. */
const mostLines = 100

/** See above. */
export class Strangers {
  readonly #log: Logger | undefined
  readonly #now: () => number
  readonly #told = new Set<string>()
  #since = -Infinity

  /** `now` tells milliseconds. */
  constructor(log: Logger | undefined, now: () => number = () => performance.now()) {
    this.#log = log
    this.#now = now
  }

  /** Says of the peer what is wrong with its connection. */
  tell(peer: string, fault: string): void {
    if (this.#log === undefined) return
    const now = this.#now()
    if (now - this.#since >= silence) {
      this.#since = now
      this.#told.clear()
    }
    const line = `${peer} ${fault}`
    if (this.#told.size >= mostLines || this.#told.has(line)) return
    this.#told.add(line)
    this.#log.warn({ peer: peer || undefined, fault }, 'a connection cannot be served')
    if (this.#told.size === mostLines) {
      this.#log.warn(
        {},
        `more connections cannot be served than are told of: they are counted, and told again in ten minutes`,
      )
    }
  }
}
