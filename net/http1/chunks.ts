/** A body in chunks (RFC 9112, 7.1), read byte by byte where it is framing, so that it does not matter how it was cut up. */
import { maxHeaderBytes, maxHeaders } from '../header-limits.ts'
import { carriageReturn, colon, digitOf, lineFeed, texts, tokens } from './bytes.ts'
import { type Fault, fault } from './fault.ts'

/** Takes what is in the chunks; false when it takes no more. */
export interface ChunkSink {
  received(bytes: Buffer, from: number, to: number): boolean
}

const semicolon = 0x3b
const equals = 0x3d
const quote = 0x22
const backslash = 0x5c
/** Digits of a size that can be counted exactly; zeros in front of them are not without number either. */
const mostDigits = 12
/** What may not be a trailer: some would read the next request by it (RFC 9110, 6.5.1). */
const misplaced = new Set(['connection', 'content-length', 'transfer-encoding'])
const longestMisplaced = 'transfer-encoding'.length
/** Bytes of all extensions of one body, as Node has it. */
const mostExtensions = 16_384

const malformed = {
  size: fault(400, 'a chunk does not begin with its size in hexadecimal digits'),
  digits: fault(400, `the size of a chunk has more than ${mostDigits} digits`),
  line: fault(400, 'a line between chunks does not end with \\r\\n, or has a control character'),
  extension: fault(400, 'what follows the size of a chunk is no `;name=value`'),
  end: fault(400, 'a chunk does not end where its size says'),
  trailer: fault(400, 'a line behind the last chunk is no `name: value`'),
  place: fault(400, 'a header that says where a request ends stands behind it'),
}
const manyExtensions = fault(413, `extensions of chunks may have ${mostExtensions} bytes`)
const largeTrailers = fault(431, `there may be ${maxHeaders} trailers of ${maxHeaderBytes} bytes`)

/** In which part of which line the reader stands. */
const inSize = 0
const atExtension = 1
const inExtensionName = 2
const atExtensionValue = 3
const inExtensionValue = 4
const inQuotes = 5
const inEscape = 6
const behindQuotes = 7
const atSizeEnd = 8
const inData = 9
const atDataEnd = 10
const atDataFeed = 11
const atTrailer = 12
const inName = 13
const inValue = 14
const atTrailerFeed = 15
const atLastFeed = 16
const done = 17

/** Reads the chunks of one body after the other. */
export class Chunks {
  #state = inSize
  /** Bytes of the chunk that are still to come, or its size as far as it was read. */
  #left = 0
  #digits = 0
  #extensions = 0
  #trailers = 0
  #trailerBytes = 0
  /** The name of the trailer that is read, in lower case and as far as it matters. */
  #name = ''
  /** What is wrong with the body. */
  fault: Fault | undefined

  /** The body has ended. */
  get isDone(): boolean {
    return this.#state === done
  }

  /** A new body begins. */
  begin(): void {
    this.#state = inSize
    this.#left = 0
    this.#digits = 0
    this.#extensions = 0
    this.#trailers = 0
    this.#trailerBytes = 0
    this.fault = undefined
  }

  /**
   * Reads what stands from `at` to `end`, and hands on what is in the chunks. Returns how far it got: to the end of the body,
   * to what is wrong with it, or to where `sink` had enough.
   */
  read(bytes: Buffer, at: number, end: number, sink: ChunkSink): number {
    let i = at
    while (i < end && this.#state !== done) {
      if (this.#state === inData) {
        const to = Math.min(end, i + this.#left)
        this.#left -= to - i
        if (this.#left === 0) this.#state = atDataEnd
        if (!sink.received(bytes, i, to)) return to
        i = to
        continue
      }
      const byte = bytes[i++]
      this.fault = this.#state < inData ? this.#readSize(byte) : this.#readLine(byte)
      if (this.fault !== undefined) break
    }
    return i
  }

  /** The line in front of a chunk. */
  #readSize(byte: number): Fault | undefined {
    if (this.#state === inSize) {
      const digit = digitOf(byte)
      if (digit >= 0) {
        this.#left = this.#left * 16 + digit
        return ++this.#digits > mostDigits ? malformed.digits : undefined
      }
      if (this.#digits === 0) return malformed.size
      if (byte === carriageReturn) this.#state = atSizeEnd
      else if (byte === semicolon) this.#state = atExtension
      else return malformed.size
      return undefined
    }
    if (this.#state < atSizeEnd) {
      return ++this.#extensions > mostExtensions ? manyExtensions : this.#readExtension(byte)
    }
    if (byte !== lineFeed) return malformed.line
    this.#digits = 0
    this.#state = this.#left === 0 ? atTrailer : inData
    return undefined
  }

  /** `;name`, `;name=value` or `;name="value"`: read as strictly as all others read it, and forgotten. */
  #readExtension(byte: number): Fault | undefined {
    switch (this.#state) {
      case inQuotes:
        if (texts[byte] === 0) return malformed.extension
        if (byte === quote) this.#state = behindQuotes
        else if (byte === backslash) this.#state = inEscape
        return undefined
      case inEscape:
        if (texts[byte] === 0) return malformed.extension
        this.#state = inQuotes
        return undefined
      case atExtensionValue:
        if (byte === quote) this.#state = inQuotes
        else if (tokens[byte] === 1) this.#state = inExtensionValue
        else return malformed.extension
        return undefined
      case atExtension:
        if (tokens[byte] === 0) return malformed.extension
        this.#state = inExtensionName
        return undefined
      default:
        return this.#readExtensionEnd(byte)
    }
  }

  /** The rest of a name or value, or what may follow it. */
  #readExtensionEnd(byte: number): Fault | undefined {
    const isName = this.#state === inExtensionName
    if (byte === carriageReturn) this.#state = atSizeEnd
    else if (byte === semicolon) this.#state = atExtension
    else if (byte === equals && isName) this.#state = atExtensionValue
    else if (tokens[byte] === 0 || this.#state === behindQuotes) return malformed.extension
    return undefined
  }

  /** What is behind a chunk, and behind all of them. Trailers are read and forgotten. */
  #readLine(byte: number): Fault | undefined {
    switch (this.#state) {
      case atDataEnd:
        if (byte !== carriageReturn) return malformed.end
        this.#state = atDataFeed
        return undefined
      case atDataFeed:
        if (byte !== lineFeed) return malformed.end
        this.#state = inSize
        return undefined
      case atLastFeed:
        if (byte !== lineFeed) return malformed.line
        this.#state = done
        return undefined
      default:
        return this.#readTrailer(byte)
    }
  }

  #readTrailer(byte: number): Fault | undefined {
    if (++this.#trailerBytes > maxHeaderBytes) return largeTrailers
    switch (this.#state) {
      case atTrailer:
        if (byte === carriageReturn) this.#state = atLastFeed
        else if (tokens[byte] === 0) return malformed.trailer
        else if (++this.#trailers > maxHeaders) return largeTrailers
        else this.#state = inName
        this.#name = String.fromCharCode(byte).toLowerCase()
        return undefined
      case inName:
        if (byte === colon) {
          this.#state = inValue
          return misplaced.has(this.#name) ? malformed.place : undefined
        }
        if (tokens[byte] === 0) return malformed.trailer
        if (this.#name.length <= longestMisplaced) this.#name += String.fromCharCode(byte).toLowerCase()
        return undefined
      case inValue:
        if (byte === carriageReturn) this.#state = atTrailerFeed
        else if (texts[byte] === 0) return malformed.line
        return undefined
      default:
        if (byte !== lineFeed) return malformed.line
        this.#state = atTrailer
        return undefined
    }
  }
}
