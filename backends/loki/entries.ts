/** Entries of a Loki push request, written one after the other, and the requests that are made of them. */
import type { Memory } from '../../proto/growing.ts'
import type { MetadataWriter } from './metadata.ts'
import type { Stream } from './target.ts'
import { fieldSize, putVarint, varintSize } from '../../proto/wire.ts'

/** Tags: a stream of the request, an entry of the stream; labels; an entry's timestamp and line. */
const STREAM = 0x0a
const ENTRY = 0x12
const LABELS = 0x0a
const TIMESTAMP = 0x0a
const LINE = 0x12

/** Bytes kept for an entry's tag and length; most entries have from 128 to 16383 bytes. */
const headerSize = 3

/** Entries of several streams in the order in which they came. */
export class Entries {
  readonly out: MetadataWriter
  readonly streams: ReadonlyMap<string, Stream>
  /** How many there are. */
  count = 0
  readonly #starts: Uint32Array
  readonly #ends: Uint32Array
  readonly #seconds: Float64Array
  readonly #nanos: Uint32Array
  #second = 0
  #nano = 0

  /** @param most how many entries there may be */
  constructor(out: MetadataWriter, most: number, streams: ReadonlyMap<string, Stream>) {
    this.out = out
    this.streams = streams
    this.#starts = new Uint32Array(most)
    this.#ends = new Uint32Array(most)
    this.#seconds = new Float64Array(most)
    this.#nanos = new Uint32Array(most)
  }

  /** Sets the time of the next entry: nanoseconds since 1970 as two halves. */
  time(low: number, high: number): void {
    // Long division by 10^9 in pieces that a number holds exactly.
    const top = Math.floor(high / 1e9)
    const middle = (high - top * 1e9) * 0x10000 + (low >>> 16)
    const second = Math.floor(middle / 1e9)
    const last = (middle - second * 1e9) * 0x10000 + (low & 0xffff)
    const third = Math.floor(last / 1e9)
    this.#second = top * 0x100000000 + second * 0x10000 + third
    this.#nano = last - third * 1e9
  }

  /** Sets the time of the next entry. */
  milliseconds(time: number): void {
    this.#second = Math.floor(time / 1000)
    this.#nano = (time - this.#second * 1000) * 1e6
  }

  /** Begins an entry with its time and a line; metadata may follow. */
  begin(line: Buffer, start: number, end: number): void {
    const { out } = this
    const length = end - start
    out.ensure(length + 48)
    const { bytes } = out
    let at = out.at + headerSize
    bytes[at] = TIMESTAMP
    const time = at + 1
    at = time + 1
    if (this.#second > 0) {
      bytes[at++] = 0x08
      at = putLarge(bytes, at, this.#second)
    }
    if (this.#nano > 0) {
      bytes[at++] = 0x10
      at = putVarint(bytes, at, this.#nano)
    }
    bytes[time] = at - time - 1
    bytes[at++] = LINE
    at = putVarint(bytes, at, length)
    out.at = out.put(line, start, end, at)
  }

  /** Ends the entry that was begun at `header`. */
  end(header: number): void {
    const { out } = this
    const content = header + headerSize
    const size = out.at - content
    const needed = 1 + varintSize(size)
    if (needed !== headerSize) {
      out.ensure(8)
      out.bytes.copyWithin(header + needed, content, out.at)
      out.at += needed - headerSize
    }
    out.bytes[header] = ENTRY
    putVarint(out.bytes, header + 1, size)
  }

  /** Takes what was written from `start` on as the next entry, of that stream. */
  take(start: number, stream: Stream): void {
    const i = this.count++
    this.#starts[i] = start
    this.#ends[i] = this.out.at
    this.#seconds[i] = this.#second
    this.#nanos[i] = this.#nano
    stream.take(i, this.out.at - start, this.#second, this.#nano)
  }

  /** The request in protobuf, in a buffer of its own. */
  toProtobuf(memory: Memory | undefined): Buffer {
    let size = 0
    for (const stream of this.streams.values()) if (stream.bytes > 0) size += fieldSize(contentSize(stream))
    const body = memory === undefined ? Buffer.allocUnsafeSlow(size) : memory.take(size)
    let at = 0
    for (const stream of this.streams.values()) {
      if (stream.bytes === 0) continue
      const { text } = stream.set
      body[at] = STREAM
      at = putVarint(body, at + 1, contentSize(stream))
      body[at] = LABELS
      at = putVarint(body, at + 1, Buffer.byteLength(text))
      at += body.write(text, at)
      at = this.#putEntries(stream, body, at)
    }
    return body
  }

  #putEntries(stream: Stream, body: Buffer, at: number): number {
    const { bytes } = this.out
    const starts = this.#starts
    const ends = this.#ends
    if (stream.sorted) {
      const { runs } = stream
      for (let i = 0; i < runs.length; i += 2) at += bytes.copy(body, at, starts[runs[i]], ends[runs[i + 1] - 1])
      return at
    }
    for (const i of this.inOrder(stream)) at += bytes.copy(body, at, starts[i], ends[i])
    return at
  }

  /** A stream's entries by time; those of one time as they came. */
  inOrder({ runs, sorted }: Stream): number[] {
    const all: number[] = []
    for (let run = 0; run < runs.length; run += 2) for (let i = runs[run]; i < runs[run + 1]; i++) all.push(i)
    if (sorted) return all
    const seconds = this.#seconds
    const nanos = this.#nanos
    return all.sort((a, b) => seconds[a] - seconds[b] || nanos[a] - nanos[b])
  }

  /** Where an entry stands, with its tag. */
  range(i: number): [start: number, end: number] {
    return [this.#starts[i], this.#ends[i]]
  }

  /** An entry's time: nanoseconds since 1970 in decimal. */
  timeText(i: number): string {
    const nanos = String(this.#nanos[i])
    const seconds = this.#seconds[i]
    return seconds === 0 ? nanos : String(seconds) + nanos.padStart(9, '0')
  }

  /** Gives the memory back. */
  abandon(): void {
    this.out.abandon()
  }
}

/** Bytes of a stream's content. */
function contentSize({ set, bytes }: Stream): number {
  return fieldSize(Buffer.byteLength(set.text)) + bytes
}

/** Writes `n` (0 to 2^53 - 1) as a varint and returns where it ends. */
function putLarge(out: Uint8Array, at: number, n: number): number {
  while (n > 0xffffffff) {
    out[at++] = (n % 0x80) | 0x80
    n = Math.floor(n / 0x80)
  }
  return putVarint(out, at, n)
}
