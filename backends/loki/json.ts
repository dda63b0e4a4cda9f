/** Loki's push request as JSON, made of the entries that were written for protobuf, so that both say the same. */
import type { Entries } from './entries.ts'
import { CLOSE_LIST, CLOSE_OBJECT, COLON, COMMA, OPEN_LIST, OPEN_OBJECT } from '../../proto/json-scan.ts'
import { JsonText, Literal } from '../../proto/json-text.ts'
import { Cursor } from '../../proto/wire.ts'

const literals = {
  begin: new Literal('{"streams":['),
  stream: new Literal('{"stream":'),
  values: new Literal(',"values":['),
  end: new Literal(']}'),
}

/** The request: `{"streams":[{"stream":{"a":"b"},"values":[["<nanoseconds>","<line>",{"name":"value"}]]}]}`. */
export function toJson(entries: Entries): Buffer {
  return new PushJson(entries.out.at * 2 + 1024, undefined).request(entries)
}

class PushJson extends JsonText {
  readonly #cursor = new Cursor(Buffer.alloc(0))

  request(entries: Entries): Buffer {
    const { bytes } = entries.out
    this.literal(literals.begin)
    for (const stream of entries.streams.values()) {
      if (stream.bytes === 0) continue
      this.#separate(OPEN_LIST)
      this.literal(literals.stream)
      this.byte(OPEN_OBJECT)
      for (const { name, value } of stream.set.labels) {
        this.#separate(OPEN_OBJECT)
        this.quoted(name)
        this.byte(COLON)
        this.quoted(value)
      }
      this.byte(CLOSE_OBJECT)
      this.literal(literals.values)
      for (const i of entries.inOrder(stream)) {
        const [start, end] = entries.range(i)
        this.#separate(OPEN_LIST)
        this.#entry(bytes, start, end, entries.timeText(i))
      }
      this.literal(literals.end)
    }
    this.literal(literals.end)
    return this.done()
  }

  /** A comma between what stands in a list or an object. */
  #separate(open: number): void {
    if (this.bytes[this.at - 1] !== open) this.byte(COMMA)
  }

  /** An entry as it was written: its time, its line, and then its metadata. */
  #entry(bytes: Buffer, start: number, end: number, time: string): void {
    const cursor = this.#cursor.set(bytes, start, end)
    cursor.tag()
    cursor.length()
    this.byte(OPEN_LIST)
    this.quoted(time)
    let pairs = 0
    while (cursor.at < end) {
      const field = cursor.tag() >>> 3
      const to = cursor.length() + cursor.at
      if (field > 1) this.byte(COMMA)
      if (field === 2) this.text(bytes, cursor.at, to)
      else if (field === 3) {
        if (pairs++ === 0) this.byte(OPEN_OBJECT)
        // A name that stands twice is written twice, as Loki reads it.
        this.#pair(bytes, cursor)
      }
      cursor.at = to
    }
    if (pairs > 0) this.byte(CLOSE_OBJECT)
    this.byte(CLOSE_LIST)
  }

  #pair(bytes: Buffer, cursor: Cursor): void {
    for (const after of [COLON, undefined]) {
      cursor.tag()
      const to = cursor.length() + cursor.at
      this.text(bytes, cursor.at, to)
      if (after !== undefined) this.byte(after)
      cursor.at = to
    }
  }
}
