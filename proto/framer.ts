/** The framing of a request, which can stop anywhere between two fields and go on later. */
import { Group, groupCost } from './group.ts'
import { checkItem, maxBeside, smallItem } from './item-limits.ts'
import { type Allowance, allowanceFor, fieldCost, inPieces, normalise, WrittenTwice } from './normalise.ts'
import { metricPoints, PointCounter } from './points.ts'
import { NoRoomError, type Purse } from './purse.ts'
import { checkResource, checkScope, checkText } from './resource-check.ts'
import { type Message, messageNamed } from './schema.ts'
import { type Signal, signals } from './signals.ts'
import { Cursor, fieldSize, LENGTH, putVarint, WireError } from './wire.ts'

/** Resource groups that one request may have. Eight times what the Collector's batches hold if each item has a resource of its own. */
export const maxGroups = 65_536

/** Bytes that groups may have in which a message has to be merged, all groups of a request together. */
const mostMerged = 1024 * 1024

/**
 * Reads a request front to back. Groups without spans, log records or metrics carry nothing that the books count or a
 * destination keeps, and are left out: no object is made for them.
 */
export class Framer {
  readonly groups: Group[] = []
  /** Spans, log records, data points so far. */
  items = 0
  /** Bytes that were charged for groups and for what was written anew; whoever takes the groups takes them over. */
  charged = 0
  readonly #signal: Signal
  readonly #purse: Purse | undefined
  readonly #cursor: Cursor
  readonly #metrics: boolean
  #seen = 0
  /** What is open: where it ends, 0 when nothing of the kind is. */
  #groupEnd = 0
  #scopeEnd = 0
  #large: PointCounter | undefined
  #largeEnd = 0
  /** The open group. */
  #field = 0
  #start = 0
  #resourceField = 0
  #resourceStart = 0
  #resourceEnd = 0
  #groupItems = 0
  /** Whether it has a metric, which may be one without data points. */
  #hasMetric = false
  #hasScope = false
  #besideScopes = 0
  #besideItems = 0
  /** What may still be merged; none inside of what was merged. */
  #merging: Allowance | undefined
  #mergeable: number

  /**
   * `purse` pays for what is made of a sender's bytes. Without it they are our own, or were read before and may have grown
   * since: limits are not for them, and whoever takes the groups charges them.
   */
  constructor(signal: Signal, body: Buffer, purse: Purse | undefined) {
    this.#signal = signal
    this.#purse = purse
    this.#mergeable = purse === undefined ? body.length : mostMerged
    this.#cursor = new Cursor(body)
    this.#metrics = signal === 'metrics'
  }

  /**
   * Goes on until byte `until` or a little further; says whether the request is at its end.
   * @throws WireError where the bytes are not what the OTLP schema says or hold more than one request may
   * @throws NoRoomError where the purse does not pay
   */
  run(until: number): boolean {
    for (;;) {
      try {
        return this.#request(until)
      } catch (error) {
        // A message that stands twice where the schema has one is legal and rare: its group is merged once, here.
        if (!(error instanceof WrittenTwice)) throw error
        this.#merge()
      }
    }
  }

  /** Where it stands. */
  get at(): number {
    return this.#cursor.at
  }

  /** Gives back what was charged: nobody takes the groups. */
  abandon(): void {
    this.#purse?.release(this.charged)
    this.charged = 0
  }

