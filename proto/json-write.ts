/**
 * OTLP/JSON (OTLP specification, "JSON Protobuf Encoding") written straight from protobuf bytes: ids in hex, 64-bit
 * integers as strings, enums as numbers, other bytes as base64, NaN and the infinities as strings, lowerCamelCase keys.
 * Fields that the schema does not know are left out, as JSON has no place for them.
 */
import type { Memory } from './growing.ts'
import { encodeGroups, type Group, groupsSize } from './group.ts'
import { Halves } from './json-digits.ts'
import {
  BASE64,
  BOOL,
  DOUBLE,
  ENUM,
  type FieldPlan,
  FIXED32,
  FIXED64,
  HEX,
  INT32,
  INT64,
  MESSAGE,
  type Plan,
  planOf,
  SFIXED64,
  SINT32,
  TEXT,
  UINT32,
  UINT64,
} from './json-plan.ts'
import { CLOSE_LIST, CLOSE_OBJECT, COMMA, OPEN_LIST, OPEN_OBJECT, QUOTE } from './json-scan.ts'
import { JsonText } from './json-text.ts'
import { Irregular, regroup } from './json-regroup.ts'
import { type Signal, signals } from './signals.ts'
import { readDouble } from './values.ts'
import { Cursor, maxDepth, WireError } from './wire.ts'

/**
 * A message, such as `ExportTraceServiceRequest`, as OTLP/JSON, in a buffer of its own, from `memory` where that is given.
 * @throws WireError where the bytes are not such a message
 */
export function protobufToJson(message: string, bytes: Buffer, memory?: Memory): Buffer {
  return written(new JsonWriter(bytes.length, memory), writer => writer.whole(planOf(message), bytes, 0, bytes.length))
}

/**
 * The request that these groups make, as OTLP/JSON, in a buffer of its own, from `memory` where that is given.
 * @throws WireError where a group is not what its signal says
 */
export function groupsToJson(signal: Signal, groups: readonly Group[], memory?: Memory): Buffer {
  const { request, resourceGroup } = signals[signal]
  const plan = planOf(resourceGroup)
  return written(new JsonWriter(groupsSize(groups), memory), writer => {
    writer.ascii(`{"${planOf(request).fields[0].name}":[`)
    for (let i = 0; i < groups.length; i++) {
      if (i > 0) writer.byte(COMMA)
      const group = groups[i]
      if (group.untouched) writer.whole(plan, group.bytes, group.start, group.end, 2)
      else {
        const bytes = encodeGroups([group])
        writer.whole(plan, bytes, bytes.length - group.contentSize, bytes.length, 2)
      }
    }
    writer.ascii(']}')
  })
}

function written(writer: JsonWriter, write: (writer: JsonWriter) => void): Buffer {
  try {
    write(writer)
    return writer.done()
  } catch (error) {
    writer.abandon()
    throw error
  }
}

/** How often all bytes may be put in order; honest messages take a copy for each of a few levels. */
const mostCopies = 8

class JsonWriter extends JsonText {
  readonly #cursor = new Cursor(Buffer.alloc(0))
  readonly #halves = new Halves()
  /** Whether messages may stand in pieces, and are put in order first. */
  #irregular = false
  #copied = 0
  readonly #mostCopied: number

  /** @param size bytes of protobuf that will be written */
  constructor(size: number, memory: Memory | undefined) {
    super(size * 3 + 64, memory)
    this.#mostCopied = size * mostCopies
  }

  /** Writes the message between `start` and `end`, which is not part of another. */
  whole(plan: Plan, bytes: Buffer, start: number, end: number, depth = 1): void {
    const at = this.at
    this.#set(bytes, start)
    try {
      this.#message(plan, end, depth)
    } catch (error) {
      if (!(error instanceof Irregular)) throw error
      // Rare, and only then worth a look at every message before it is written.
      this.at = at
      this.#irregular = true
      this.#set(bytes, start)
      this.#message(plan, end, depth)
      this.#irregular = false
    }
  }

