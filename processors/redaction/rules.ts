import { isUtf8 } from 'node:buffer'
import { createHash, createHmac } from 'node:crypto'
import type { Secret } from '../../core/fields.ts'
import { type Allowance, compilePattern, type Pattern, usualAllowance as itemAllowance } from '../../proto/pattern.ts'
import { text } from '../../proto/values.ts'
import { sameBytes } from '../../proto/wire.ts'

export const hashFunctions = ['', 'md5', 'sha1', 'sha3', 'hmac-sha256', 'hmac-sha512'] as const
export type HashFunction = (typeof hashFunctions)[number]

/** What is to be redacted. */
export interface RuleSettings {
  readonly allow_all_keys: boolean
  readonly allowed_keys: readonly string[]
  readonly ignored_keys: readonly string[]
  readonly ignored_key_patterns: readonly string[]
  readonly blocked_key_patterns: readonly string[]
  readonly blocked_values: readonly string[]
  readonly allowed_values: readonly string[]
  readonly hash_function: HashFunction
  readonly hmac_key?: Secret | undefined
}

/** What is done with an attribute because of its key. */
export const IGNORE = 0
export const REMOVE = 1
export const MASK = 2
/** It depends on its value. */
export const CHECK = 3
export type KeyVerdict = typeof IGNORE | typeof REMOVE | typeof MASK | typeof CHECK

/** How many keys' verdicts are kept, and how long a key may be for that. */
const keptKeys = 2048
const longestKey = 200

/** The most lines that are masked one by one. */
const mostLines = 1000

/** The rules of the configuration, made ready to be asked. */
export class Rules {
  /** Whether a value that is no text, and so counts as an empty one, can be looked at for anything. */
  readonly looksAtValues: boolean
  /** Whether keys are looked for in values, too. */
  readonly looksAtKeys: boolean
  /** Whether texts beside attributes can be changed by anything. */
  readonly looksForValues: boolean
  /** Since `begin`: whether something took too long to tell, and was masked as a whole. */
  unsure = false
  readonly #allowance: Allowance = { left: itemAllowance }
  readonly #settings: RuleSettings
  readonly #allowed: ReadonlySet<string>
  readonly #ignored: ReadonlySet<string>
  readonly #ignoredPatterns: readonly Pattern[]
  readonly #blockedKeys: readonly Pattern[]
  readonly #blockedValues: readonly Pattern[]
  readonly #allowedValues: readonly Pattern[]
  readonly #mask: (match: string) => string
  /** Verdicts by a hash of the key's bytes; a place is taken once. */
  readonly #keys: (Buffer | undefined)[] = Array.from({ length: keptKeys }, () => undefined)
  readonly #verdicts = new Uint8Array(keptKeys)

  /** `own` are keys that this processor itself writes. */
  constructor(settings: RuleSettings, own: readonly string[]) {
    const compile = (sources: readonly string[]): Pattern[] => sources.map(source => compilePattern(source))
    this.#settings = settings
    this.#allowed = new Set([...settings.allowed_keys, ...own])
    this.#ignored = new Set(settings.ignored_keys)
    this.#ignoredPatterns = compile(settings.ignored_key_patterns)
    this.#blockedKeys = compile(settings.blocked_key_patterns)
    this.#blockedValues = compile(settings.blocked_values)
    this.#allowedValues = compile(settings.allowed_values)
    this.#mask = maskWith(settings)
    this.looksAtKeys = this.#blockedKeys.length > 0
    this.looksForValues = this.#blockedValues.length > 0
    this.looksAtValues = this.#blockedValues.length + this.#allowedValues.length > 0
  }

