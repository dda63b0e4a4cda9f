/** Datadog's payloads of metrics in protobuf: MetricPayload for series, SketchPayload for distributions. */
import type { MetricBlock } from './metric-block.ts'
import type { PointTags } from './point-tags.ts'
import type { Sketch } from './sketch.ts'
import type { Memory } from '../../proto/growing.ts'
import { ProtoSink, slack } from '../../proto/json-sink.ts'
import type { Range } from '../../proto/values.ts'
import { putVarint, varintSize } from '../../proto/wire.ts'

/** Kinds of series. */
export const COUNT = 1
export const GAUGE = 3

const SERIES = 0
const SKETCH = 1
const DOGSKETCH = 2

/** What is written of one series or sketch before its values. */
export interface SeriesHead {
  readonly block: MetricBlock
  readonly name: Range
  /** What follows the name, such as `.count`. */
  readonly suffix: Buffer
  readonly tags: PointTags
  /** Further tags, each with the byte that stands before it in a series left out. */
  readonly extra: readonly Buffer[]
}

/** Writes one of the two payloads. */
export class MetricWriter extends ProtoSink {
  /** How many series or sketches there are. */
  count = 0

  constructor(size: number, memory: Memory | undefined) {
    super(size, 3, memory)
  }

  /** One value of a series; `seconds` since 1970. */
  series(head: SeriesHead, type: number, value: number, seconds: number): void {
    const { block, tags } = head
    const reserved = this.expected(SERIES)
    this.#room(head, block.seriesTags.length)
    const start = this.open(0x0a, reserved)
    this.#copy(block.host)
    this.#name(0x12, head)
    this.#tags(0x1a, head)
    this.#copy(block.seriesTags)
    void tags
    // MetricPoint: the value as a double and the time as an int64.
    this.bytes[this.at++] = 0x22
    this.bytes[this.at++] = 10 + varintSize(seconds)
    this.bytes[this.at++] = 0x09
    this.double(value)
    this.bytes[this.at++] = 0x10
    this.varint(seconds)
    this.bytes[this.at++] = 0x28
    this.bytes[this.at++] = type
    this.close(start, reserved, SERIES)
    this.count++
  }

  /** One sketch with its exact sum, smallest and largest value. */
  sketch(head: SeriesHead, sketch: Sketch, sum: number, min: number, max: number, seconds: number): void {
    const { block } = head
    const reserved = this.expected(SKETCH)
    this.#room(head, block.sketchTags.length + block.hostname.length + sketch.keys.length * 8)
    const start = this.open(0x0a, reserved)
    this.#name(0x0a, head)
    this.#text(0x12, block.hostname)
    this.#tags(0x22, head)
    this.#copy(block.sketchTags)
    const inner = this.expected(DOGSKETCH)
    const from = this.open(0x3a, inner)
    this.bytes[this.at++] = 0x08
    this.varint(seconds)
    this.bytes[this.at++] = 0x10
    this.varint(sketch.count)
    this.#number(0x19, min)
    this.#number(0x21, max)
    this.#number(0x29, sum / sketch.count)
    this.#number(0x31, sum)
    this.#packed(0x3a, sketch.keys, key => ((key << 1) ^ (key >> 31)) >>> 0)
    this.#packed(0x42, sketch.counts, count => count)
    this.close(from, inner, DOGSKETCH)
    this.close(start, reserved, SKETCH)
    this.count++
  }

  /** What every SketchPayload ends with: metadata, which are empty. */
  metadata(): void {
    this.ensure(slack)
    this.bytes[this.at++] = 0x12
    this.bytes[this.at++] = 0
  }

  #room({ block, name, suffix, tags, extra }: SeriesHead, more: number): void {
    let size = block.host.length + name.end - name.start + suffix.length + tags.size + more + slack
    for (const tag of extra) size += tag.length + 6
    this.ensure(size)
  }

  #copy(bytes: Buffer): void {
    this.at += bytes.copy(this.bytes, this.at)
  }

  #text(tag: number, text: Buffer): void {
    if (text.length === 0) return
    this.bytes[this.at++] = tag
    this.varint(text.length)
    this.#copy(text)
  }

  #name(tag: number, { name, suffix }: SeriesHead): void {
    this.bytes[this.at++] = tag
    this.varint(name.end - name.start + suffix.length)
    this.bytes.set(name.bytes.subarray(name.start, name.end), this.at)
    this.at += name.end - name.start
    this.#copy(suffix)
  }

  #tags(tag: number, { tags, extra }: SeriesHead): void {
    this.at = tags.write(this.bytes, this.at, tag)
    for (const text of extra) this.#text(tag, text)
  }

  #number(tag: number, n: number): void {
    this.bytes[this.at++] = tag
    this.double(n)
  }

  #packed(tag: number, numbers: readonly number[], encode: (n: number) => number): void {
    let size = 0
    for (const n of numbers) size += varintSize(encode(n))
    this.bytes[this.at++] = tag
    this.varint(size)
    for (const n of numbers) this.at = putVarint(this.bytes, this.at, encode(n))
  }
}
