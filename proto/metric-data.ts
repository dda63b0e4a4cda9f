/** What all points of a metric share: where its data stands, and what metric and data say beside the points. */
import { Growing } from './growing.ts'
import { GAUGE, isData, SUM, SUMMARY } from './points.ts'
import { asBuffer } from './values.ts'
import { Cursor, LENGTH } from './wire.ts'

const metadataField = 12
/** Stands for every temporality that the schema does not know. */
const otherTemporality = 3
const nothing: Uint8Array = Buffer.alloc(0)

/** A metric apart from its points; to be used again for each. */
export class MetricData {
  /** Field of Metric that holds the points: GAUGE, SUM, ...; 0: there is none. */
  kind = 0
  /** As in the schema; 3 is one that it does not know. */
  temporality = 0
  isMonotonic = false
  hasMetadata = false
  /** The content of the data, usually among the metric's own bytes. */
  bytes: Uint8Array = nothing
  start = 0
  end = 0
  /** The fields beside the data, one after the other. */
  head: Uint8Array = nothing
  headStart = 0
  headEnd = 0
  /** The point that `nextPoint` moved to: its content. */
  pointStart = 0
  pointEnd = 0
  readonly #cursor = new Cursor(nothing)
  readonly #lastHead: number

  /** `lastHead`: the head has fields up to this number; others beside the data are not asked for. */
  constructor(lastHead = Infinity) {
    this.#lastHead = lastHead
  }

  /**
   * Reads the metric between `from` and `to`, and says whether it has data. Data that stands last wins; data of one kind that
   * stands in pieces is what they are together.
   * @throws WireError
   */
  read(bytes: Uint8Array, from: number, to: number): boolean {
    const cursor = this.#cursor.set(bytes, from, to)
    this.kind = 0
    this.hasMetadata = false
    this.head = this.bytes = bytes
    this.headStart = this.headEnd = from
    // Whether fields stand as senders write them: those of the head first and together, then the data.
    let isUsual = true
    while (cursor.at < to) {
      const field = cursor.at
      const tag = cursor.tag()
      const number = tag >>> 3
      if (isData(number)) {
        cursor.expect(tag, LENGTH, 'data of a metric')
        if (this.kind !== 0) isUsual = false
        this.kind = number
        const length = cursor.length()
        this.start = cursor.at
        this.end = cursor.at += length
        continue
      }
      if (number === metadataField) this.hasMetadata = true
      cursor.skip(tag)
      if (number > this.#lastHead) continue
      if (this.headEnd !== field) isUsual = false
      this.headEnd = cursor.at
    }
    if (this.kind === 0) return false
    if (!isUsual) this.#gather(bytes, from, to)
    this.#readData()
    this.pointEnd = this.start
    return true
  }

  /** Moves to the next point and says whether there is one. @throws WireError */
  nextPoint(): boolean {
    const cursor = this.#cursor.set(this.bytes, this.pointEnd, this.end)
    while (cursor.at < this.end) {
      const tag = cursor.tag()
      if (tag !== 0x0a) {
        cursor.skip(tag)
        continue
      }
      const length = cursor.length()
      this.pointStart = cursor.at
      this.pointEnd = cursor.at + length
      return true
    }
    return false
  }

  /** Puts together what stands apart. */
  #gather(bytes: Uint8Array, from: number, to: number): void {
    const cursor = this.#cursor.set(bytes, from, to)
    const head = new Growing(to - from, undefined)
    const data = new Growing(to - from, undefined)
    let last = 0
    while (cursor.at < to) {
      const field = cursor.at
      const tag = cursor.tag()
      const number = tag >>> 3
      const start = cursor.at
      cursor.skip(tag)
      if (isData(number)) {
        if (number !== last) data.at = 0
        last = number
        const length = new Cursor(bytes, start, cursor.at).length()
        put(data, bytes, cursor.at - length, cursor.at)
      } else if (number <= this.#lastHead) put(head, bytes, field, cursor.at)
    }
    this.head = head.bytes
    this.headStart = 0
    this.headEnd = head.at
    this.bytes = data.bytes
    this.start = 0
    this.end = data.at
  }

  /** Temporality and whether it only grows stand beside the points, mostly behind them. */
  #readData(): void {
    this.temporality = 0
    this.isMonotonic = false
    if (this.kind === GAUGE || this.kind === SUMMARY) return
    const cursor = this.#cursor.set(this.bytes, this.start, this.end)
    while (cursor.at < this.end) {
      const tag = cursor.tag()
      if (tag === 0x10) this.temporality = Math.min(cursor.uint32(), otherTemporality)
      else if (tag === 0x18 && this.kind === SUM) this.isMonotonic = cursor.uint32() !== 0
      else cursor.skip(tag)
    }
  }
}

function put(out: Growing, bytes: Uint8Array, from: number, to: number): void {
  out.at += asBuffer(bytes).copy(out.bytes, out.at, from, to)
}
