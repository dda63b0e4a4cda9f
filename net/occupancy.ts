/**
 * How much of one listener is taken up, and by whom: connections, requests in flight, memory. No protocol is known here.
 *
 * Of what a limit allows, the last quarter is kept for connections that have little: one that has much, or many of one
 * peer, cannot shut the door for the others.
 */
import { isIPv6 } from 'node:net'
import type { Usage } from '../core/books.ts'
import type { Budget } from '../core/budget.ts'
import { Chain, type Chained } from '../core/chain.ts'
import type { Logger } from '../core/logger.ts'
import type { SenderRow } from '../core/sender.ts'

/** Which limit turned somebody away, or ended what he had. */
export type LimitKind = 'connections' | 'requests' | 'peer' | 'unread' | 'flood'

/** What may be taken up at once; Infinity where there is no limit. */
export interface OccupancyLimits {
  readonly connections: number
  readonly connectionsPerPeer: number
  readonly requests: number
  readonly requestsPerPeer: number
  /** Part of the budget, 0 to 1, that bodies and open requests of one peer may take. */
  readonly memoryPerPeer: number
}

/** What has to be looked at from time to time. */
export interface Watched extends Chained<Watched> {
  look(now: number): void
  /** The connection is gone. */
  gone(): void
}

/** Charged for each connection: 27 to 43 KiB were measured. */
export const connectionCost = 32 * 1024
/** Connections of a listener that what the process keeps aside for peers pays for. */
export const paidConnections = 32
/** Milliseconds between two lines of the log about one limit. */
const silence = 60_000

const limitless: OccupancyLimits = {
  connections: Infinity,
  connectionsPerPeer: Infinity,
  requests: Infinity,
  requestsPerPeer: Infinity,
  memoryPerPeer: 1,
}

const explanations: Record<LimitKind, string> = {
  connections: 'a connection was closed at once: there are as many as `limits` allows, or as memory does',
  requests: 'a request was turned away: as many are in flight as `limits.max_requests` allows',
  peer: 'a request was turned away: its peer has what `limits` allows one',
  unread: 'an answer was given up: its sender did not take it within `limits.answer_timeout`',
  flood: 'a connection was ended: it sent frames without end that are no requests',
}

/** What one peer address takes up. */
export class Peer {
  readonly address: string
  connections = 0
  requests = 0
  held = 0

  constructor(address: string) {
    this.address = address
  }
}

/** What one connection takes up. */
export class ConnectionShare {
  readonly peer: Peer
  /** Its own address, where the peer is a network; empty on unix sockets. */
  readonly address: string
  /** Who is behind it, once a request has come. */
  sender: SenderRow | undefined
  /** Bytes charged for bodies that are read and for open requests. */
  held = 0
  requests = 0
  /** Answers that have not been taken yet. */
  unread = 0
  /** Requests that are not over. */
  readonly open = new Chain<Watched>()
  /** Whether it came when little was left: those who were there before have more of it. */
  isLate = false
  /** Looks at the connection as such. */
  probe: ((now: number) => void) | undefined

  constructor(peer: Peer, address = peer.address) {
    this.peer = peer
    this.address = address
  }
}

/** Who is behind a connection, if that is known and still told of. */
export const knownSender = ({ sender }: ConnectionShare): SenderRow | undefined =>
  sender?.isListed === true ? sender : undefined

/** The connections and requests of one listener. */
export class Occupancy {
  readonly limits: OccupancyLimits
  readonly shares = new Set<ConnectionShare>()
  requests = 0
  readonly #budget: Budget | undefined
  readonly #refusals: Record<LimitKind, number>
  readonly #log: Logger | undefined
  readonly #peers = new Map<string, Peer>()
  readonly #told = new Map<LimitKind, number>()

  /** `refusals` are counted up when a limit bites. Without a budget connections are counted, not charged. */
  constructor(
    limits: Partial<OccupancyLimits>,
    refusals: Record<LimitKind, number>,
    budget: Budget | undefined,
    log: Logger | undefined,
  ) {
    this.limits = { ...limitless, ...limits }
    this.#refusals = refusals
    this.#budget = budget
    this.#log = log
  }

  /** Most bytes that one peer may hold. */
  get peerMemory(): number {
    return (this.#budget?.limit ?? Infinity) * this.limits.memoryPerPeer
  }

  /** A connection from `address` (none on unix sockets) comes in; undefined when it must be closed. */
  enter(address: string | undefined): ConnectionShare | undefined {
    const name = peerName(address)
    const peer = this.#peers.get(name) ?? new Peer(name)
    const { connections, connectionsPerPeer } = this.limits
    const isFull = this.shares.size >= connections || (name !== '' && peer.connections >= connectionsPerPeer)
    if (isFull || !this.#chargeConnection()) {
      this.turnedAway('connections', name)
      return undefined
    }
    const share = new ConnectionShare(peer, plainAddress(address))
    const { requests, requestsPerPeer } = this.limits
    share.isLate = this.requests >= requests * most || peer.requests >= requestsPerPeer * most
    this.shares.add(share)
    peer.connections++
    this.#peers.set(name, peer)
    return share
  }

  /** The connection is gone, and with it all that it had open. */
  leave(share: ConnectionShare): void {
    if (!this.shares.delete(share)) return
    if (this.shares.size >= paidConnections) this.#budget?.release(connectionCost)
    const { peer } = share
    if (--peer.connections === 0) this.#peers.delete(peer.address)
  }

  /**
   * Connections may take half of the budget. Where data has used it up, some still come in, so that their senders hear
   * when to come again.
   */
  #chargeConnection(): boolean {
    const budget = this.#budget
    if (budget === undefined || this.shares.size < paidConnections) return true
    const sum = (this.shares.size + 1) * connectionCost
    if (sum > budget.limit / 2) return false
    if (sum <= budget.limit / 16) budget.charge(connectionCost)
    else return budget.tryCharge(connectionCost)
    return true
  }

