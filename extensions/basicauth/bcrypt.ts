/**
 * bcrypt (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999): Blowfish whose key schedule is made
 * expensive. Node has none, and password files are full of it.
 */

const letters = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** What is encrypted 64 times; the result is the hash. */
const text = 'OrpheanBeholderScryDoubt'
const subkeys = 18
const boxes = 1024
/** A password counts up to here. */
const longest = 72

/** What one hash needs besides the password. */
export interface BcryptSalt {
  /** Base-2 logarithm of the rounds. */
  readonly cost: number
  /** 22 letters. */
  readonly salt: string
}

/** The hash of `password`: 31 letters; undefined when `goesOn`, asked at each of the rounds, says no. */
export function bcrypt(
  password: Buffer,
  { cost, salt }: BcryptSalt,
  tables: BcryptTables,
  goesOn: () => boolean,
): string | undefined {
  const state = tables.copy()
  // The text ends with a zero byte, as in C.
  const key = wordsOf(Buffer.concat([password, Buffer.alloc(1)]).subarray(0, longest))
  const seasoning = wordsOf(decode(salt, 16)).subarray(0, 4)
  state.expand(key, seasoning)
  for (let round = 2 ** cost; round > 0; round--) {
    if (!goesOn()) return undefined
    state.expand(key, undefined)
    state.expand(seasoning, undefined)
  }
  const block = new Int32Array(2)
  const out = Buffer.alloc(24)
  for (let at = 0; at < 24; at += 8) {
    block[0] = Buffer.from(text).readInt32BE(at)
    block[1] = Buffer.from(text).readInt32BE(at + 4)
    for (let i = 0; i < 64; i++) state.encrypt(block)
    out.writeInt32BE(block[0], at)
    out.writeInt32BE(block[1], at + 4)
  }
  return encode(out.subarray(0, 23))
}

/** Eighteen words that repeat the bytes of a key. */
function wordsOf(key: Buffer): Int32Array {
  const words = new Int32Array(subkeys)
  for (let i = 0, at = 0; i < subkeys; i++) {
    for (let byte = 0; byte < 4; byte++, at = (at + 1) % key.length) words[i] = (words[i] << 8) | key[at]
  }
  return words
}

/** Blowfish's subkeys and boxes before any key is mixed in: the digits of pi. */
export class BcryptTables {
  readonly #p: Int32Array
  readonly #s: Int32Array

  constructor(p?: Int32Array, s?: Int32Array) {
    const digits = p === undefined || s === undefined ? piWords(subkeys + boxes) : undefined
    this.#p = p ?? (digits?.subarray(0, subkeys) as Int32Array)
    this.#s = s ?? (digits?.subarray(subkeys) as Int32Array)
  }

  copy(): BcryptTables {
    return new BcryptTables(this.#p.slice(), this.#s.slice())
  }

  /** Mixes a key in, and a salt of four words. */
  expand(key: Int32Array, salt: Int32Array | undefined): void {
    const p = this.#p
    for (let i = 0; i < subkeys; i++) p[i] ^= key[i % key.length]
    const block = new Int32Array(2)
    let half = 0
    for (const words of [p, this.#s]) {
      for (let i = 0; i < words.length; i += 2) {
        if (salt !== undefined) {
          block[0] ^= salt[half]
          block[1] ^= salt[half + 1]
          half ^= 2
        }
        this.encrypt(block)
        words[i] = block[0]
        words[i + 1] = block[1]
      }
    }
  }

  /** Encrypts one block in its place. */
  encrypt(block: Int32Array): void {
    const p = this.#p
    const s = this.#s
    let left = block[0]
    let right = block[1]
    for (let i = 0; i < 16; i += 2) {
      left ^= p[i]
      right ^=
        (((s[left >>> 24] + s[256 + ((left >>> 16) & 255)]) ^ s[512 + ((left >>> 8) & 255)]) + s[768 + (left & 255)]) |
        0
      right ^= p[i + 1]
      left ^=
        (((s[right >>> 24] + s[256 + ((right >>> 16) & 255)]) ^ s[512 + ((right >>> 8) & 255)]) +
          s[768 + (right & 255)]) |
        0
    }
    block[0] = right ^ p[17]
    block[1] = left ^ p[16]
  }
}

/** The first words of the fraction of pi, by Machin's formula: 16 arctan(1/5) - 4 arctan(1/239). */
function piWords(count: number): Int32Array {
  const spare = 64n
  const bits = BigInt(32 * count)
  const one = 1n << (bits + spare)
  const arctan = (inverse: bigint): bigint => {
    let power = one / inverse
    let sum = power
    for (let n = 3n, sign = -1n; power > 0n; n += 2n, sign = -sign) {
      power /= inverse * inverse
      sum += (sign * power) / n
    }
    return sum
  }
  const fraction = (16n * arctan(5n) - 4n * arctan(239n) - 3n * one) >> spare
  const digits = Buffer.from(fraction.toString(16).padStart(8 * count, '0'), 'hex')
  return Int32Array.from({ length: count }, (_, i) => digits.readInt32BE(4 * i))
}

function encode(bytes: Buffer): string {
  let written = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const three = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    const count = Math.min(4, bytes.length - i + 1)
    for (let j = 0; j < count; j++) written += letters[(three >> (18 - 6 * j)) & 63]
  }
  return written
}

function decode(written: string, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let bits = 0
  let value = 0
  let at = 0
  for (const letter of written) {
    value = ((value << 6) | letters.indexOf(letter)) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    if (at < size) bytes[at++] = value >> bits
  }
  return bytes
}
