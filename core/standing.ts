/** Senders of malformed data: what they send is checked in full at the door for a while. */
import type { Account } from './account.ts'
import type { Clock } from './clock.ts'
import { HostKey } from './host.ts'

/** Milliseconds for which whoever sent malformed data is suspected. */
export const suspectedFor = 600_000
/** Addresses that are remembered at most; then the one that was found out first is forgotten. */
const mostSuspects = 4096
/** Bytes that one takes besides its text. */
const suspectCost = 120

/** Request headers that say that somebody stands between. */
const proxyHeaders = ['forwarded', 'x-forwarded-for', 'via']

/** The suspects of the process. */
export const suspectsKey = new HostKey<Suspects>('suspects')

/** Peer addresses that have sent malformed data lately. */
export class Suspects {
  /** Grows whenever somebody is found out, so that a connection looks here only then. */
  version = 0
  readonly clock: Clock
  readonly #account: Account
  /** Until when each is suspected; the first of them first. */
  readonly #until = new Map<string, number>()

  /** `account` pays for what is remembered. */
  constructor(clock: Clock, account: Account) {
    this.clock = clock
    this.#account = account
  }

  /** Addresses that are remembered. */
  get size(): number {
    return this.#until.size
  }

  /** Until when what comes from there is checked, by the clock; 0 for nobody. */
  until(address: string): number {
    return this.#until.get(address) ?? 0
  }

  /** Something malformed came from there. */
  add(address: string): void {
    const now = this.clock.now()
    this.#forget(address)
    for (const [other, until] of this.#until) {
      if (until > now && this.#until.size < mostSuspects) break
      this.#forget(other)
    }
    // Where there is no room, the connection alone is suspected.
    if (!this.#account.grow(costOf(address))) return
    this.#until.set(address, now + suspectedFor)
    this.version++
  }

  /** Nothing is remembered any more. */
  close(): void {
    this.#until.clear()
    this.#account.close()
  }

  #forget(address: string): void {
    if (this.#until.delete(address)) this.#account.shrink(costOf(address))
  }
}

const costOf = (address: string): number => suspectCost + 2 * address.length

/** What is known of whoever is behind one connection. */
export class Standing {
  readonly #suspects: Suspects
  readonly #address: string | undefined
  #version = -1
  #until = 0

  /** `address`: of the peer, where it has one. */
  constructor(suspects: Suspects, address: string | undefined) {
    this.#suspects = suspects
    this.#address = address
  }

  /** Whether what comes is to be checked in full. */
  get isSuspected(): boolean {
    const suspects = this.#suspects
    if (this.#version !== suspects.version) {
      this.#version = suspects.version
      if (this.#address !== undefined) this.#until = Math.max(this.#until, suspects.until(this.#address))
    }
    if (this.#until === 0) return false
    if (suspects.clock.now() < this.#until) return true
    this.#until = 0
    return false
  }

  /** Something malformed came over this connection, with these headers where they are known: of a proxy only the connection is suspected. */
  sentMalformed(metadata: ReadonlyMap<string, unknown> | undefined): void {
    this.#until = this.#suspects.clock.now() + suspectedFor
    const isProxied = metadata !== undefined && proxyHeaders.some(name => metadata.has(name))
    if (this.#address !== undefined && !isProxied) this.#suspects.add(this.#address)
  }
}
