/** What is counted of spans that are alike, and the bytes of it. */
import { DurationSketch, sketchCost } from './stats-sketch.ts'
import { endless, type Room, textCost } from '../../proto/room.ts'
import { encodeField } from '../../proto/values.ts'
import { putVarint64, varint64Size } from '../../proto/varint64.ts'
import { putVarint, varintSize } from '../../proto/wire.ts'

/** What spans that are counted together have in common. */
export interface StatsKey {
  readonly service: string
  readonly name: string
  readonly resource: string
  readonly type: string
  readonly kind: string
  /** Status of HTTP; 0 without one. */
  readonly status: number
  /** Status of gRPC, as a number; '' without one. */
  readonly grpcStatus: string
  readonly synthetics: boolean
  /** Whether they have no parent; undefined: both. */
  readonly root: boolean | undefined
  readonly peerTags: readonly string[]
}

/** Where spans are from, as far as a payload has it once. */
export interface StatsOrigin {
  /** All of it as one text. */
  readonly id: string
  readonly number: number
  readonly hostname: string
  readonly env: string
  readonly version: string
  readonly containerId: string
  readonly tags: readonly string[]
}

const empty = new DurationSketch().encode()

/** Bytes of a group besides its texts: its object, the entry that leads to it, and two sketches at first. */
const groupCost = 500 + 2 * sketchCost

/** Bytes that a group with this key takes at first. */
export function costOf({ service, name, resource, type, grpcStatus, peerTags }: StatsKey): number {
  return [service, name, resource, type, grpcStatus, ...peerTags].reduce((sum, one) => sum + textCost(one), groupCost)
}

/** Counts of spans that are alike. A span that was sampled stands for more than itself. */
export class StatsGroup {
  readonly key: StatsKey
  readonly #room: Room
  #hits = 0
  #errors = 0
  #duration = 0
  #topLevel = 0
  #ok: DurationSketch | undefined
  #failed: DurationSketch | undefined

  /** `room`: where memory for durations is taken. */
  constructor(key: StatsKey, room: Room = endless) {
    this.key = key
    this.#room = room
  }

  /** Bytes taken since it was made. */
  get taken(): number {
    return (this.#ok?.taken ?? 0) + (this.#failed?.taken ?? 0)
  }

  /** Counts a span that took `duration` nanoseconds. */
  add(duration: number, isError: boolean, isTopLevel: boolean, weight: number): void {
    this.#hits += weight
    this.#duration += duration * weight
    if (isTopLevel) this.#topLevel += weight
    if (isError) {
      this.#errors += weight
      ;(this.#failed ??= new DurationSketch(this.#room)).add(duration, weight)
    } else (this.#ok ??= new DurationSketch(this.#room)).add(duration, weight)
  }

  /** The content of its protobuf message. */
  encode(): Buffer {
    const { service, name, resource, type, kind, status, grpcStatus, synthetics, root, peerTags } = this.key
    return Buffer.concat([
      text(1, service),
      text(2, name),
      text(3, resource),
      number(4, status),
      text(5, type),
      number(7, this.#hits),
      number(8, this.#errors),
      number(9, this.#duration),
      bytes(10, this.#ok?.encode() ?? empty),
      bytes(11, this.#failed?.encode() ?? empty),
      number(12, synthetics ? 1 : 0),
      number(13, this.#topLevel),
      text(15, kind),
      ...peerTags.map(tag => bytes(16, Buffer.from(tag))),
      number(17, root === undefined ? 0 : root ? 1 : 2),
      text(18, grpcStatus),
    ])
  }
}

const text = (field: number, value: string): Buffer =>
  value === '' ? Buffer.alloc(0) : bytes(field, Buffer.from(value))

function bytes(field: number, content: Buffer): Buffer {
  const tag = (field << 3) | 2
  if (tag < 0x80) return encodeField(tag, content)
  const out = Buffer.allocUnsafe(varintSize(tag) + varintSize(content.length) + content.length)
  const at = putVarint(out, putVarint(out, 0, tag), content.length)
  out.set(content, at)
  return out
}

/** A whole number; what is none after weighing is rounded. */
function number(field: number, value: number): Buffer {
  const n = Math.round(Math.min(value, Number.MAX_SAFE_INTEGER))
  if (n === 0) return Buffer.alloc(0)
  const tag = field << 3
  const out = Buffer.allocUnsafe(varintSize(tag) + varint64Size(n))
  putVarint64(out, putVarint(out, 0, tag), n)
  return out
}

/** Groups of one origin and one span of time. */
export interface StatsPart {
  readonly origin: StatsOrigin
  /** Nanoseconds since the epoch, in milliseconds. */
  readonly start: number
  readonly groups: readonly StatsGroup[]
}

/** A payload of these parts. `split`: there are others of the same spans of time. */
export function encodePayload(parts: readonly StatsPart[], interval: number, split: boolean): Buffer {
  const byOrigin = Map.groupBy(parts, ({ origin }) => origin)
  const clients = Array.from(byOrigin, ([origin, own]) =>
    bytes(
      3,
      Buffer.concat([
        text(1, origin.hostname),
        text(2, origin.env),
        text(3, origin.version),
        ...own.map(part => bytes(4, bucketOf(part, interval))),
        text(11, origin.containerId),
        ...origin.tags.map(tag => bytes(12, Buffer.from(tag))),
      ]),
    ),
  )
  return Buffer.concat([...clients, number(6, split ? 1 : 0)])
}

function bucketOf({ start, groups }: StatsPart, interval: number): Buffer {
  return Buffer.concat([
    nanoseconds(0x08, start),
    nanoseconds(0x10, interval),
    ...groups.map(group => bytes(3, group.encode())),
  ])
}

/** A uint64 field of nanoseconds, given in milliseconds: more than a number holds exactly. */
function nanoseconds(tag: number, milliseconds: number): Buffer {
  let n = BigInt(Math.trunc(milliseconds)) * 1_000_000n
  const out = [tag]
  for (; n > 0x7fn; n >>= 7n) out.push(Number(n & 0x7fn) | 0x80)
  out.push(Number(n))
  return Buffer.from(out)
}
