/**
 * A file of checkpoints as it stands on disk, little-endian. Its first block is a header that stands there twice (at 0 and
 * at 2048): magic, CRC-32 of what follows, length, nonce, facts as JSON. Groups of entries follow, each at a multiple of
 * 4096, so that what was synced is never written again: first those that hold all there was when the file was begun, then
 * one for each write since.
 *
 *    0  u32  magic                      20  u32  number in the file, from 0 on
 *    4  8    nonce of the file          24  u32  bytes of the entries
 *   12  u32  CRC-32 of what follows     28  entries: u32 bytes of the key, u32 bytes of the value, key, value
 *   16  u32  entries
 *
 * Of a key that was deleted the value has the length 0xffffffff, and no bytes.
 */
import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { largestCheckpoint, longestCheckpointKey } from '../../core/storage.ts'
import { blockEnd, blockSize, nonceSize } from './record.ts'

const HEADER_MAGIC = Buffer.from('KYMOCKP1')
const COPY = 2048
const TEXT = 24
const MAGIC = 0x50434b31
const FRONT = 28
const CRC = 12
const CHECKED = 16
const DELETED = 0xffffffff
const PER_ENTRY = 8

/** So much of what waits is written at once, and so many: to encode or read a group never takes long. */
const mostBytes = 1024 * 1024
const mostEntries = 4096

/** Where the first group stands. */
export const firstGroup = blockSize
/** What must be read to know how long a group is. */
export const leastGroup = FRONT

/** One key, with its value; without one it was deleted. */
export interface CheckpointEntry {
  readonly key: string
  readonly value: Buffer | undefined
}

/** What the header of a file says. */
export interface CheckpointHeader {
  readonly nonce: Buffer
  /** Whose it is: names may be too long for a header. */
  readonly digest: string
  /** How many keys there were when the file was begun. */
  readonly entries: number
}

/** What stands for an owner. */
export const digestOf = (owner: string): string => createHash('sha256').update(owner).digest('hex')

/** The header of a new file. */
export const freshHeader = (owner: string, entries: number): CheckpointHeader => ({
  nonce: randomBytes(nonceSize),
  digest: digestOf(owner),
  entries,
})

/** The first block of a file. */
export function encodeCheckpointHeader({ nonce, digest, entries }: CheckpointHeader): Buffer {
  const text = Buffer.from(JSON.stringify([digest, entries]))
  const out = Buffer.alloc(blockSize)
  for (const at of [0, COPY]) {
    HEADER_MAGIC.copy(out, at)
    out.writeUInt32LE(text.length, at + 12)
    nonce.copy(out, at + 16)
    text.copy(out, at + TEXT)
    out.writeUInt32LE(crc32(out.subarray(at + 12, at + TEXT + text.length)), at + 8)
  }
  return out
}

/** What the first block of a file says; undefined when neither copy can be read. */
export const decodeCheckpointHeader = (block: Buffer): CheckpointHeader | undefined =>
  decodeCopy(block, 0) ?? decodeCopy(block, COPY)

function decodeCopy(block: Buffer, at: number): CheckpointHeader | undefined {
  if (block.length < at + TEXT || HEADER_MAGIC.compare(block, at, at + HEADER_MAGIC.length) !== 0) return undefined
  const end = at + TEXT + block.readUInt32LE(at + 12)
  if (end > at + COPY || end > block.length) return undefined
  if (crc32(block.subarray(at + 12, end)) !== block.readUInt32LE(at + 8)) return undefined
  const [digest, entries] = JSON.parse(block.toString('utf8', at + TEXT, end)) as [string, number]
  return { nonce: Buffer.from(block.subarray(at + 16, at + 16 + nonceSize)), digest, entries }
}

/** Takes entries as long as they find room in one group. */
export class GroupBuilder {
  readonly #entries: { readonly key: Buffer; readonly value: Buffer | undefined }[] = []
  #bytes = 0

  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  /** Whether there is room for one more, whatever it is. */
  get isOpen(): boolean {
    return this.#bytes < mostBytes && this.#entries.length < mostEntries
  }

