/** What was turned away lately, and why: rows that a person can read, however much it is. */
import type { Account } from './account.ts'
import type { Logger } from './logger.ts'
import { type DoorPlace, ownText } from './sender.ts'

/** One request, or one connection, that was turned away. */
export interface Dismissed extends DoorPlace {
  /** Address of its sender; empty where there is none. */
  readonly peer: string
  /** What the limits per peer count it by: for IPv6 its network. */
  readonly network: string
  /** The program, as it calls itself, where it got so far. */
  readonly agent: string | undefined
  /** HTTP status, or name of the gRPC code; `none` where nobody could be answered. */
  readonly status: string
  readonly reason: string
  /** What its sender was told, or would have been. */
  readonly message: string
  /** How its body began, where that is what was wrong. */
  readonly firstBytes?: Buffer | undefined
}

/** Rows at most, and those that may be made in a second once there are so many. */
export const mostDismissals = 100
const rowsPerSecond = 20
/** Milliseconds between two looks at what exactly a sender does, where it does the same again and again. */
const between = 1000
/** Lines of the log in a minute, and milliseconds until the same is told again. */
export const linesPerMinute = 4
const silence = 600_000
const minute = 60_000
/** Bytes that a row takes besides its texts, which are kept up to this length. */
const rowCost = 600
const longestMessage = 300
const longestAgent = 128
/** Bytes of a body that are shown. */
const mostBytes = 64

/** Reasons that others have a line of the log for, or that are no fault of anybody. */
const toldElsewhere = new Set(
  'denied unready connections requests peer unread flood memory queue_full storage stopping undelivered cancelled rejected'.split(
    ' ',
  ),
)

/** How a body began, as it may be shown: printable text, or bytes as hexadecimal numbers. */
export interface ShownBytes {
  readonly is: 'text' | 'binary'
  readonly shown: string
}

/** The same from the same peer, as often as it came. Times are milliseconds since the epoch. */
export class Dismissal {
  readonly first: number
  last: number
  times = 1
  /** How it was when it was last looked at. */
  what: Dismissed
  lookedAt: number
  toldAt = -Infinity

  constructor(what: Dismissed, now: number) {
    this.what = what
    this.first = now
    this.last = now
    this.lookedAt = now
  }
}

/**
 * The last of them, one row for each peer, program, door, status and reason. When there are too many, of the reason that has most rows
 * the one that was seen longest ago goes: what is frequent does not push out what is rare.
 */
export class Dismissals {
  /** Whether bodies may be shown: not where the configuration redacts. */
  showsBytes = true
  /** Turned away without a row: too many new ones came at once, or there was no memory. */
  unlisted = 0
  readonly #account: Account
  readonly #log: Logger | undefined
  readonly #rows = new Map<string, Dismissal>()
  /** What of the second, and of the minute, is used up. */
  #second = 0
  #made = 0
  #minute = -Infinity
  #lines = 0
  #untold = 0

  constructor(account: Account, log?: Logger) {
    this.#account = account
    this.#log = log
  }

  get size(): number {
    return this.#rows.size
  }

  /** Something was turned away. */
  add(what: Dismissed, now = Date.now()): void {
    const key = keyOf(what)
    const row = this.#rows.get(key)
    if (row === undefined) return this.#begin(key, what, now)
    row.times++
    row.last = now
    if (now - row.lookedAt < between) return
    row.lookedAt = now
    row.what = this.#kept(what)
    this.#tell(row, now)
  }

