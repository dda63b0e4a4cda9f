/** JSON values written from the bytes they stand in, into one growing buffer. */
import { isUtf8 } from 'node:buffer'
import { Growing } from './growing.ts'
import { Halves, putSigned64 } from './json-digits.ts'
import {
  BACKSLASH,
  CLOSE_LIST,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  isPlain,
  OPEN_LIST,
  OPEN_OBJECT,
  QUOTE,
  special,
} from './json-scan.ts'
import { asBuffer, type Value, valueText } from './values.ts'
import { Cursor } from './wire.ts'

/** Text that stands as it is, such as a key with its colon: short enough to be copied in words. */
export class Literal {
  readonly bytes: Buffer
  readonly words: Int32Array

  constructor(text: string) {
    this.bytes = Buffer.from(text)
    const count = Math.ceil(this.bytes.length / 4)
    const padded = Buffer.concat([this.bytes], count * 4)
    this.words = Int32Array.from({ length: count }, (_, i) => padded.readInt32LE(i * 4))
  }
}

/** The two hex digits of each byte, as they stand in memory. */
const hexPairs = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(byte.toString(16).padStart(2, '0')).readUInt16LE(),
)

/** The two decimal digits of each number below 100, as they stand in memory. */
const digitPairs = Uint16Array.from({ length: 100 }, (_, n) => Buffer.from(String(n).padStart(2, '0')).readUInt16LE())

/** How escapes of control characters look: a letter where JSON has one. */
const escapes: readonly string[] = Array.from({ length: 32 }, (_, byte) => {
  const letter = 'btn\0fr'[byte - 8]
  return letter === undefined || letter === '\0' ? `\\u${byte.toString(16).padStart(4, '0')}` : `\\${letter}`
})

/** Writes JSON. What is written to and read from changes with every call, so that nothing is made for one. */
export class JsonText extends Growing {
  readonly #halves = new Halves()
  #inputBytes: Uint8Array = Buffer.alloc(0)
  readonly #cursor = new Cursor(Buffer.alloc(0))
  #input: DataView = new DataView(new ArrayBuffer(0))

  /** One byte. */
  byte(byte: number): void {
    this.ensure(1)
    this.bytes[this.at++] = byte
  }

  literal({ bytes, words }: Literal): void {
    this.ensure(words.length * 4)
    const { view, at } = this
    for (let i = 0; i < words.length; i++) view.setInt32(at + i * 4, words[i], true)
    this.at = at + bytes.length
  }

  /** Bytes that are JSON already. */
  copy(bytes: Buffer): void {
    this.ensure(bytes.length)
    this.at += bytes.copy(this.bytes, this.at)
  }

  /** ASCII that is JSON already. */
  ascii(text: string): void {
    this.ensure(text.length)
    this.at += this.bytes.write(text, this.at, 'latin1')
  }

  /** A text in quotes; bytes that are no UTF-8 become U+FFFD. */
  text(bytes: Uint8Array, start: number, end: number): void {
    this.ensure(end - start + 8)
    this.bytes[this.at++] = QUOTE
    this.content(bytes, start, end)
    this.byte(QUOTE)
  }

  /** The same without quotes. */
  content(bytes: Uint8Array, start: number, end: number): void {
    this.ensure(end - start + 8)
    const { bytes: out, view } = this
    const input = this.#inputOf(bytes)
    let at = this.at
    let all = 0
    let from = start
    for (; from <= end - 4; from += 4, at += 4) {
      const four = input.getInt32(from, true)
      if (special(four) !== 0) return this.#escaped(bytes, start, end)
      view.setInt32(at, four, true)
      all |= four
    }
    for (; from < end; from++) {
      const byte = bytes[from]
      if (!isPlain(byte)) return this.#escaped(bytes, start, end)
      out[at++] = byte
      all |= byte
    }
    if ((all & 0x80808080) !== 0 && !isUtf8(bytes.subarray(start, end))) return this.#escaped(bytes, start, end)
    this.at = at
  }

  #inputOf(bytes: Uint8Array): DataView {
    if (bytes === this.#inputBytes) return this.#input
    const { buffer, byteOffset, length } = bytes
    this.#inputBytes = bytes
    return (this.#input = new DataView(buffer, byteOffset, length))
  }

  /** A text that needs escapes or repair. */
  #escaped(bytes: Uint8Array, start: number, end: number): void {
    const part = bytes.subarray(start, end)
    const text = isUtf8(part) ? part : Buffer.from(asBuffer(part).toString())
    this.ensure(text.length + 8)
    for (let i = 0; i < text.length; i++) {
      const byte = text[i]
      if (isPlain(byte)) {
        this.bytes[this.at++] = byte
        continue
      }
      this.ensure(text.length - i + 8)
      if (byte < 0x20) this.at += this.bytes.write(escapes[byte], this.at, 'latin1')
      else {
        this.bytes[this.at++] = BACKSLASH
        this.bytes[this.at++] = byte
      }
    }
  }