  add({ key: text, value }: CheckpointEntry): void {
    const key = Buffer.from(text)
    this.#entries.push({ key, value })
    this.#bytes += PER_ENTRY + key.length + (value?.length ?? 0)
  }

  /** The group, up to the end of its last block. */
  encode(nonce: Buffer, number: number): Buffer {
    const end = FRONT + this.#bytes
    const out = Buffer.alloc(blockEnd(end))
    out.writeUInt32LE(MAGIC, 0)
    nonce.copy(out, 4)
    out.writeUInt32LE(this.#entries.length, 16)
    out.writeUInt32LE(number, 20)
    out.writeUInt32LE(this.#bytes, 24)
    let at = FRONT
    for (const { key, value } of this.#entries) {
      out.writeUInt32LE(key.length, at)
      out.writeUInt32LE(value?.length ?? DELETED, at + 4)
      at += PER_ENTRY
      at += key.copy(out, at)
      if (value !== undefined) at += value.copy(out, at)
    }
    out.writeUInt32LE(crc32(out.subarray(CHECKED, end)), CRC)
    return out
  }
}

/** How long the group is that begins with `bytes`; undefined when none does. */
export function groupLength(bytes: Buffer, nonce: Buffer): number | undefined {
  if (bytes.length < FRONT || bytes.readUInt32LE(0) !== MAGIC) return undefined
  if (nonce.compare(bytes, 4, 4 + nonceSize) !== 0) return undefined
  const length = bytes.readUInt32LE(24)
  return length < mostBytes + PER_ENTRY + longestCheckpointKey + largestCheckpoint ? FRONT + length : undefined
}

/** The entries of a group, and its number; undefined when it is not whole. Values are parts of `bytes`. */
export function decodeGroup(bytes: Buffer): { number: number; entries: CheckpointEntry[] } | undefined {
  const end = FRONT + bytes.readUInt32LE(24)
  if (bytes.length < end || crc32(bytes.subarray(CHECKED, end)) !== bytes.readUInt32LE(CRC)) return undefined
  const entries: CheckpointEntry[] = []
  let at = FRONT
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    const keyLength = bytes.readUInt32LE(at)
    const valueLength = bytes.readUInt32LE(at + 4)
    at += PER_ENTRY + keyLength
    const key = bytes.toString('utf8', at - keyLength, at)
    if (valueLength === DELETED) entries.push({ key, value: undefined })
    else entries.push({ key, value: bytes.subarray(at, (at += valueLength)) })
  }
  return { number: bytes.readUInt32LE(20), entries }
}

/** What the names of an owner's files begin with: something to recognise, and something that no other owner has. */
export function stemOf(owner: string): string {
  const readable = owner
    .toLowerCase()
    .replaceAll(/[^\da-z_-]/g, '_')
    .slice(0, 64)
  return `${readable}.${digestOf(owner).slice(0, 16)}`
}

/** The name of an owner's file; of its generations the highest counts. */
export const nameOf = (stem: string, generation: number): string =>
  `${stem}.${generation.toString(16).padStart(12, '0')}`
/** What a file is called until it is whole. */
export const unfinished = (name: string): string => `${name}.new`
/** What a file is called that was found damaged; of each owner there is one. */
export const damagedName = (stem: string): string => `${stem}.damaged`

/** The generation in the name of an owner's file; undefined when it is none. */
export function generationOf(name: string, stem: string): { generation: number; isFinished: boolean } | undefined {
  if (!name.startsWith(`${stem}.`)) return undefined
  const [, digits, unfinished] = /^([\da-f]{12})(\.new)?$/.exec(name.slice(stem.length + 1)) ?? []
  if (digits === undefined) return undefined
  return { generation: Number.parseInt(digits, 16), isFinished: unfinished === undefined }
}
