/** Reading packed headers (HPACK, RFC 7541): numbers, text, and what refers to headers that were seen before. */
import { HeaderTable, headerOverhead } from './header-table.ts'
import { unpack } from './huffman.ts'
import { ConnectionError, ErrorCode, headerTableSize } from './protocol.ts'

/** Bytes that a number may have after its first: enough for 2^28, more than anything here may be. */
const numberMost = 4
/** How often one block may change the size of the table: to the smallest since the last block, and to what it is now. */
const resizesMost = 2

/** How much the headers of one request may be. */
export interface HeaderLimits {
  readonly count: number
  /** Bytes, counted as HTTP/2 does: with 32 for each header. */
  readonly bytes: number
}

/** The headers of one block. */
export interface HeaderList {
  /** Name, value, name, value, as they came. */
  readonly raw: readonly string[]
  /** Whether there were more than the limits allow; `raw` has the first ones then. */
  readonly isTooLarge: boolean
}

/** Reads the blocks of one connection, all of them and in order, since each may refer to those before. */
export class HpackReader {
  readonly #table = new HeaderTable()
  readonly #limits: HeaderLimits
  #bytes: Buffer = nothing
  #at = 0
  #end = 0
  #raw: string[] = []
  #size = 0
  #isTooLarge = false

  constructor(limits: HeaderLimits) {
    this.#limits = limits
  }

  /** The same bytes read twice give the same headers as long as this is the same. */
  get version(): number {
    return this.#table.version
  }

  /**
   * Reads the block at `from` to `to`.
   * @throws ConnectionError where the block is malformed: what comes after it could not be read either
   */
  read(bytes: Buffer, from: number, to: number): HeaderList {
    this.#bytes = bytes
    this.#at = from
    this.#end = to
    this.#raw = []
    this.#size = 0
    this.#isTooLarge = false
    this.#resizes()
    while (this.#at < to) this.#header()
    // The block is part of what was read of the socket.
    this.#bytes = nothing
    return { raw: this.#raw, isTooLarge: this.#isTooLarge }
  }

  /** New sizes of the table, which stand first. */
  #resizes(): void {
    for (let count = 0; this.#at < this.#end && (this.#bytes[this.#at] & 0xe0) === 0x20; count++) {
      const size = this.#number(5)
      if (size > headerTableSize || count === resizesMost) throw broken('a size of the header table that is not agreed')
      this.#table.resize(size)
    }
  }

  #header(): void {
    const table = this.#table
    const first = this.#bytes[this.#at]
    if (first >= 0x80) {
      const index = this.#index(7)
      if (index === 0) throw broken('header number 0')
      return this.#keep(table.name(index), table.value(index))
    }
    const isRemembered = first >= 0x40
    if (!isRemembered && first >= 0x20) throw broken('a size of the header table behind a header')
    const index = this.#index(isRemembered ? 6 : 4)
    const name = index === 0 ? this.#text() : table.name(index)
    const value = this.#text()
    if (isRemembered) table.add(name, value)
    this.#keep(name, value)
  }

  /** What is over the limits is not kept, but has been read, for the table. */
  #keep(name: string, value: string): void {
    if (this.#isTooLarge) return
    this.#size += name.length + value.length + headerOverhead
    if (this.#size > this.#limits.bytes || this.#raw.length >= 2 * this.#limits.count) this.#isTooLarge = true
    else this.#raw.push(name, value)
  }

  #index(bits: number): number {
    const index = this.#number(bits)
    if (index > this.#table.length) throw broken('the number of a header that nobody knows')
    return index
  }

  #number(bits: number): number {
    const bytes = this.#bytes
    const most = (1 << bits) - 1
    let value = bytes[this.#at++] & most
    if (value < most) return value
    for (let i = 0; i < numberMost && this.#at < this.#end; i++) {
      const byte = bytes[this.#at++]
      value += (byte & 0x7f) << (7 * i)
      if (byte < 0x80) return value
    }
    throw broken('a number without an end')
  }

  #text(): string {
    if (this.#at >= this.#end) throw broken('a header that is cut off')
    const isPacked = this.#bytes[this.#at] >= 0x80
    const length = this.#number(7)
    const from = this.#at
    const to = from + length
    if (to > this.#end) throw broken('a text that is cut off')
    this.#at = to
    if (length === 0) return ''
    if (!isPacked) return this.#bytes.toString('latin1', from, to)
    const text = unpack(this.#bytes, from, to)
    if (text === undefined) throw broken('a text that is no Huffman code')
    return text
  }
}

const nothing = Buffer.alloc(0)
const broken = (what: string): ConnectionError => new ConnectionError(ErrorCode.COMPRESSION_ERROR, what)
