/** What one listener tells of those who come to it: who sends, what was turned away, with which status and why. */
import type { StatusTally } from '../core/books.ts'
import type { Dismissed } from '../core/dismissal.ts'
import { type DoorPlace, type HeardKind, SenderRow } from '../core/sender.ts'
import type { Senders } from '../core/senders.ts'
import type { ConnectionShare } from './occupancy.ts'
import { budgetUsedUp, type Refusal, type RefusalKind } from './refusal.ts'

/** Whom a listener tells, and of which door it is. Without it only counts are kept. */
export interface ReceptionTerms {
  readonly place: DoorPlace
  readonly senders: Senders
}

/** What was turned away, as its connection knows it. */
export interface TurnedAway extends Refusal {
  /** HTTP status, or name of the gRPC code. */
  readonly status: string
}

/** The status of what could not be answered. */
export const unanswered = 'none'

/** Whose data will be taken when it is sent again; all else is turned away for good. */
const passing = new Set<RefusalKind>([
  'memory',
  'slow',
  'cancelled',
  'unready',
  'handshake',
  'connections',
  'requests',
  'peer',
  'unread',
  'flood',
  'queue_full',
  'storage',
  'stopping',
  'undelivered',
])

/** What the process has no room for, whoever asks: not where one connection has its share already. */
function shortageOf({ kind, message }: Refusal): string | undefined {
  if (kind === 'queue_full' || kind === 'storage') return message
  return kind === 'memory' && message.startsWith(budgetUsedUp) ? budgetUsedUp : undefined
}

/** See above. */
export class Reception {
  readonly #terms: ReceptionTerms | undefined
  readonly #tallies = new Map<string, StatusTally & { requests: number }>()
  /** Everybody, where nobody is told apart. */
  readonly #anybody = new SenderRow({ receiver: '', transport: '' }, '', '', 0)

  constructor(terms: ReceptionTerms | undefined) {
    this.#terms = terms
  }

  /** Requests turned away, by status and reason. */
  get tallies(): readonly StatusTally[] {
    return [...this.#tallies.values()]
  }

  /** There is a count for it from now on, of nothing. */
  expect(kind: RefusalKind, status: string): void {
    this.#tally(kind, status)
  }

  /** Whoever is behind a connection, for as long as it lasts: `agent` is how its program calls itself. */
  meet(share: ConnectionShare, agent: string | undefined): SenderRow {
    return (share.sender = this.#rowOf(share, agent))
  }

  /** A request of which `bytes` had come was turned away: of a proxy several programs may send on one connection. */
  turnedAway(what: TurnedAway, share: ConnectionShare, agent: string | undefined, bytes: number): void {
    const how: HeardKind = passing.has(what.kind) ? 'refused' : 'rejected'
    this.#rowOf(share, agent).answered(how, 0, bytes)
    this.dismissed(what, share.address, share.peer.address, agent)
  }

  #rowOf(share: ConnectionShare, agent: string | undefined): SenderRow {
    if (this.#terms === undefined) return this.#anybody
    const { place, senders } = this.#terms
    return senders.table.of(place, share.address, agent)
  }

  /** Something was turned away that is no request of anybody: counts it, and notes from where it came. */
  dismissed(what: TurnedAway, peer: string, network: string, agent: string | undefined): void {
    const { kind, status, message, firstBytes } = what
    this.#tally(kind, status).requests++
    if (this.#terms === undefined) return
    const { place, senders } = this.#terms
    const { receiver, transport } = place
    const who = { receiver, transport, peer, network, agent: agent === '' ? undefined : agent }
    const dismissed: Dismissed = { ...who, status, reason: kind, message, firstBytes }
    senders.dismissals.add(dismissed)
    const shortage = shortageOf(what)
    if (shortage !== undefined) senders.shortages.refused(shortage)
  }

  #tally(kind: RefusalKind, status: string): StatusTally & { requests: number } {
    const key = `${status} ${kind}`
    const known = this.#tallies.get(key)
    if (known !== undefined) return known
    const made = { status, reason: kind, requests: 0 }
    this.#tallies.set(key, made)
    return made
  }
}
