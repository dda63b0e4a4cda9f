/**
 * Requests whose every item carries an id (sender, counter) and a checksum of the rest of its bytes, made and read
 * without a line of Kymo's own codecs.
 */
import { crc32 } from 'node:zlib'

/** What a request is like. */
export interface Shape {
  readonly signal: 'traces' | 'logs'
  /** Items in each request. */
  readonly items: number
  /** Bytes of text in each item. */
  readonly size: number
}

/** Paths and field numbers of what differs between the signals. */
const wires = {
  traces: { trace: 1, span: 2, text: 5 },
  logs: { trace: 9, span: 10, text: 3 },
} as const
const marker = Buffer.from('kymo faults!')

const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)])
const field = (number: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([...varint((number << 3) | 2), ...varint(body.length)]), body])
}
const attribute = (key: string, value: string) =>
  Buffer.concat([field(1, Buffer.from(key)), field(2, field(1, Buffer.from(value)))])

/** Makes the requests of one sender: a template in which only the ids are written anew. */
export class RequestMaker {
  readonly shape: Shape
  readonly #template: Buffer
  /** Where each item's id stands. */
  readonly #places: number[] = []

  constructor(sender: number, shape: Shape) {
    this.shape = shape
    const { trace, span, text } = wires[shape.signal]
    const rest = field(text, Buffer.alloc(shape.size, 'abcdefghijklmnopqrstuvwxyz '))
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(rest))
    const id = Buffer.alloc(8)
    id.writeUInt32BE(sender)
    const item = field(2, field(trace, marker, sum), field(span, id), rest)
    const resource = field(1, field(1, attribute('service.name', `sender-${sender}`)))
    const scope = field(2, ...Array.from({ length: shape.items }, () => item))
    this.#template = field(1, resource, scope)
    const tag = Buffer.from([(span << 3) | 2, 8, ...id.subarray(0, 4)])
    for (let at = this.#template.indexOf(tag); at >= 0; at = this.#template.indexOf(tag, at + item.length - 8))
      this.#places.push(at + 6)
    if (this.#places.length !== shape.items) throw new Error('the ids cannot be told from the rest')
  }

  /** Bytes of a request. */
  get bytes(): number {
    return this.#template.length
  }

  /** A request of the items `first`, `first + 1`, ... */
  make(first: number): Buffer {
    const body = Buffer.from(this.#template)
    let counter = first
    for (const place of this.#places) body.writeUInt32BE(counter++, place)
    return body
  }
}

/** Hears of an item: whose it is, and whether its bytes are as they were sent. */
export type ItemVisitor = (sender: number, counter: number, intact: boolean) => void

/** Reads every item of a request. @throws Error where it is no request */
export function readItems(signal: 'traces' | 'logs', body: Buffer, visit: ItemVisitor): void {
  const { trace, span } = wires[signal]
  fields(body, 0, body.length, 1, (from, to) =>
    fields(body, from, to, 2, (from, to) =>
      fields(body, from, to, 2, (from, to) => readItem(body, from, to, trace, span, visit)),
    ),
  )
}

/** Items as they were made: checksum, id, then what the checksum is of. */
function readItem(body: Buffer, from: number, to: number, trace: number, span: number, visit: ItemVisitor): void {
  const rest = from + 28
  if (body[from] !== ((trace << 3) | 2) || body[from + 18] !== ((span << 3) | 2) || rest > to)
    throw new Error('an item is not as it was made')
  const intact = body.readUInt32BE(from + 14) === crc32(body.subarray(rest, to))
  visit(body.readUInt32BE(from + 20), body.readUInt32BE(from + 24), intact)
}

/** Visits the contents of each `wanted` field; other fields are passed over. */
function fields(
  body: Buffer,
  from: number,
  to: number,
  wanted: number,
  visit: (from: number, to: number) => void,
): void {
  let at = from
  const varint = (): number => {
    let n = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = body[at++]
      n |= (byte & 127) << shift
      if (byte < 128) return n >>> 0
    }
    throw new Error('a number is too long')
  }
  while (at < to) {
    const tag = varint()
    if ((tag & 7) !== 2) throw new Error(`wire type ${tag & 7} is not expected`)
    const length = varint()
    if (at + length > to) throw new Error('a field is cut off')
    if (tag >>> 3 === wanted) visit(at, at + length)
    at += length
  }
}
