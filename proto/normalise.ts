/**
 * Merging of singular messages that stand more than once, which protobuf allows ("Last One Wins": scalars replace,
 * messages are merged, the last member of a oneof stays). Rare, so this need not be quick; all other code may then take
 * such a message to stand once.
 */
import { type Field, type Message, messageNamed } from './schema.ts'
import { Cursor, LENGTH, maxDepth, putVarint, varintSize, WireError } from './wire.ts'

/** How many times over what is merged may be copied, and how much that may be in any case. */
const mostCopies = 2
const freeCopies = 65_536
/** Fields that may be looked at: an object is made for each. */
const mostFields = 20_000
/** Bytes of memory that one such object takes, with the view of its bytes. */
export const fieldCost = 400

/** Thrown by a reader that met a singular message twice; `normalise` makes the message one that has it once. */
export class WrittenTwice extends Error {
  override name = 'WrittenTwice'
}

/** What a message is made of: ranges of bytes, and messages written anew with their tag. */
interface Node {
  size: number
  parts: (Buffer | Node)[]
  tag: number
}

/** What may still be done: bytes that may be copied, fields that may be looked at. */
export interface Allowance {
  copies: number
  fields: number
}

/** What may be done for a message of `size` bytes. */
export const allowanceFor = (size: number, fields = mostFields): Allowance => ({
  copies: mostCopies * size + freeCopies,
  fields,
})

/**
 * The same message with every singular message in it written once, and of each oneof only the member that counts.
 * Fields that are not known are kept; messages named `whole` are not looked into.
 * @throws WireError where the bytes cannot be walked, nest too deep, or stand in pieces at too many levels
 */
export function normalise(
  message: string,
  body: Buffer,
  allowance: Allowance = allowanceFor(body.length),
  whole?: string,
): Buffer {
  const node = normalised(messageNamed(message), body, 0, allowance, whole)
  if (node === undefined) return body
  const out = Buffer.allocUnsafeSlow(node.size)
  write(node, out, 0)
  return out
}

/** The content of a message written anew; undefined when it may stay as it is. */
function normalised(
  message: Message,
  body: Buffer,
  depth: number,
  allowance: Allowance,
  whole: string | undefined,
): Node | undefined {
  if (depth > maxDepth) throw new WireError(`messages nested more than ${maxDepth} deep`)
  const fields = scan(message, body, allowance)
  let changed = fields.some(({ dropped, joined }) => dropped || joined !== undefined)
  const node: Node = { size: 0, parts: [], tag: 0 }
  for (const { field, tag, start, content, end, dropped, joined } of fields) {
    if (dropped) continue
    let part: Buffer | Node = body.subarray(start, end)
    if (field?.type === 'message' && field.of !== whole) {
      const inner = joined === undefined ? body.subarray(content, end) : join(joined, allowance)
      const rewritten = normalised(messageNamed(field.of), inner, depth + 1, allowance, whole)
      if (rewritten !== undefined) part = { ...rewritten, tag }
      else if (joined !== undefined) part = { size: inner.length, parts: [inner], tag }
      changed ||= rewritten !== undefined
    }
    node.parts.push(part)
    node.size += sizeOf(part)
  }
  return changed ? node : undefined
}

/** The pieces of a message as one. All copies live until the outermost message is written. */
function join(pieces: readonly Buffer[], allowance: Allowance): Buffer {
  let size = 0
  for (const { length } of pieces) size += length
  allowance.copies -= size
  // Pieces within pieces would be copied once per level.
  if (allowance.copies < 0) throw inPieces()
  return Buffer.concat(pieces, size)
}

/** More stands in pieces than is put together. */
export const inPieces = (): WireError => new WireError('too many messages stand in pieces; write each message once')

/** One field as it stands. */
interface Standing {
  readonly field: Field | undefined
  readonly tag: number
  readonly start: number
  readonly content: number
  readonly end: number
  /** Counts no more: merged into an earlier one, or replaced by another member of its oneof. */
  dropped: boolean
  /** The contents that are merged here. */
  joined: Buffer[] | undefined
}

/** The fields of a message, told which of them still count. */
function scan(message: Message, body: Buffer, allowance: Allowance): Standing[] {
  const fields: Standing[] = []
  // Where a singular message stands first, and what each oneof holds now.
  const first = new Map<Field, Standing>()
  const members = new Map<string, Standing>()
  const cursor = new Cursor(body)
  while (cursor.at < body.length) {
    if (--allowance.fields < 0) throw inPieces()
    const start = cursor.at
    const tag = cursor.tag()
    const field = message.byNumber[tag >>> 3]
    let content = cursor.at
    if ((tag & 7) === LENGTH) {
      const length = cursor.length()
      content = cursor.at
      cursor.at += length
    } else cursor.skip(tag)
    const standing: Standing = { field, tag, start, content, end: cursor.at, dropped: false, joined: undefined }
    fields.push(standing)
    if (field !== undefined) settle(field, standing, body, first, members)
  }
  return fields
}

/** What a field does to those before it. */
function settle(
  field: Field,
  standing: Standing,
  body: Buffer,
  first: Map<Field, Standing>,
  members: Map<string, Standing>,
): void {
  if (field.type === 'message') checkWire(field, standing.tag)
  // As for every reader of protobuf, one of another wire type is not the field: it must not replace what is.
  else if ((standing.tag & 7) !== field.wire) return
  if (field.oneof !== undefined) {
    const held = members.get(field.oneof)
    if (held !== undefined && (held.field !== field || field.type !== 'message')) {
      held.dropped = true
      if (held.field !== undefined) first.delete(held.field)
    }
    if (held?.field !== field || field.type !== 'message') members.set(field.oneof, standing)
  }
  if (field.type !== 'message' || field.repeated) return
  const earlier = first.get(field)
  if (earlier === undefined) {
    first.set(field, standing)
    return
  }
  earlier.joined ??= [body.subarray(earlier.content, earlier.end)]
  earlier.joined.push(body.subarray(standing.content, standing.end))
  standing.dropped = true
}

function checkWire(field: Field, tag: number): void {
  if ((tag & 7) !== field.wire) throw new WireError(`${field.name} has wire type ${tag & 7} instead of ${field.wire}`)
}

/** Bytes of a part when written: a message takes a tag and a length before its content. */
function sizeOf(part: Buffer | Node): number {
  return part instanceof Uint8Array ? part.length : varintSize(part.tag) + varintSize(part.size) + part.size
}

function write(node: Node, out: Buffer, at: number): number {
  for (const part of node.parts) {
    if (part instanceof Uint8Array) at += part.copy(out, at)
    else at = write(part, out, putVarint(out, putVarint(out, at, part.tag), part.size))
  }
  return at
}
