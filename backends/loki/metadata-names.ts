/** Names of structured metadata as they are written, so that a name that was met before costs a few words. */
import { lokiName } from './names.ts'
import { text } from '../../proto/values.ts'
import { putVarint, sameBytes, varintSize } from '../../proto/wire.ts'

/** The field of a name and the tag of the value behind it, in words of four bytes. */
export class MetadataName {
  readonly words: Int32Array
  /** Bytes of the words that count. */
  readonly length: number
  /** Bytes of the name itself. */
  readonly size: number

  /** @param name letters, digits and underscores */
  constructor(name: string) {
    const { length } = name
    this.size = length
    this.length = 2 + varintSize(length) + length
    const bytes = Buffer.alloc((this.length + 3) & ~3)
    bytes[0] = 0x0a
    const at = putVarint(bytes, 1, length)
    bytes[at + bytes.write(name, at, 'latin1')] = 0x12
    this.words = Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(i * 4))
  }
}

/** A key that was met, and the name it became. */
interface Met {
  readonly key: Uint8Array
  /** The key in words; the last overlaps the one before. */
  readonly words: readonly number[]
  readonly name: MetadataName
}

/** Longest key that is remembered. */
const longestKey = 256

const slots = 1024
/** Places where a key may be, from the one of its hash on. */
const probes = 4

/** Finds names by the keys they are made of. */
export class MetadataNames {
  readonly #met: (Met | undefined)[] = Array.from({ length: slots + probes })

  /** The name of the key at `start`; `view` is a view of `bytes`. */
  of(bytes: Buffer, view: DataView, start: number, length: number): MetadataName {
    const last = length < 4 ? 0 : view.getInt32(start + length - 4, true)
    const mixed = last ^ (bytes[start + (length >> 1)] << 4) ^ (length << 12)
    const first = Math.imul(mixed, 0x9e3779b1) >>> 22
    for (let slot = first; slot < first + probes; slot++) {
      const met = this.#met[slot]
      if (met === undefined) return this.#meet(slot, bytes, view, start, length)
      if (met.key.length === length && sameKey(met, bytes, view, start)) return met.name
    }
    return this.#meet(first, bytes, view, start, length)
  }

  #meet(slot: number, bytes: Buffer, view: DataView, start: number, length: number): MetadataName {
    const name = new MetadataName(lokiName(text(bytes, start, start + length)))
    if (length > longestKey) return name
    const key = new Uint8Array(bytes.subarray(start, start + length))
    const words: number[] = []
    for (let i = 0; i + 4 < length; i += 4) words.push(view.getInt32(start + i, true))
    this.#met[slot] = { key, words, name }
    return name
  }
}

function sameKey({ key, words }: Met, bytes: Buffer, view: DataView, start: number): boolean {
  const { length } = key
  if (length < 4) return sameBytes(bytes, start, length, key)
  for (let i = 0; i < words.length; i++) if (view.getInt32(start + i * 4, true) !== words[i]) return false
  for (let i = length - 4; i < length; i++) if (bytes[start + i] !== key[i]) return false
  return true
}