  /** All rows, the latest first. */
  list(): Dismissal[] {
    return [...this.#rows.values()].sort((a, b) => b.last - a.last)
  }

  /** How the body of `what` began, if that may be shown. */
  bytesOf({ what: { firstBytes } }: Dismissal): ShownBytes | undefined {
    return this.showsBytes && firstBytes !== undefined && firstBytes.length > 0 ? shown(firstBytes) : undefined
  }

  /** Nothing is kept any more. */
  close(): void {
    this.#rows.clear()
    this.#account.close()
  }

  #begin(key: string, what: Dismissed, now: number): void {
    const second = Math.floor(now / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#made = 0
    }
    const isFull = this.#rows.size >= mostDismissals
    if ((isFull && this.#made >= rowsPerSecond) || (!isFull && !this.#account.grow(costOf(key)))) {
      this.unlisted++
      return
    }
    this.#made++
    if (isFull && !this.#replace(key)) {
      this.unlisted++
      return
    }
    const row = new Dismissal(this.#kept(what), now)
    this.#rows.set(key, row)
    this.#tell(row, now)
  }

  /** Makes room for another row: says whether there is. */
  #replace(key: string): boolean {
    const byReason = new Map<string, { rows: number; oldest: string; last: number }>()
    for (const [other, { what, last }] of this.#rows) {
      const reason = `${what.status} ${what.reason}`
      const known = byReason.get(reason)
      if (known === undefined) byReason.set(reason, { rows: 1, oldest: other, last })
      else {
        known.rows++
        if (last < known.last) Object.assign(known, { oldest: other, last })
      }
    }
    let most: { rows: number; oldest: string } | undefined
    for (const one of byReason.values()) if (most === undefined || one.rows > most.rows) most = one
    if (most !== undefined && this.#rows.delete(most.oldest)) this.#account.shrink(costOf(most.oldest))
    return this.#account.grow(costOf(key))
  }

  /** What is kept of it: nothing that is longer than it is told, and no part of a larger buffer. */
  #kept(what: Dismissed): Dismissed {
    const { agent, message, firstBytes } = what
    return {
      ...what,
      agent: agent === undefined ? undefined : ownText(agent, longestAgent),
      message: ownText(message, longestMessage),
      firstBytes: this.showsBytes ? firstBytes : undefined,
    }
  }

  #tell(row: Dismissal, now: number): void {
    const { receiver, transport, peer, agent, status, reason, message } = row.what
    if (toldElsewhere.has(reason) || now - row.toldAt < silence) return
    if (now - this.#minute >= minute) {
      this.#minute = now
      this.#lines = 0
    }
    if (this.#lines >= linesPerMinute) {
      this.#untold++
      return
    }
    this.#lines++
    row.toldAt = now
    const before = this.#untold === 0 ? {} : { untold: this.#untold }
    this.#untold = 0
    const who = { receiver, transport, peer: peer || undefined, user_agent: agent }
    this.#log?.warn(
      { ...who, status, reason, times: row.times, fault: message, ...before },
      'a sender was turned away; `kymo senders --refused` lists those that were',
    )
  }
}

/** Of what tells no program the message is one of a few; those of bodies differ with every byte. */
function keyOf({ receiver, transport, status, reason, network, agent, message }: Dismissed): string {
  const what = agent === undefined ? message : agent.slice(0, longestAgent)
  return `${receiver} ${transport} ${status} ${reason} ${network} ${what}`
}

/** A row has a message and the name of a program, and its key is kept with it. */
const costOf = (key: string): number => rowCost + 2 * (key.length + longestMessage + longestAgent)

/** A copy of how `body` begins: bodies are used again. */
export const beginningOf = (body: Uint8Array): Buffer => Buffer.from(body.subarray(0, mostBytes))

function shown(bytes: Buffer): ShownBytes {
  // A letter of several bytes may be cut at the end.
  const text = new TextDecoder().decode(bytes, { stream: bytes.length === mostBytes })
  // eslint-disable-next-line no-control-regex -- these are what makes it binary
  if (!/[\u0000-\u0008\u000e-\u001f\u007f-\u009f\ufffd]/.test(text)) {
    return { is: 'text', shown: JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"') }
  }
  return { is: 'binary', shown: bytes.toString('hex').replace(/..(?=.)/g, '$& ') }
}
