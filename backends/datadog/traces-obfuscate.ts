/**
 * What a database is asked, without the values: they may be secrets, and each would be a resource of its own. Done before
 * anything is sent, as Datadog's Agent does it.
 */
import { Growing } from '../../proto/growing.ts'
import { text } from '../../proto/values.ts'

const unparsable = Buffer.from('Non-parsable SQL query')
const quote = 0x27
const doubleQuote = 0x22
const backslash = 0x5c
const mark = 0x3f

/** Takes the values out of statements; what it wrote last stays until the next one. */
export class Obfuscator {
  readonly out = new Growing(512, undefined)
  #bytes: Uint8Array = Buffer.alloc(0)
  #at = 0
  #end = 0
  #escapes = false
  #previous = 0
  #source: Uint8Array | undefined
  #start = 0

  /** Forgets the statement, so that its bytes can go. */
  clear(): void {
    this.#source = undefined
    this.#bytes = Buffer.alloc(0)
  }

  /** Writes the SQL statement to `out` with `?` in place of values, without comments, with single spaces. */
  sql(bytes: Uint8Array, start: number, end: number): void {
    // The resource and the attribute it is made of are the same statement.
    if (this.#source === bytes && this.#start === start && this.#end === end) return
    this.#source = bytes
    this.#start = start
    const { out } = this
    // A backslash escapes a quote for some databases and not for others: whatever makes sense of all quotes.
    if (this.#pass(bytes, start, end, false) || this.#pass(bytes, start, end, true)) return
    out.at = 0
    out.ensure(unparsable.length)
    out.bytes.set(unparsable)
    out.at = unparsable.length
  }

  /** One attempt; false where a text does not end. */
  #pass(bytes: Uint8Array, start: number, end: number, escapes: boolean): boolean {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#escapes = escapes
    this.#previous = 0
    this.out.at = 0
    this.out.ensure(end - start + 16)
    while (this.#at < end) if (!this.#token()) return false
    const { out } = this
    while (out.at > 0 && (out.bytes[out.at - 1] === 0x20 || out.bytes[out.at - 1] === 0x3b)) out.at--
    return true
  }

  /** Takes one token; false where it is a text without an end. */
  #token(): boolean {
    const bytes = this.#bytes
    const c = bytes[this.#at]
    const next = this.#at + 1 < this.#end ? bytes[this.#at + 1] : 0
    if (c <= 0x20) this.#space(this.#at + 1)
    else if ((c === 0x2d && next === 0x2d) || c === 0x23) this.#space(this.#lineEnd())
    else if (c === 0x2f && next === 0x2a) return this.#comment()
    else if (c === quote) return this.#literal(quote)
    else if (c === doubleQuote && valueMayFollow(this.#previous)) return this.#literal(doubleQuote)
    else if (c === doubleQuote || c === 0x60) return this.#name(c)
    else if (c === 0x24) return this.#dollar()
    else if (isDigit(c) || (c === 0x2e && isDigit(next))) this.#number()
    else if (isWord(c)) this.#word()
    else this.#put(bytes[this.#at++])
    return true
  }

  #put(c: number): void {
    this.out.bytes[this.out.at++] = c
    if (c !== 0x20) this.#previous = c
  }

  #space(to: number): void {
    this.#at = to
    const { out } = this
    if (out.at > 0 && out.bytes[out.at - 1] !== 0x20) this.#put(0x20)
  }

  /** A value; one in a list of values is the same as the one before it. */
  #value(to: number): void {
    this.#at = to
    const { out } = this
    let i = out.at
    while (i > 0 && out.bytes[i - 1] === 0x20) i--
    if (i > 1 && out.bytes[i - 1] === 0x2c) {
      i--
      while (i > 0 && out.bytes[i - 1] === 0x20) i--
      if (i > 0 && out.bytes[i - 1] === mark) {
        out.at = i
        this.#previous = mark
        return
      }
    }
    this.#put(mark)
  }

  #lineEnd(): number {
    let at = this.#at
    while (at < this.#end && this.#bytes[at] !== 0x0a) at++
    return at
  }

  #comment(): boolean {
    let at = this.#at + 2
    while (at + 1 < this.#end && (this.#bytes[at] !== 0x2a || this.#bytes[at + 1] !== 0x2f)) at++
    if (at + 1 >= this.#end) return false
    this.#space(at + 2)
    return true
  }

  /** Where the text that starts here ends, behind its last quote; -1 where it does not. */
  #closing(c: number): number {
    const bytes = this.#bytes
    for (let at = this.#at + 1; at < this.#end; at++) {
      if (bytes[at] === backslash && this.#escapes) at++
      else if (bytes[at] === c) {
        if (bytes[at + 1] !== c || at + 1 >= this.#end) return at + 1
        at++
      }
    }
    return -1
  }

  #literal(c: number): boolean {
    const to = this.#closing(c)
    if (to < 0) return false
    this.#value(to)
    return true
  }

  #name(c: number): boolean {
    const to = this.#closing(c)
    if (to < 0) return false
    for (; this.#at < to; this.#at++) this.#put(this.#bytes[this.#at])
    return true
  }

  /** `$1`, or a text between two equal `$tag$`. */
  #dollar(): boolean {
    const bytes = this.#bytes
    let at = this.#at + 1
    while (at < this.#end && isWord(bytes[at])) at++
    if (at >= this.#end || bytes[at] !== 0x24) {
      if (isDigit(bytes[this.#at + 1])) this.#value(at)
      else this.#put(bytes[this.#at++])
      return true
    }
    const tag = Buffer.from(bytes.subarray(this.#at, at + 1))
    const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(tag, at + 1)
    if (end < 0 || end + tag.length > this.#end) return false
    this.#value(end + tag.length)
    return true
  }

  #number(): void {
    const bytes = this.#bytes
    let at = this.#at
    while (at < this.#end) {
      const sign = bytes[at] === 0x2b || bytes[at] === 0x2d
      if (sign ? (bytes[at - 1] | 0x20) !== 0x65 || at === this.#at : !isWord(bytes[at]) && bytes[at] !== 0x2e) break
      at++
    }
    this.#value(at)
  }

  #word(): void {
    const bytes = this.#bytes
    while (this.#at < this.#end && isWord(bytes[this.#at])) this.#put(bytes[this.#at++])
  }
}

const isDigit = (c: number): boolean => c >= 0x30 && c <= 0x39

const isWord = (c: number): boolean =>
  (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || isDigit(c) || c === 0x5f || c === 0x40 || c > 0x7f

/** Whether what stands in double quotes behind that character may be a value: for MySQL it is one. */
const valueMayFollow = (previous: number): boolean => previous !== 0x2e && !isWord(previous) && previous !== doubleQuote

/** Redis commands that are two words. */
const compound = new Set(['CLIENT', 'CLUSTER', 'COMMAND', 'CONFIG', 'DEBUG', 'SCRIPT'])

/** The commands of a Redis request without their arguments: at most three. */
export function redisCommands(bytes: Uint8Array, start: number, end: number): string {
  const found: string[] = []
  for (const line of text(bytes, start, end).split('\n')) {
    const [first, second] = line.trim().split(/\s+/, 2)
    if (first === '') continue
    if (first.endsWith('...')) continue
    if (found.length === 3) return `${found.join(' ')} ...`
    const command = first.toUpperCase()
    found.push(compound.has(command) && second ? `${command} ${second.toUpperCase()}` : command)
  }
  return found.join(' ')
}
