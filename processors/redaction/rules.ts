import { createHash, createHmac } from 'node:crypto'
import type { Secret } from '../../core/fields.ts'
import { compilePattern, type Pattern } from '../../proto/pattern.ts'
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

/** The rules of the configuration, made ready to be asked. */
export class Rules {
  /** Whether a value that is no text, and so counts as an empty one, can be looked at for anything. */
  readonly looksAtValues: boolean
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
    this.looksAtValues = this.#blockedValues.length + this.#allowedValues.length > 0
  }

  /** What is done with an attribute whose key stands between `start` and `end`. */
  ofKey(bytes: Uint8Array, start: number, end: number): KeyVerdict {
    const length = end - start
    if (length > longestKey) return this.ofName(text(bytes, start, end))
    let hash = length
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193)
    const place = (hash ^ (hash >>> 15)) & (keptKeys - 1)
    const kept = this.#keys[place]
    if (kept !== undefined && sameBytes(bytes, start, length, kept)) return asVerdict(this.#verdicts[place])
    const verdict = this.ofName(text(bytes, start, end))
    if (kept === undefined) {
      // In memory of its own: what `Buffer.from` makes is a slice of 64 KiB that it would keep alive for good.
      const own = Buffer.allocUnsafeSlow(length)
      own.set(bytes.subarray(start, end))
      this.#keys[place] = own
      this.#verdicts[place] = verdict
    }
    return verdict
  }

  /** What is done with an attribute of that name. */
  ofName(name: string): KeyVerdict {
    if (this.#ignored.has(name) || this.#ignoredPatterns.some(pattern => pattern.matches(name))) return IGNORE
    if (!this.#settings.allow_all_keys && !this.#allowed.has(name)) return REMOVE
    return this.#blockedKeys.some(pattern => pattern.matches(name)) ? MASK : CHECK
  }

  /** Whether a value may stay whatever else is said of it. */
  allows(value: string): boolean {
    for (const pattern of this.#allowedValues) if (pattern.matches(value)) return true
    return false
  }

  /** The value with all that is blocked in it masked. */
  masked(value: string): string {
    for (const pattern of this.#blockedValues) value = pattern.replace(value, this.#mask) ?? this.wholly(value)
    return value
  }

  /** The value masked as a whole, line by line. */
  wholly(value: string): string {
    return value.includes('\n') ? value.split('\n').map(this.#mask).join('\n') : this.#mask(value)
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