  #set(bytes: Uint8Array, at: number): void {
    this.#cursor.set(bytes, at, bytes.length)
  }

  /** Writes the message from the cursor to `end`. */
  #message(plan: Plan, end: number, depth: number): void {
    if (depth > maxDepth) throw new WireError(`messages nested more than ${maxDepth} deep`)
    const cursor = this.#cursor
    if (this.#irregular) {
      const { bytes } = cursor
      const regular = regroup(plan, bytes, cursor.at, end)
      if (regular !== undefined) {
        // Nested often enough, such messages would be copied once per level.
        this.#copied += regular.length
        if (this.#copied > this.#mostCopied) throw new WireError('too many messages stand in pieces')
        this.#set(regular, 0)
        this.#fields(plan, cursor, regular.length, depth)
        this.#set(bytes, end)
        return
      }
    }
    this.#fields(plan, cursor, end, depth)
  }

  #fields(plan: Plan, cursor: Cursor, end: number, depth: number): void {
    let list: FieldPlan | undefined
    let seen = 0
    this.ensure(2)
    this.bytes[this.at++] = OPEN_OBJECT
    while (cursor.at < end) {
      cursor.end = end
      const tag = cursor.tag()
      const field = plan.byNumber[tag >>> 3]
      if (field === undefined) {
        cursor.skip(tag)
        continue
      }
      this.ensure(field.label.bytes.length + 64)
      if (field === list) {
        if (this.bytes[this.at - 1] !== OPEN_LIST) this.bytes[this.at++] = COMMA
      } else {
        if ((seen & field.conflicts) !== 0) throw new Irregular()
        if (list !== undefined) this.bytes[this.at++] = CLOSE_LIST
        if (seen !== 0) this.bytes[this.at++] = COMMA
        seen |= field.bit
        this.literal(field.label)
        list = field.repeated ? field : undefined
        if (list !== undefined) this.bytes[this.at++] = OPEN_LIST
      }
      if (tag === field.tag) this.#value(field, depth)
      else if (field.packed && tag === field.packedTag) this.#numbers(field)
      else cursor.expect(tag, field.tag & 7, `${plan.name}.${field.name}`)
    }
    this.ensure(2)
    if (list !== undefined) this.bytes[this.at++] = CLOSE_LIST
    this.bytes[this.at++] = CLOSE_OBJECT
  }

  /** Writes the numbers of a packed list. */
  #numbers(field: FieldPlan): void {
    const cursor = this.#cursor
    const end = cursor.length() + cursor.at
    cursor.end = end
    // A list without numbers must not leave the comma that was written for its first.
    if (cursor.at === end && this.bytes[this.at - 1] === COMMA) this.at--
    for (let first = true; cursor.at < end; first = false) {
      this.ensure(64)
      if (!first) this.bytes[this.at++] = COMMA
      this.#value(field, 0)
    }
  }

  /** Writes the value at the cursor. There is room for 64 bytes. */
  #value(field: FieldPlan, depth: number): void {
    const cursor = this.#cursor
    switch (field.kind) {
      case TEXT:
      case MESSAGE:
      case HEX:
      case BASE64:
        this.#content(field, cursor.length() + cursor.at, depth)
        return
      case DOUBLE: {
        const at = cursor.at
        cursor.advance(8)
        this.double(readDouble(cursor.bytes, at))
        return
      }
      case FIXED64:
      case SFIXED64: {
        const at = cursor.at
        cursor.advance(8)
        this.#long(field.kind === SFIXED64, word(cursor.bytes, at), word(cursor.bytes, at + 4))
        return
      }
      case INT64:
      case UINT64:
        this.#varint()
        this.#long(field.kind === INT64, this.#halves.low, this.#halves.high)
        return
      case FIXED32: {
        const at = cursor.at
        cursor.advance(4)
        this.unsigned(word(cursor.bytes, at), 0)
        return
      }
      case BOOL:
        this.#varint()
        this.ascii((this.#halves.low | this.#halves.high) === 0 ? 'false' : 'true')
        return
      case UINT32:
        this.unsigned(cursor.uint32(), 0)
        return
      case SINT32:
      case INT32:
      case ENUM: {
        const bits = cursor.uint32()
        const n = field.kind === SINT32 ? (bits >>> 1) ^ -(bits & 1) : bits | 0
        this.signed(n, n >> 31)
        return
      }
    }
  }

  /** Writes the value that stands from the cursor to `end`. */
  #content(field: FieldPlan, end: number, depth: number): void {
    const cursor = this.#cursor
    if (field.kind === MESSAGE) this.#message(field.plan, end, depth + 1)
    else if (field.kind === TEXT) this.text(cursor.bytes, cursor.at, end)
    else {
      this.byte(QUOTE)
      if (field.kind === HEX) this.hex(cursor.bytes, cursor.at, end)
      else this.base64(cursor.bytes, cursor.at, end)
      this.byte(QUOTE)
    }
    cursor.at = end
  }

  /** Reads a varint into the halves. */
  #varint(): void {
    const { bytes, at } = this.#cursor
    this.#cursor.skipVarint()
    this.#halves.setVarint(bytes, at, this.#cursor.at)
  }

  #long(signed: boolean, low: number, high: number): void {
    this.bytes[this.at++] = QUOTE
    if (signed) this.signed(low, high)
    else this.unsigned(low, high)
    this.byte(QUOTE)
  }
}

/** The 32 bits at `at`. */
function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}