  /** Counts a request of the connection, unless there are too many: says which limit that is. */
  begin(share: ConnectionShare): 'requests' | 'peer' | undefined {
    const { peer, requests, isLate } = share
    const { limits } = this
    if (!isLetIn(this.requests, limits.requests, requests, this.shares.size, isLate)) return 'requests'
    const isPeerFull = !isLetIn(peer.requests, limits.requestsPerPeer, requests, peer.connections, isLate)
    if (isPeerFull && peer.address !== '') return 'peer'
    this.requests++
    peer.requests++
    share.requests++
    return undefined
  }

  /** A request that was counted is over. */
  end(share: ConnectionShare): void {
    this.requests--
    share.peer.requests--
    share.requests--
  }

  /** Whether the peer of the connection may hold `bytes` more. */
  hasMemory(share: ConnectionShare, bytes: number): boolean {
    const { peer } = share
    return peer.address === '' || fits(peer.held + bytes - 1, this.peerMemory, share.held + bytes - 1, peer.connections)
  }

  /** Whether so much is taken that those who only wait should wait less. */
  isCrowded(share: ConnectionShare): boolean {
    const { peer } = share
    const { requests, requestsPerPeer } = this.limits
    return (
      (this.#budget !== undefined && this.#budget.used > this.#budget.limit * most) ||
      this.requests > requests * most ||
      (peer.address !== '' && (peer.requests > requestsPerPeer * most || peer.held > this.peerMemory * most))
    )
  }

  /** Counts that a limit bit, and says so once in a while. */
  turnedAway(kind: LimitKind, peer: string): void {
    this.#refusals[kind]++
    const now = Date.now()
    if (now - (this.#told.get(kind) ?? -Infinity) < silence) return
    this.#told.set(kind, now)
    this.#log?.warn({ limit: kind, peer: peer || undefined }, explanations[kind])
  }

  /** How full it is now, and may be. */
  get usage(): Record<string, Usage> {
    const { limits } = this
    const peers = [...this.#peers.values()].filter(({ address }) => address !== '')
    const most = (part: 'connections' | 'requests' | 'held') =>
      peers.reduce((top, peer) => Math.max(top, peer[part]), 0)
    let bytes = Math.max(0, this.shares.size - paidConnections) * connectionCost
    for (const { held } of this.shares) bytes += held
    return {
      connections: usage(this.shares.size, limits.connections),
      connections_per_peer: usage(most('connections'), limits.connectionsPerPeer),
      requests: usage(this.requests, limits.requests),
      requests_per_peer: usage(most('requests'), limits.requestsPerPeer),
      memory_bytes: usage(bytes, this.#budget?.limit),
      memory_bytes_per_peer: usage(most('held'), this.peerMemory),
    }
  }
}

const usage = (used: number, limit = Infinity): Usage => ({
  used,
  limit: limit === Infinity ? undefined : Math.floor(limit),
})

/** What may be taken by whoever comes; the rest is for those that have little. */
const most = 0.75

/** Whether one more is allowed where `used` of `limit` are taken, `own` of them by one of `sharing` connections. */
function fits(used: number, limit: number, own: number, sharing: number): boolean {
  return used < limit * most || (used < limit && own < (limit * (1 - most)) / sharing)
}

/** With how many requests a late connection has little, where all is free, one of some or of many: as much less as less is. */
const fewOfMany = 10
const fewOfSome = 250

/**
 * Likewise for requests. Of those who come when little is left each may have the fewer the less it is, so that they do not take
 * the part of those who were there, one after the other.
 */
function isLetIn(used: number, limit: number, own: number, sharing: number, isLate: boolean): boolean {
  if (used < limit * most) return true
  if (!fits(used, limit, own, sharing)) return false
  return !isLate || own < Math.max(fewOfMany, fewOfSome / sharing) * (1 - used / limit)
}

/**
 * The address that limits per peer count by: that of the machine, for IPv6 its network of 64 bits, of which one sender may
 * have every address. Empty for unix sockets, where everybody is this machine and nobody is counted apart.
 */
export function peerName(address: string | undefined): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const [head, tail] = plain.split('%', 1)[0].split('::', 2)
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const after = tail === '' ? 0 : tail.split(':').length
    while (groups.length < 8 - after) groups.push('0')
  }
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** An address of IPv4 as such, however it came; empty where there is none. */
export const plainAddress = (address = ''): string =>
  address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
