/** Where the fields of a message stand that somebody asks for, found in one pass, and edits of them, written in one go. */
import type { Arena } from './actions.ts'
import type { Growing } from './growing.ts'
import type { Field } from './schema.ts'
import { addPiece, asBuffer, joinPieces, Range } from './values.ts'
import { fieldNamed, readScalar, type ScalarValue } from './views.ts'
import { Cursor, LENGTH, putVarint, sameBytes } from './wire.ts'

const nothing = Buffer.alloc(0)
/** Bytes that a tag and a length take at most. */
const mostHead = 10

// What becomes of a field.
const KEPT = 0
const SET = 1
const REMOVED = 2

/**
 * An index of singular fields, which are asked for by their place in the list given. Order of fields is not given and the one
 * that stands last wins, so all of a message is walked, once; to be used again for each message.
 */
export class ItemIndex {
  readonly #fields: readonly Field[]
  /** The place of a field in the list, by its number; -1 where nobody asks for it. */
  readonly #places: Int16Array
  readonly #cursor = new Cursor(nothing)
  readonly #range = new Range()
  #bytes: Buffer = nothing
  #start = 0
  #end = 0
  /** Each time that one of the fields stands there, in order: which, and where field, content and end are. */
  #count = 0
  readonly #which: number[] = []
  readonly #starts: number[] = []
  readonly #contents: number[] = []
  readonly #ends: number[] = []
  /** Per field: the last time that it stands there, -1 for none; how often it does; what becomes of it. */
  readonly #last: Int32Array
  readonly #times: Int32Array
  readonly #states: Uint8Array
  readonly #values: Uint8Array[]
  #changes = 0

  /** `names` are singular fields of `message`, none of them in a oneof. */
  constructor(message: string, ...names: readonly string[]) {
    this.#fields = names.map(name => fieldNamed(message, name))
    for (const { name, repeated, oneof } of this.#fields) {
      if (repeated || oneof !== undefined) throw new TypeError(`the field ${name} of ${message} is not a single value`)
    }
    this.#places = new Int16Array(Math.max(0, ...this.#fields.map(({ number }) => number)) + 1).fill(-1)
    this.#fields.forEach(({ number }, i) => (this.#places[number] = i))
    this.#last = new Int32Array(names.length)
    this.#times = new Int32Array(names.length)
    this.#states = new Uint8Array(names.length)
    this.#values = names.map(() => nothing)
  }

  /** Looks at the message between `start` and `end`; edits of the one before are forgotten. @throws WireError */
  load(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#count = this.#changes = 0
    this.#last.fill(-1)
    this.#times.fill(0)
    this.#states.fill(KEPT)
    const places = this.#places
    const cursor = this.#cursor.set(bytes, start, end)
    while (cursor.at < end) {
      const field = cursor.at
      const tag = cursor.tag()
      const number = tag >>> 3
      const place = number < places.length ? places[number] : -1
      if (place < 0) cursor.skip(tag)
      else this.#note(cursor, tag, place, field)
    }
  }

  #note(cursor: Cursor, tag: number, place: number, field: number): void {
    const { wire, name } = this.#fields[place]
    cursor.expect(tag, wire, name)
    const i = this.#count++
    this.#which[i] = place
    this.#starts[i] = field
    if (wire === LENGTH) {
      const length = cursor.length()
      this.#contents[i] = cursor.at
      cursor.at += length
    } else {
      this.#contents[i] = cursor.at
      cursor.skip(tag)
    }
    this.#ends[i] = cursor.at
    this.#last[place] = i
    this.#times[place]++
  }

  /** Sets `out` to the content of a field as it is now, and says whether there is one. */
  find(place: number, out: Range): boolean {
    if (this.#states[place] !== KEPT) {
      const value = this.#values[place]
      out.set(value, 0, value.length)
      return this.#states[place] === SET
    }
    const last = this.#last[place]
    if (last < 0) return false
    let pieces: Growing | undefined
    if (this.#fields[place].type === 'message' && this.#times[place] > 1) {
      for (let i = 0; i < last; i++) {
        if (this.#which[i] !== place) continue
        out.set(this.#bytes, this.#contents[i], this.#ends[i])
        pieces = addPiece(pieces, out)
      }
    }
    out.set(this.#bytes, this.#contents[last], this.#ends[last])
    joinPieces(pieces, out)
    return true
  }

  /** The value of a field that is no message; undefined where there is none. */
  value(place: number): ScalarValue | undefined {
    return this.find(place, this.#range) ? readScalar(this.#fields[place], this.#range) : undefined
  }

  /** A text; '' where there is none. */
  text(place: number): string {
    const value = this.value(place)
    return typeof value === 'string' ? value : ''
  }

  /** Gives a field another content, which must stay as it is until `write`. */
  set(place: number, content: Uint8Array): void {
    const range = this.#range
    const isSame = this.find(place, range) && sameBytes(range.bytes, range.start, range.end - range.start, content)
    if (!isSame) this.#change(place, SET, content)
  }

  /** Takes a field away. */
  remove(place: number): void {
    if (this.find(place, this.#range)) this.#change(place, REMOVED, nothing)
  }

  #change(place: number, state: number, content: Uint8Array): void {
    this.#states[place] = state
    this.#values[place] = content
    this.#changes++
  }

  /** Writes the message with all edits, each where the field stood last, and says whether there were any. */
  write(out: Arena): boolean {
    if (this.#changes === 0) return false
    const states = this.#states
    const bytes = this.#bytes
    let growth = 0
    for (const value of this.#values) growth += value.length + mostHead
    out.begin(this.#end - this.#start + growth)
    let copied = this.#start
    for (let i = 0; i < this.#count; i++) {
      const place = this.#which[i]
      if (states[place] === KEPT) continue
      out.copy(bytes, copied, this.#starts[i])
      copied = this.#ends[i]
      if (states[place] === SET && this.#last[place] === i) this.#put(out, place)
    }
    out.copy(bytes, copied, this.#end)
    for (let place = 0; place < states.length; place++) {
      if (states[place] === SET && this.#last[place] < 0) this.#put(out, place)
    }
    return true
  }

  #put(out: Arena, place: number): void {
    const { number, wire } = this.#fields[place]
    const value = this.#values[place]
    out.at = putVarint(out.bytes, out.at, (number << 3) | wire)
    if (wire === LENGTH) out.at = putVarint(out.bytes, out.at, value.length)
    out.copy(asBuffer(value), 0, value.length)
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.#bytes = this.#cursor.bytes = nothing
    this.#values.fill(nothing)
    this.#count = this.#changes = 0
  }
}
