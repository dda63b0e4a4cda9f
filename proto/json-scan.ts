/** Reads JSON (RFC 8259) token by token where it stands. Nothing is decoded until it is asked for. */
import { areDigits, fourDigits, Halves } from './json-digits.ts'
import { pathAt } from './json-path.ts'
import { maxDepth, WireError } from './wire.ts'

export const QUOTE = 0x22
export const BACKSLASH = 0x5c
export const COMMA = 0x2c
export const COLON = 0x3a
export const OPEN_LIST = 0x5b
export const CLOSE_LIST = 0x5d
export const OPEN_OBJECT = 0x7b
export const CLOSE_OBJECT = 0x7d
/** First byte of `null`. */
export const NULL = 0x6e
const MINUS = 0x2d
const ZERO = 0x30

/** Bytes of white space that may stand in one place. */
const longestGap = 4 * 1024 * 1024

/** How far into a text paths are found: that takes reading it from its start. */
const farthestPath = 4 * 1024 * 1024

/** A number as JSON writes it: sign, digits before and after the point, exponent. */
const numberForm = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/** What the letter after a backslash stands for; 0 for letters that stand for nothing. */
export const escapes = Uint8Array.from({ length: 256 }, (_, byte) => {
  const letter = '"\\/bfnrt'.indexOf(String.fromCharCode(byte))
  return letter < 0 ? 0 : '"\\/\b\f\n\r\t'.charCodeAt(letter)
})

/** Value of each hex digit; 255 for other bytes. */
export const hexDigit = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase())
  return digit < 0 ? 255 : digit
})

/** Powers of ten that are exact. */
const powers = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))

/** A cursor over JSON text. `at` stands before the token that is read next. */
export class JsonScanner {
  readonly text: Buffer
  readonly view: DataView
  readonly end: number
  at: number
  /** The integer that was read last, without its sign. */
  readonly integer = new Halves()

  constructor(text: Buffer) {
    this.text = text
    this.view = new DataView(text.buffer, text.byteOffset, text.length)
    this.end = text.length
    // A byte order mark is no JSON, but some editors write it.
    this.at = text.length > 2 && text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf ? 3 : 0
  }

  /** What is wrong, with the path and the byte of where it is. */
  error(what: string, at = this.at): WireError {
    const path = at > farthestPath ? '' : pathAt(this.text, at)
    return new WireError(`${path === '' ? '' : `${path}: `}${what} (byte ${at})`)
  }

  /** The error of a token that is not the one expected. */
  unexpected(expected: string): WireError {
    if (this.next() < 0) return this.error(`expected ${expected}, found the end of the text`)
    const [char] = this.text.toString('utf8', this.at, Math.min(this.end, this.at + 4))
    return this.error(`expected ${expected}, found ${JSON.stringify(char)}`)
  }

  /** Moves to the next byte that is no white space and gives it; -1 at the end. */
  next(): number {
    const { text, at, end } = this
    return at < end && text[at] > 0x20 ? text[at] : this.#afterGap()
  }

