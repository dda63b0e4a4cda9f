/** Messages: heads and trailers packed, and frames of answers that are given again and again. */
import { Flag, Frame, frameHead } from './protocol.ts'
import { staticTable } from './static-table.ts'

/** Says that the table of headers is not used: needed once where the other side makes its own smaller. */
export const noTable = Buffer.from([0x20])

/**
 * Packs headers, each as a literal that nobody has to remember: answers are short, and a connection keeps no table for
 * them. Values must be latin1.
 */
export function packHeaders(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(headers.flatMap(([name, value]) => pack(name, value)))
}

/** The numbers of headers that every connection knows, whole and by name. */
const wholes = new Map(staticTable.map(([name, value], i) => [`${name} ${value}`, i + 1] as const).toReversed())
const names = new Map(staticTable.map(([name], i) => [name, i + 1] as const).toReversed())

function pack(name: string, value: string): Buffer[] {
  const whole = wholes.get(`${name} ${value}`)
  if (whole !== undefined) return [number(0x80, 7, whole)]
  const known = names.get(name)
  return known === undefined ? [number(0, 4, 0), text(name), text(value)] : [number(0, 4, known), text(value)]
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([number(0, 7, bytes.length), bytes])
}

/** A number behind the bits of `first`, of which it has the last `bits`. */
function number(first: number, bits: number, value: number): Buffer {
  const most = (1 << bits) - 1
  if (value < most) return Buffer.from([first | value])
  const bytes = [first | most]
  let left = value - most
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
  return Buffer.from([...bytes, left])
}

/** What goes out on a stream: a packed head, and perhaps a body and packed trailers. What comes last says so. */
export interface StreamMessage {
  readonly head: Buffer
  readonly body: Buffer | undefined
  readonly trailers: Buffer | undefined
}

/** An answer of a head, a short body and trailers whose frames are made once, but for the number of the stream. */
export class PreparedAnswer implements StreamMessage {
  readonly head: Buffer
  readonly body: Buffer
  readonly trailers: Buffer
  readonly frames: Buffer
  /** Where the number of the stream belongs. */
  readonly places: readonly number[]

  constructor(head: Buffer, body: Buffer, trailers: Buffer) {
    this.head = head
    this.body = body
    this.trailers = trailers
    const parts = [
      frame(Frame.HEADERS, Flag.END_HEADERS, head),
      frame(Frame.DATA, 0, body),
      frame(Frame.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, trailers),
    ]
    this.frames = Buffer.concat(parts)
    const place = 5
    this.places = [place, parts[0].length + place, parts[0].length + parts[1].length + place]
  }
}

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const made = Buffer.alloc(frameHead + payload.length)
  made.writeUIntBE(payload.length, 0, 3)
  made[3] = type
  made[4] = flags
  made.set(payload, frameHead)
  return made
}
