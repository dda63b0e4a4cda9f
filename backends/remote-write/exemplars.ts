/** Exemplars of a point: their labels, values and times. */
import { attributeTags, AttributeWalk } from '../../proto/attributes.ts'
import { Growing } from '../../proto/growing.ts'
import { attributePairs, compareNames, type Pair, sortKey } from '../prometheus/label-base.ts'
import { encodedLabel } from '../prometheus/label-bytes.ts'
import { type DataPoint, milliseconds } from '../../proto/data-point.ts'
import { Cursor } from '../../proto/wire.ts'

/** Characters of all labels together, as OpenMetrics limits them. */
const mostCharacters = 128

/** The exemplars of one point, in the order of their values where that matters; used again and again. */
export class ExemplarList {
  readonly out = new Growing(512, undefined)
  length = 0
  /** Of each: where its labels stand in `out`, as labels of a series in 1.0. */
  readonly starts: number[] = []
  readonly ends: number[] = []
  readonly values: number[] = []
  readonly times: number[] = []
  readonly #labelName: (key: string) => string
  readonly #cursor = new Cursor(Buffer.alloc(0))

  constructor(labelName: (key: string) => string) {
    this.#labelName = labelName
  }

  /** Reads the exemplars of a point; with `sorted`, by value. @throws WireError */
  read(point: DataPoint, sorted: boolean): void {
    this.length = this.out.at = 0
    const { bytes, exemplarsStart, exemplarsEnd, exemplarsTag } = point
    const walk = new AttributeWalk(bytes, exemplarsStart, exemplarsEnd, exemplarsTag)
    while (walk.next()) this.#read(point, walk.from, walk.to)
    if (sorted && this.length > 1) this.#sort()
  }

  /** How many of those from `from` on have a value up to `bound`. */
  upTo(bound: number, from: number): number {
    let to = from
    while (to < this.length && this.values[to] <= bound) to++
    return to
  }

  #read({ bytes: data, view, milliseconds: time }: DataPoint, start: number, end: number): void {
    const cursor = this.#cursor.set(data, start, end)
    const labels: Pair[] = []
    let characters = 0
    let value: number | undefined
    let at = 0
    let hasAttributes = false
    while (cursor.at < end) {
      const tag = cursor.tag()
      const from = cursor.at
      if (tag === 0x22 || tag === 0x2a) {
        const length = cursor.length()
        const id = hex(data, cursor.at, cursor.at + length)
        cursor.at += length
        const name = tag === 0x2a ? 'trace_id' : 'span_id'
        if (id !== '') labels.push([name, id])
        continue
      }
      cursor.skip(tag)
      if (tag === 0x11) at = milliseconds(view.getUint32(from, true), view.getUint32(from + 4, true))
      else if (tag === 0x19) value = view.getFloat64(from, true)
      else if (tag === 0x31) value = view.getInt32(from + 4, true) * 0x1_0000_0000 + view.getUint32(from, true)
      else if (tag === attributeTags.exemplar) hasAttributes = true
    }
    if (value === undefined) return
    for (const [name, id] of labels) characters += name.length + id.length
    if (hasAttributes) this.#addAttributes(labels, attributePairs(data, start, end, attributeTags.exemplar), characters)
    this.#add(labels, value, at || time)
  }

  /** Adds attributes as far as all of them fit. */
  #addAttributes(labels: Pair[], attributes: readonly Pair[], before: number): void {
    const names = new Set(labels.map(([name]) => name))
    const more: Pair[] = []
    let characters = before
    for (const [key, value] of attributes) {
      const name = this.#labelName(key)
      if (name === '' || value === '' || names.has(name)) continue
      names.add(name)
      characters += codePoints(name) + codePoints(value)
      more.push([name, value])
    }
    if (characters <= mostCharacters) labels.push(...more)
  }

  #add(labels: Pair[], value: number, time: number): void {
    const { out, length } = this
    if (labels.length > 1) labels.sort(([a], [b]) => compareNames(sortKey(a), sortKey(b)))
    this.starts[length] = out.at
    for (const label of labels) {
      const field = encodedLabel(label)
      out.ensure(field.length)
      out.at += field.copy(out.bytes, out.at)
    }
    this.ends[length] = out.at
    this.values[length] = value
    this.times[length] = time
    this.length++
  }

  #sort(): void {
    const order = Array.from({ length: this.length }, (_, i) => i).sort((a, b) => this.values[a] - this.values[b])
    for (const list of [this.starts, this.ends, this.values, this.times]) {
      const before = list.slice(0, this.length)
      for (const [i, from] of order.entries()) list[i] = before[from]
    }
  }
}

/** How many characters a text has in Unicode's sense; surrogates count in pairs. */
const codePoints = (text: string): number => text.replaceAll(/[\ud800-\udbff][\udc00-\udfff]/g, '_').length

/** An id in hex; '' where it is none: empty or all zeros. */
function hex(bytes: Uint8Array, start: number, end: number): string {
  let zero = true
  for (let i = start; i < end && zero; i++) zero = bytes[i] === 0
  return zero ? '' : Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('hex')
}
