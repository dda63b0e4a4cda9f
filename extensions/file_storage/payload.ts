/** The groups of a batch as what is written: slices of the bytes they were received in, and their checksum. */
import { crc32 } from 'node:zlib'
import type { Group } from '../../proto/group.ts'
import { putVarint } from '../../proto/wire.ts'

/** Bytes in several places that make one OTLP request. */
export interface Payload {
  readonly slices: readonly Buffer[]
  readonly length: number
  readonly crc: number
}

/** Tag of a request's resource group and of a resource group's resource: field 1, length-delimited. */
const FIRST = 0x0a

/** Smaller pieces are joined by copying: each slice of its own costs more than that. */
const joined = 2048

/** The payload of these groups. Neighbours that stand untouched side by side are one slice. */
export function payloadOf(groups: readonly Group[]): Payload {
  const out = new Slices()
  let run: { readonly bytes: Buffer; readonly from: number; end: number } | undefined
  for (const group of groups) {
    const { bytes, field, end, untouched } = group
    if (run !== undefined && untouched && bytes === run.bytes && field === run.end) {
      run.end = end
      continue
    }
    if (run !== undefined) out.add(run.bytes, run.from, run.end)
    run = untouched ? { bytes, from: field, end } : undefined
    if (!untouched) addEdited(out, group)
  }
  if (run !== undefined) out.add(run.bytes, run.from, run.end)
  return out.end()
}

/** A group whose resource was replaced, in the pieces `Group.write` would write. */
function addEdited(out: Slices, group: Group): void {
  const { bytes, resource, resourceStart, resourceEnd } = group
  out.field(group.contentSize)
  if (group.resourceField > group.start) out.add(bytes, group.start, group.resourceField)
  out.field(resourceEnd - resourceStart)
  out.add(resource, resourceStart, resourceEnd)
  if (group.resourceFieldEnd < group.end) out.add(bytes, group.resourceFieldEnd, group.end)
}

class Slices {
  readonly #slices: Buffer[] = []
  #length = 0
  #crc = 0
  /** Where small pieces are joined: those from `#from` to `#to` are not among the slices yet. */
  #room: Buffer | undefined
  #from = 0
  #to = 0

  add(bytes: Buffer, from: number, to: number): void {
    const size = to - from
    this.#length += size
    if (size >= joined) {
      this.#push()
      this.#take(bytes.subarray(from, to))
      return
    }
    const room = this.#ask(size)
    bytes.copy(room, this.#to, from, to)
    this.#to += size
  }

  /** Tag and length of a field 1 of `size` bytes. */
  field(size: number): void {
    const room = this.#ask(6)
    const from = this.#to
    room[from] = FIRST
    this.#to = putVarint(room, from + 1, size)
    this.#length += this.#to - from
  }

  end(): Payload {
    this.#push()
    return { slices: this.#slices, length: this.#length, crc: this.#crc }
  }

  /** Room for `size` bytes at `#to`. */
  #ask(size: number): Buffer {
    if (this.#room !== undefined && this.#to + size <= this.#room.length) return this.#room
    this.#push()
    this.#room = Buffer.allocUnsafe(2 * joined)
    this.#from = 0
    this.#to = 0
    return this.#room
  }

  #push(): void {
    if (this.#room === undefined || this.#to === this.#from) return
    this.#take(this.#room.subarray(this.#from, this.#to))
    this.#from = this.#to
  }

  #take(slice: Buffer): void {
    this.#crc = crc32(slice, this.#crc)
    this.#slices.push(slice)
  }
}