  #afterGap(): number {
    const { text } = this
    let { at } = this
    const end = Math.min(this.end, at + longestGap)
    while (at < end) {
      const byte = text[at]
      if (byte > 0x20) {
        this.at = at
        return byte
      }
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
      at++
    }
    this.at = at
    if (at < end) return text[at]
    if (at < this.end) throw this.error(`more than ${longestGap} bytes of white space`)
    return -1
  }

  /** Moves past `word` (`true`, `null`, ...). */
  word(word: string): void {
    for (let i = 0; i < word.length; i++) {
      if (this.at + i >= this.end || this.text[this.at + i] !== word.charCodeAt(i)) throw this.unexpected(`\`${word}\``)
    }
    this.at += word.length
  }

  /** Moves from the opening quote of a string past its closing one; says whether there were escapes. */
  passString(): boolean {
    const { text, view, end } = this
    let at = this.at + 1
    let escaped = false
    for (;;) {
      while (at <= end - 4 && special(view.getInt32(at, true)) === 0) at += 4
      while (at < end && isPlain(text[at])) at++
      if (at >= end) throw this.error('string without an end')
      const byte = text[at]
      if (byte === QUOTE) break
      if (byte !== BACKSLASH) throw this.error(`control character ${byte} in a string`, at)
      escaped = true
      at += this.escapeLength(at)
    }
    this.at = at + 1
    return escaped
  }

  /** Bytes of the escape at `at`. */
  escapeLength(at: number): number {
    const { text, end } = this
    const letter = at + 1 < end ? text[at + 1] : 0
    if (letter !== 0x75) {
      if (escapes[letter] === 0) throw this.error('escape that JSON does not have', at)
      return 2
    }
    for (let i = at + 2; i < at + 6; i++) {
      if (i >= end || hexDigit[text[i]] > 15) throw this.error('`\\u` without four hex digits', at)
    }
    return 6
  }

  /** The string at the opening quote, for where it is rarely read. */
  string(): string {
    const from = this.at
    this.passString()
    const text: unknown = JSON.parse(this.text.toString('utf8', from, this.at))
    return String(text)
  }

  /** Reads a whole number, in quotes or not, to `integer`; says whether it is negative. */
  readInteger(): boolean {
    const { text, view, end } = this
    const quoted = text[this.at] === QUOTE
    let at = quoted ? this.at + 1 : this.at
    const negative = at < end && text[at] === MINUS
    if (negative) at++
    const start = at
    let n = 0
    while (at <= end - 4 && at - start < 12) {
      const four = view.getInt32(at, true)
      if (!areDigits(four)) break
      n = n * 10000 + fourDigits(four)
      at += 4
    }
    while (at < end && at - start < 15 && isDigit(text[at])) n = n * 10 + text[at++] - ZERO
    if (at < end && isDigit(text[at])) at = this.#readMore(start, at, n)
    else this.integer.set(n)
    const after = at < end ? text[at] : -1
    const usual = quoted ? after === QUOTE : !isNumberByte(after)
    if (!usual || at === start || (text[start] === ZERO && at - start > 1)) return this.#readOddInteger()
    if (this.integer.high > 0xffffffff) throw this.error('number that does not fit into 64 bits')
    this.at = quoted ? at + 1 : at
    return negative
  }

  /** Reads the digits after the first fifteen, up to where 64 bits are exceeded, and gives where they end. */
  #readMore(start: number, at: number, top: number): number {
    const { text, end } = this
    let scale = 1
    let rest = 0
    for (; at < end && at - start < 21 && isDigit(text[at]); scale *= 10) rest = rest * 10 + text[at++] - ZERO
    this.integer.setSum(top, scale, rest)
    return at
  }

  /** A whole number written with a point, an exponent or escapes, which is legal as long as it is whole. */
  #readOddInteger(): boolean {
    const from = this.at
    const form = numberForm.exec(this.#numberText())
    if (form === null) throw this.#noNumber('a whole number', from)
    const [, sign, whole, fraction = '', exponent = '0'] = form
    const digits = (whole + fraction).replace(/^0+(?=\d)/, '')
    const places = Number(exponent) - fraction.length
    const kept = withoutTrailingZeros(digits)
    const zeros = kept === '' ? 0 : digits.length - kept.length + places
    if (zeros < 0) throw this.error('number that is not whole', from)
    const exact = zeros + kept.length > 20 ? '' : kept + '0'.repeat(zeros)
    const tail = exact.slice(15)
    this.integer.setSum(Number(exact.slice(0, 15)), 10 ** tail.length, Number(tail))
    if (exact.length < kept.length || this.integer.high > 0xffffffff) {
      throw this.error('number that does not fit into 64 bits', from)
    }
    return sign === '-' && kept !== ''
  }

  /** Reads a number, in quotes or not; NaN and the infinities are in quotes. */
  readNumber(): number {
    const { text, end } = this
    let at = this.at
    const negative = text[at] === MINUS
    if (negative) at++
    const start = at
    let n = 0
    while (at < end && isDigit(text[at])) n = n * 10 + text[at++] - ZERO
    let digits = at - start
    if (digits === 0 || (digits > 1 && text[start] === ZERO)) return this.#readOddNumber()
    let places = 0
    if (at < end && text[at] === 0x2e) {
      const point = ++at
      while (at < end && isDigit(text[at])) n = n * 10 + text[at++] - ZERO
      places = at - point
      digits += places
      if (places === 0) return this.#readOddNumber()
    }
    // Up to here every step was exact, so that one division rounds once.
    if (digits > 15 || (at < end && (text[at] | 0x20) === 0x65)) return this.#readOddNumber()
    this.at = at
    const value = places === 0 ? n : n / powers[places]
    return negative ? -value : value
  }

  #readOddNumber(): number {
    const from = this.at
    const text = this.#numberText()
    if (this.text[from] === QUOTE && (text === 'NaN' || text === 'Infinity' || text === '-Infinity'))
      return Number(text)
    if (!numberForm.test(text)) throw this.#noNumber('a number', from)
    const n = Number(text)
    if (!Number.isFinite(n)) throw this.error('number beyond the range of a double', from)
    return n
  }

  #noNumber(expected: string, from: number): WireError {
    if (this.text[from] === QUOTE) return this.error(`expected ${expected}, found another text`, from)
    this.at = from
    return this.unexpected(expected)
  }

  /** The number at the cursor as it is written, without its quotes. */
  #numberText(): string {
    const { text, end, at: from } = this
    if (text[from] === QUOTE) return this.string()
    let at = from
    while (at < end && isNumberByte(text[at])) at++
    this.at = at
    return text.toString('latin1', from, at)
  }

  /** Moves past a value of any kind. */
  skip(depth: number): void {
    if (depth > maxDepth) throw this.error(`values nested more than ${maxDepth} deep`)
    const byte = this.next()
    if (byte === QUOTE) this.passString()
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#skipInside(byte, depth)
    else if (byte === 0x74) this.word('true')
    else if (byte === 0x66) this.word('false')
    else if (byte === NULL) this.word('null')
    else {
      const { at } = this
      if (!numberForm.test(this.#numberText())) {
        this.at = at
        throw this.unexpected('a value')
      }
    }
  }

  #skipInside(open: number, depth: number): void {
    // Both closing brackets come two after the opening ones.
    const close = open + 2
    this.at++
    if (this.next() === close) {
      this.at++
      return
    }
    for (;;) {
      if (open === OPEN_OBJECT) {
        if (this.next() !== QUOTE) throw this.unexpected('a key in quotes')
        this.passString()
        if (this.next() !== COLON) throw this.unexpected('`:`')
        this.at++
      }
      this.skip(depth + 1)
      const byte = this.next()
      this.at++
      if (byte === close) return
      if (byte !== COMMA) {
        this.at--
        throw this.unexpected(open === OPEN_OBJECT ? '`,` or `}`' : '`,` or `]`')
      }
    }
  }
}

/**
 * Not zero when one of four bytes is a quote, a backslash or a control character. The lowest bit that is set is the
 * highest of the first such byte (higher ones may be set for no reason).
 */
export function special(four: number): number {
  const quote = four ^ 0x22222222
  const backslash = four ^ 0x5c5c5c5c
  return (
    (((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash) | ((four - 0x20202020) & ~four)) &
    0x80808080
  )
}

/** Whether a byte of a string stands for itself. */
export const isPlain = (byte: number): boolean => byte !== QUOTE && byte !== BACKSLASH && byte >= 0x20

const isDigit = (byte: number): boolean => byte >= ZERO && byte <= 0x39

/** Not by a regular expression: that would try again from each of many zeros. */
function withoutTrailingZeros(digits: string): string {
  let end = digits.length
  while (end > 0 && digits.charCodeAt(end - 1) === ZERO) end--
  return digits.slice(0, end)
}

const isNumberByte = (byte: number): boolean =>
  isDigit(byte) || byte === MINUS || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65
