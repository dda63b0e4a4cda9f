/** JSON written from the bytes that its values stand in, into one growing buffer. All of Kymo's JSON on the way of data is. */
import { isUtf8 } from 'node:buffer'
import { Growing } from './growing.ts'
import { Halves, putDigits, putSigned64, putUnsigned64 } from './json-digits.ts'
import { BACKSLASH, QUOTE, special } from './json-scan.ts'
import { asBuffer } from './values.ts'

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

/** The letters that escape control characters, where there are such. */
const shortEscapes = new Map(Array.from('\b\f\n\r\t', (char, i) => [char.charCodeAt(0), 'bfnrt'.charCodeAt(i)]))

/** How each byte of a text is written: 0 as it is, 1 by its number, otherwise as a backslash and this letter. */
const escapes = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === QUOTE || byte === BACKSLASH) return byte
  return byte >= 0x20 ? 0 : (shortEscapes.get(byte) ?? 1)
})

/** Writes JSON. What is written to and read from changes with every call, so that nothing is made for one. */
export class JsonText extends Growing {
  readonly #halves = new Halves()
  #inputBytes: Uint8Array = Buffer.alloc(0)
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
      if (special(four) !== 0) return this.#escaped(bytes, start, end, from, at)
      view.setInt32(at, four, true)
      all |= four
    }
    for (; from < end; from++) {
      const byte = bytes[from]
      if (escapes[byte] !== 0) return this.#escaped(bytes, start, end, from, at)
      out[at++] = byte
      all |= byte
    }
    if ((all & 0x80808080) !== 0 && !isUtf8(bytes.subarray(start, end)))
      return this.#escaped(bytes, start, end, from, at)
    this.at = at
  }

  #inputOf(bytes: Uint8Array): DataView {
    if (bytes === this.#inputBytes) return this.#input
    const { buffer, byteOffset, length } = bytes
    this.#inputBytes = bytes
    return (this.#input = new DataView(buffer, byteOffset, length))
  }

  /** A text that needs escapes or repair; up to `from` it is written already, and `at` is where that ends. */
  #escaped(bytes: Uint8Array, start: number, end: number, from: number, at: number): void {
    const part = bytes.subarray(start, end)
    const isText = isUtf8(part)
    const text = isText ? part : Buffer.from(asBuffer(part).toString())
    if (isText) this.at = at
    // Most are a line break or two in a long text: room for the worst is made only where it is met.
    this.ensure(text.length + 8)
    for (let i = isText ? from - start : 0; i < text.length; i++) {
      const byte = text[i]
      const escape = escapes[byte]
      if (escape === 0) {
        this.bytes[this.at++] = byte
        continue
      }
      this.ensure(text.length - i + 8)
      this.bytes[this.at++] = BACKSLASH
      if (escape === 1) this.at += this.bytes.write(`u${byte.toString(16).padStart(4, '0')}`, this.at, 'latin1')
      else this.bytes[this.at++] = escape
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

  /** Bytes in hex, without quotes. */
  hex(bytes: Uint8Array, start: number, end: number): void {
    this.ensure((end - start) * 2)
    let { at } = this
    for (let i = start; i < end; i++, at += 2) this.view.setUint16(at, hexPairs[bytes[i]], true)
    this.at = at
  }

  /** Bytes in base64, without quotes. */
  base64(bytes: Uint8Array, start: number, end: number): void {
    this.ascii(asBuffer(bytes).toString('base64', start, end))
  }

  /** 64 bits as an unsigned number. */
  unsigned(low: number, high: number): void {
    this.ensure(20)
    this.at = putUnsigned64(this.bytes, this.at, low, high)
  }

  /** 64 bits as a signed number. */
  signed(low: number, high: number): void {
    this.ensure(20)
    this.at = putSigned64(this.bytes, this.at, low, high)
  }

  /** The int64 that the varint from `start` to `end` is. */
  varint(bytes: Uint8Array, start: number, end: number): void {
    this.#halves.setVarint(bytes, start, end)
    this.signed(this.#halves.low, this.#halves.high)
  }

  /** A number; JSON has no NaN and no infinities, so that they are texts. */
  double(n: number): void {
    this.ensure(20)
    if (n >= 0 && n <= 0x7fffffff && n === (n | 0) && !Object.is(n, -0)) this.at = putDigits(this.bytes, this.at, n)
    else if (Number.isFinite(n)) this.ascii(n === 0 ? '-0' : String(n))
    else this.ascii(`"${n}"`)
  }
}