  #request(until: number): boolean {
    if (this.#groupEnd > 0 && !this.#group(until)) return false
    const cursor = this.#cursor
    const end = cursor.bytes.length
    while (cursor.at < end) {
      if (cursor.at >= until) return false
      const field = cursor.at
      cursor.end = end
      const tag = cursor.tag()
      if (tag !== 0x0a) {
        if (tag >>> 3 === 1) cursor.expect(tag, LENGTH, 'resource group')
        cursor.skip(tag)
        continue
      }
      if (++this.#seen > maxGroups && this.#purse !== undefined) throw tooManyGroups()
      const length = cursor.length()
      this.#field = field
      this.#start = this.#resourceField = this.#resourceStart = this.#resourceEnd = cursor.at
      this.#groupEnd = cursor.at + length
      this.#groupItems = 0
      this.#hasMetric = false
      this.#besideScopes = 0
      if (!this.#group(until)) return false
    }
    return true
  }

  /** Goes on with the open group; false when it stopped before its end. */
  #group(until: number): boolean {
    if (this.#scopeEnd > 0 && !this.#scope(until)) return false
    const cursor = this.#cursor
    const end = this.#groupEnd
    while (cursor.at < end) {
      if (cursor.at >= until) return false
      cursor.end = end
      const at = cursor.at
      const tag = cursor.tag()
      if (tag === 0x12) {
        this.#scopeEnd = cursor.length() + cursor.at
        this.#hasScope = false
        this.#besideItems = 0
        if (!this.#scope(until)) return false
      } else if (tag === 0x0a) this.#resource(at)
      else {
        if (tag === 0x1a) checkText(cursor, 'schema URL of a resource')
        else {
          if (tag >>> 3 <= 3) cursor.expect(tag, LENGTH, 'field of a resource group')
          cursor.skip(tag)
        }
        this.#besideScopes += cursor.at - at
        if (this.#besideScopes > maxBeside && this.#purse !== undefined)
          throw tooMuchBeside('resource group', 'scope groups')
      }
    }
    this.#groupEnd = 0
    if (this.#groupItems > 0 || this.#hasMetric) this.#add()
    return true
  }

  #resource(field: number): void {
    const cursor = this.#cursor
    if (this.#resourceField !== this.#resourceEnd) throw new WrittenTwice('resource')
    const length = cursor.length()
    this.#resourceField = field
    this.#resourceStart = cursor.at
    this.#resourceEnd = cursor.end = cursor.at + length
    checkResource(cursor, this.#purse !== undefined)
  }

  #add(): void {
    this.#pay(groupCost)
    const bytes = this.#cursor.bytes as Buffer
    const items = this.#groupItems
    this.groups.push(
      new Group(
        bytes,
        this.#field,
        this.#start,
        this.#cursor.at,
        this.#resourceField,
        this.#resourceEnd,
        bytes,
        this.#resourceStart,
        this.#resourceEnd,
        items,
      ),
    )
    this.items += items
  }

  #pay(bytes: number): void {
    if (this.#purse !== undefined && !this.#purse.tryCharge(bytes)) throw new NoRoomError()
    this.charged += bytes
  }

  /** Goes on with the open scope group; false when it stopped before its end. */
  #scope(until: number): boolean {
    if (this.#large !== undefined && !this.#points(this.#large, until)) return false
    const cursor = this.#cursor
    const isMetrics = this.#metrics
    const isLimited = this.#purse !== undefined
    const end = this.#scopeEnd
    let items = 0
    while (cursor.at < end && cursor.at < until) {
      cursor.end = end
      const at = cursor.at
      const tag = cursor.tag()
      if (tag === 0x12) {
        const length = cursor.length()
        const itemEnd = length + cursor.at
        if (isMetrics) {
          this.#hasMetric = true
          if (length > smallItem && isLimited) {
            this.#large = new PointCounter(itemEnd)
            this.#largeEnd = itemEnd
            if (!this.#points(this.#large, until)) break
          } else {
            cursor.end = itemEnd
            items += metricPoints(cursor)
          }
        } else {
          items++
          if (length > smallItem && isLimited) checkItem(this.#item, cursor.bytes, cursor.at, itemEnd)
        }
        cursor.at = itemEnd
      } else if (tag === 0x0a) {
        if (this.#hasScope) throw new WrittenTwice('scope')
        this.#hasScope = true
        cursor.end = cursor.length() + cursor.at
        checkScope(cursor, this.#purse !== undefined)
      } else {
        if (tag === 0x1a) checkText(cursor, 'schema URL of a scope')
        else {
          if (tag >>> 3 <= 3) cursor.expect(tag, LENGTH, 'field of a scope group')
          cursor.skip(tag)
        }
        this.#besideItems += cursor.at - at
        if (this.#besideItems > maxBeside && this.#purse !== undefined) throw tooMuchBeside('scope group', 'items')
      }
    }
    this.#groupItems += items
    if (cursor.at < end || this.#large !== undefined) return false
    this.#scopeEnd = 0
    return true
  }

  /** Goes on with a large metric; false when it stopped before its end. */
  #points(counter: PointCounter, until: number): boolean {
    const cursor = this.#cursor
    if (!counter.run(cursor, until)) return false
    this.#groupItems += counter.points
    this.#large = undefined
    cursor.at = this.#largeEnd
    return true
  }

  get #item(): Message {
    return messageNamed(signals[this.#signal].item)
  }

  /** Writes the open group anew with every message once, and takes it from there. */
  #merge(): void {
    const { bytes } = this.#cursor
    const end = this.#groupEnd
    const size = end - this.#start
    this.#mergeable -= size
    if (this.#mergeable < 0) throw inPieces()
    const allowance = (this.#merging ??= allowanceFor(mostMerged, this.#purse === undefined ? Infinity : undefined))
    // Half a field is the least that a field takes; what is copied lives until the group is written.
    const scratch = Math.min(allowance.fields, size / 2) * fieldCost + 2 * size
    if (this.#purse !== undefined && !this.#purse.tryCharge(scratch)) throw new NoRoomError()
    let inner: Framer
    try {
      const { resourceGroup, item } = signals[this.#signal]
      const content = normalise(resourceGroup, (bytes as Buffer).subarray(this.#start, end), allowance, item)
      this.#pay(fieldSize(content.length))
      const out = Buffer.allocUnsafeSlow(fieldSize(content.length))
      out[0] = 0x0a
      content.copy(out, putVarint(out, 1, content.length))
      inner = new Framer(this.#signal, out, this.#purse)
      inner.#mergeable = 0
    } finally {
      this.#purse?.release(scratch)
    }
    try {
      inner.run(Infinity)
    } finally {
      this.charged += inner.charged
    }
    for (const group of inner.groups) this.groups.push(group)
    this.items += inner.items
    this.#cursor.at = end
    this.#groupEnd = this.#scopeEnd = 0
    this.#large = undefined
  }
}

/** The error of a request with more groups than one may have. */
export function tooManyGroups(): WireError {
  return new WireError(`a request has more than ${maxGroups} resource groups; send fewer at once`)
}

function tooMuchBeside(of: string, what: string): WireError {
  return new WireError(`a ${of} has more than ${maxBeside} bytes beside its ${what}`)
}