  /** Makes ready, a pattern at a step, what the first items would have to wait for. */
  *prepare(): Generator<undefined, void> {
    const all = [this.#ignoredPatterns, this.#blockedKeys, this.#blockedValues, this.#allowedValues].flat()
    for (const pattern of all) {
      pattern.prepare()
      yield
    }
  }

  /** What is done with an attribute whose key stands between `start` and `end`. */
  ofKey(bytes: Uint8Array, start: number, end: number): KeyVerdict {
    const length = end - start
    if (length > longestKey) return this.ofName(text(bytes, start, end))
    let hash = length
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
    const place = (hash ^ (hash >>> 15)) & (keptKeys - 1)
    const kept = this.#keys[place]
    const before = this.#verdicts[place]
    if (kept !== undefined && before !== undefined && sameBytes(bytes, start, length, kept)) return asVerdict(before)
    const verdict = this.ofName(text(bytes, start, end))
    // A verdict for want of time is one for this item alone.
    if (kept === undefined && this.#allowance.left >= 0) {
      // In memory of its own: what `Buffer.from` makes is a slice of 64 KiB that it would keep alive for good.
      const own = Buffer.allocUnsafeSlow(length)
      own.set(bytes.subarray(start, end))
      this.#keys[place] = own
      this.#verdicts[place] = verdict
    }
    return verdict
  }

  /** What is done with an attribute of that name; `removes`: whether one that is not allowed goes. */
  ofName(name: string, removes = true): KeyVerdict {
    if (this.#ignored.has(name) || this.#match(this.#ignoredPatterns, name) === true) return IGNORE
    if (removes && !this.#settings.allow_all_keys && !this.#allowed.has(name)) return REMOVE
    // What is not told is masked.
    return this.#match(this.#blockedKeys, name) === false ? CHECK : MASK
  }

  /** To be called before each item, and before what stands above items: it has an allowance of its own. */
  begin(): void {
    this.#allowance.left = itemAllowance
    this.unsure = false
  }

  /** Whether a value may stay whatever else is said of it. */
  allows(value: string): boolean {
    return this.#match(this.#allowedValues, value) === true
  }

  /** The value with all that is blocked in it masked; masked as a whole where that would take too long to tell. */
  masked(value: string): string {
    for (const pattern of this.#blockedValues) {
      const masked = pattern.replace(value, this.#mask, this.#allowance)
      if (masked === undefined) {
        this.unsure = true
        return this.wholly(value)
      }
      value = masked
    }
    return value
  }

  /** Bytes with all that is blocked in them, read as text, masked; undefined where there is nothing. */
  maskedBytes(bytes: Buffer): Buffer | undefined {
    const written = text(bytes, 0, bytes.length)
    if (this.allows(written)) return undefined
    const masked = this.masked(written)
    if (masked === written) return undefined
    // What is not text would not come out as it was.
    return Buffer.from(isUtf8(bytes) ? masked : this.wholly(written))
  }

  /** The value masked as a whole, line by line unless there are very many. */
  wholly(value: string): string {
    if (!value.includes('\n')) return this.#mask(value)
    const lines = value.split('\n', mostLines + 1)
    return lines.length > mostLines ? this.#mask(value) : lines.map(this.#mask).join('\n')
  }

  /** Whether one of the patterns matches; undefined where it would take too long to tell. */
  #match(patterns: readonly Pattern[], value: string): boolean | undefined {
    for (const pattern of patterns) {
      if (this.#allowance.left < 0 || value.length > pattern.longest) {
        this.unsure = true
        return undefined
      }
      if (pattern.matches(value, this.#allowance)) return true
    }
    return false
  }
}

const asVerdict = (n: number): KeyVerdict => (n === IGNORE ? IGNORE : n === REMOVE ? REMOVE : n === MASK ? MASK : CHECK)

function maskWith({ hash_function: name, hmac_key: key }: RuleSettings): (match: string) => string {
  switch (name) {
    case '':
      return () => '****'
    case 'md5':
    case 'sha1':
      return match => createHash(name).update(match).digest('hex')
    case 'sha3':
      return match => createHash('sha3-256').update(match).digest('hex')
    case 'hmac-sha256':
    case 'hmac-sha512': {
      const secret = key?.reveal() ?? ''
      return match => createHmac(name.slice('hmac-'.length), secret).update(match).digest('hex')
    }
  }
}
