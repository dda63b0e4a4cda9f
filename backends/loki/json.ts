/** Loki's push request as JSON, made of the entries that were written for protobuf, so that both say the same. */
import type { Entries } from './entries.ts'
import { text } from '../../proto/values.ts'
import { Cursor, LENGTH } from '../../proto/wire.ts'

/** The request: `{"streams":[{"stream":{"a":"b"},"values":[["<nanoseconds>","<line>",{"name":"value"}]]}]}`. */
export function toJson(entries: Entries): Buffer {
  const { bytes } = entries.out
  const streams: string[] = []
  for (const stream of entries.streams.values()) {
    if (stream.bytes === 0) continue
    const labels = pairs(stream.set.labels.map(({ name, value }) => [name, value]))
    const values = entries.inOrder(stream).map(i => {
      const [start, end] = entries.range(i)
      return entryText(bytes, start, end, entries.timeText(i))
    })
    streams.push(`{"stream":${labels},"values":[${values.join(',')}]}`)
  }
  return Buffer.from(`{"streams":[${streams.join(',')}]}`)
}

/** Pairs as an object. A name that stands twice is written twice, as Loki reads it. */
function pairs(all: readonly (readonly [string, string])[]): string {
  return `{${all.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
}

function entryText(bytes: Buffer, start: number, end: number, time: string): string {
  const cursor = new Cursor(bytes, start, end)
  cursor.tag()
  cursor.length()
  let line = ''
  const metadata: [string, string][] = []
  while (cursor.at < end) {
    const field = cursor.tag() >>> 3
    const length = cursor.length()
    const to = cursor.at + length
    if (field === 2) line = text(bytes, cursor.at, to)
    else if (field === 3) metadata.push(pairOf(bytes, cursor.at, to))
    cursor.at = to
  }
  const more = metadata.length === 0 ? '' : `,${pairs(metadata)}`
  return `["${time}",${JSON.stringify(line)}${more}]`
}

function pairOf(bytes: Buffer, start: number, end: number): [name: string, value: string] {
  const cursor = new Cursor(bytes, start, end)
  const pair: [string, string] = ['', '']
  while (cursor.at < end) {
    const tag = cursor.tag()
    cursor.expect(tag, LENGTH, 'structured metadata')
    const length = cursor.length()
    pair[tag >>> 3 === 1 ? 0 : 1] = text(bytes, cursor.at, cursor.at + length)
    cursor.at += length
  }
  return pair
}
