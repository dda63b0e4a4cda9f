/** Who sends: a row for each receiver, transport, address and program; how many there are does not grow with what comes. */
import type { Account } from './account.ts'

/** How a request of a sender went: taken; taken in part; turned away for good; to be sent again. */
export type HeardKind = 'accepted' | 'partial' | 'rejected' | 'refused'

/** Which door of which receiver. */
export interface DoorPlace {
  /** Id of the receiver. */
  readonly receiver: string
  readonly transport: string
}

/** What a sender sent in each second of the last one to two minutes. */
export interface SenderPace {
  readonly requests: number
  readonly items: number
  readonly bytes: number
}

/** What a list of them can be sorted by, the highest first. */
export const senderSortings = ['last', 'requests', 'items', 'bytes', 'refused'] as const

/** Rows at most. */
export const mostSenders = 1000
/** Of these, so many may be senders of whom nothing was ever taken, before one that is known gives way to them. */
const fewStrangers = 100
/** Bytes that a row takes besides its texts. */
const rowCost = 500
/** Names of programs are kept up to this length. */
const longestAgent = 128
/** Milliseconds between two marks that a pace is told from. */
const between = 60_000

/** What had been counted at a moment. */
interface CountMark {
  readonly at: number
  readonly requests: number
  readonly items: number
  readonly bytes: number
}

/** One sender. Times are milliseconds since the epoch. */
export class SenderRow {
  readonly place: DoorPlace
  /** Its address; empty where there is none. */
  readonly peer: string
  /** The program, as it calls itself in its first request on a connection; empty where it does not. */
  readonly agent: string
  readonly since: number
  last: number
  /** Spans, log records, data points; of requests that could be read. */
  items = 0
  /** Of bodies, as they were sent. */
  bytes = 0
  accepted = 0
  partial = 0
  rejected = 0
  refused = 0
  /** Whether the table has it. Where not, whoever still has it looks it up anew. */
  isListed = true
  /** When the table last looked whether it had to go. */
  lookedAt: number
  /** The latest mark, and the one before. */
  #mark: CountMark
  #before: CountMark

  constructor(place: DoorPlace, peer: string, agent: string, now: number) {
    this.place = place
    this.peer = peer
    this.agent = agent
    this.since = now
    this.last = now
    this.lookedAt = now
    this.#before = this.#mark = { at: now, requests: 0, items: 0, bytes: 0 }
  }

  get requests(): number {
    return this.accepted + this.partial + this.rejected + this.refused
  }

  /** Whether anything of it was ever taken. */
  get isKnown(): boolean {
    return this.accepted > 0 || this.partial > 0
  }

  /** A request is over: how it went, what was in it, and how large it was. */
  answered(how: HeardKind, items: number, bytes: number, now = Date.now()): void {
    if (now - this.#mark.at >= between) this.#remember(now)
    this.last = now
    this[how]++
    this.items += items
    this.bytes += bytes
  }

  /** Counts of both, as those of one. */
  add({ items, bytes, accepted, partial, rejected, refused }: SenderRow): void {
    this.items += items
    this.bytes += bytes
    this.accepted += accepted
    this.partial += partial
    this.rejected += rejected
    this.refused += refused
  }

  /** Per second, over the last one to two minutes, or since it is known. */
  pace(now = Date.now()): SenderPace {
    if (now - this.#mark.at >= between) this.#remember(now)
    const before = this.#before
    // Less than a second says nothing.
    const seconds = Math.max(1, (now - before.at) / 1000)
    return {
      requests: (this.requests - before.requests) / seconds,
      items: (this.items - before.items) / seconds,
      bytes: (this.bytes - before.bytes) / seconds,
    }
  }

  #remember(now: number): void {
    const { requests, items, bytes } = this
    // What was long ago is not of the last minutes.
    this.#before = now - this.#mark.at < 2 * between ? this.#mark : { at: now - between, requests, items, bytes }
    this.#mark = { at: now, requests, items, bytes }
  }
}

const nowhere: DoorPlace = { receiver: '', transport: '' }

/**
 * All that are known. When there are too many, whoever has sent nothing for longest goes, and first those of whom nothing was
 * ever taken: strangers push nobody out that is known, however many they are.
 */
export class SenderTable {
  /** What those sent that are not in the table: there was no room for them, or they had to go. */
  readonly others = new SenderRow(nowhere, '', '', 0)
  /** How many rows had to go. */
  gone = 0
  readonly #account: Account
  readonly #known = new Map<string, SenderRow>()
  readonly #strangers = new Map<string, SenderRow>()

  /** `account` pays for the rows. */
  constructor(account: Account) {
    this.#account = account
  }

  get size(): number {
    return this.#known.size + this.#strangers.size
  }

  /** The row of whoever sends from `peer`; kept with the connection, so that a request looks up nothing. */
  of(place: DoorPlace, peer: string, agent: string | undefined, now = Date.now()): SenderRow {
    const name = ownText(agent ?? '', longestAgent)
    const key = `${place.receiver} ${place.transport} ${peer} ${name}`
    const found = this.#known.get(key) ?? this.#strangers.get(key)
    if (found !== undefined) return found
    if (this.size >= mostSenders) this.#makeRoom(now)
    if (!this.#account.grow(costOf(peer, name))) return this.others
    const made = new SenderRow(place, peer, name, now)
    this.#strangers.set(key, made)
    return made
  }

  /** All rows. */
  *all(): Generator<SenderRow> {
    yield* this.#known.values()
    yield* this.#strangers.values()
  }

  /** Nothing is kept any more. */
  close(): void {
    this.#known.clear()
    this.#strangers.clear()
    this.#account.close()
  }

  #makeRoom(now: number): void {
    if (this.#strangers.size >= fewStrangers && this.#letOneGo(this.#strangers, now)) return
    this.#letOneGo(this.#known, now)
  }

  /** Lets go of the first that was not heard of since it was looked at; those that were stand at the end then. */
  #letOneGo(rows: Map<string, SenderRow>, now: number): boolean {
    for (const [key, row] of rows) {
      rows.delete(key)
      const isPromoted = row.isKnown && rows === this.#strangers
      if (row.last <= row.lookedAt && !isPromoted) {
        this.#drop(row)
        return true
      }
      row.lookedAt = now
      if (isPromoted) this.#known.set(key, row)
      else rows.set(key, row)
    }
    return false
  }

  #drop(row: SenderRow): void {
    row.isListed = false
    this.#account.shrink(costOf(row.peer, row.agent))
    this.others.add(row)
    this.gone++
  }
}

const costOf = (peer: string, agent: string): number => rowCost + 2 * (peer.length + agent.length)

/** `text` cut to `longest`, in memory of its own: a part of a longer one would keep all of that. */
export function ownText(text: string, longest: number): string {
  return Buffer.from(text.length > longest ? `${text.slice(0, longest - 1)}…` : text).toString()
}