  /** What was written, where it stands: for memory that is given back by whoever reads it. Nothing more can be written. */
  written(): Buffer {
    return this.bytes.subarray(0, this.at)
  }

  /** A text of ours in quotes. */
  quoted(text: string): void {
    const json = Buffer.from(JSON.stringify(text))
    this.copy(json)
  }

  hex(bytes: Uint8Array, start: number, end: number): void {
    this.ensure((end - start) * 2)
    let { at } = this
    for (let i = start; i < end; i++, at += 2) this.view.setUint16(at, hexPairs[bytes[i]], true)
    this.at = at
  }

  /** 64 bits as an unsigned number. */
  unsigned(low: number, high: number): void {
    this.ensure(20)
    // Long division by 10^9, in pieces of 16 bits below the upper half.
    const first = Math.floor(high / 1e9)
    const middle = (high - first * 1e9) * 0x10000 + (low >>> 16)
    const second = Math.floor(middle / 1e9)
    const last = (middle - second * 1e9) * 0x10000 + (low & 0xffff)
    const third = Math.floor(last / 1e9)
    const top = first * 0x100000000 + second * 0x10000 + third
    const upper = Math.floor(top / 1e9)
    if (upper > 0) this.ascii(String(upper))
    if (upper > 0) this.#nine(top - upper * 1e9)
    else if (top > 0) this.ascii(String(top))
    const nine = last - third * 1e9
    if (top > 0) this.#nine(nine)
    else this.ascii(String(nine))
  }

  /** A number below 10^9 with all its nine digits. */
  #nine(n: number): void {
    const { view, at } = this
    const head = (n / 100_000) | 0
    const tail = n - head * 100_000
    const pair = (tail / 1000) | 0
    const rest = tail - pair * 1000
    const tens = (rest / 10) | 0
    view.setUint16(at, digitPairs[(head / 100) | 0], true)
    view.setUint16(at + 2, digitPairs[head % 100], true)
    view.setUint16(at + 4, digitPairs[pair], true)
    view.setUint16(at + 6, digitPairs[tens], true)
    this.bytes[at + 8] = 0x30 + rest - tens * 10
    this.at = at + 9
  }

  /** The int64 that the varint from `start` to `end` is. */
  varint(bytes: Uint8Array, start: number, end: number): void {
    this.#cursor.set(bytes, start, end).skipVarint()
    this.#halves.setVarint(bytes, start, this.#cursor.at)
    this.ensure(20)
    this.at = putSigned64(this.bytes, this.at, this.#halves.low, this.#halves.high)
  }

  /** A number; JSON has no NaN and no infinities, so that they are texts. */
  double(n: number): void {
    if (Number.isFinite(n)) this.ascii(Object.is(n, -0) ? '-0' : String(n))
    else this.ascii(`"${n}"`)
  }

  /**
   * A value of any kind. Lists keep their values; maps in them get keys joined by dots; what is deeper than `depth`
   * levels is a text.
   */
  value(value: Value, depth: number): void {
    if (typeof value === 'string') this.quoted(value)
    else if (typeof value === 'number') this.double(value)
    else if (typeof value === 'bigint' || typeof value === 'boolean') this.ascii(String(value))
    else if (Array.isArray(value)) this.#list(value, depth)
    else if (value instanceof Map && depth > 0) this.#map(value, depth)
    else this.quoted(valueText(value))
  }

  #list(list: readonly Value[], depth: number): void {
    this.byte(OPEN_LIST)
    list.forEach((value, i) => {
      if (i > 0) this.byte(COMMA)
      this.value(value, depth - 1)
    })
    this.byte(CLOSE_LIST)
  }

  #map(map: ReadonlyMap<string, Value>, depth: number): void {
    this.byte(OPEN_OBJECT)
    const start = this.at
    this.flattened('', map, depth, key => {
      if (this.at > start) this.byte(COMMA)
      this.quoted(key)
      this.byte(COLON)
      return true
    })
    this.byte(CLOSE_OBJECT)
  }

  /**
   * The values of a map, those of maps in it included: each for whose key `label` says so, after that has written it.
   * What follows a value is for `label` to write.
   */
  flattened(prefix: string, map: ReadonlyMap<string, Value>, depth: number, label: (key: string) => boolean): void {
    for (const [name, value] of map) {
      const key = prefix === '' ? name : `${prefix}.${name}`
      if (value instanceof Map && depth > 1) this.flattened(key, value, depth - 1, label)
      else if (label(key)) this.value(value, depth - 1)
    }
  }
}
