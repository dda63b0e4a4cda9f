/** What the toy sampler asks of its traces. */
import type { Held } from '../../core/holding.ts'
import { ItemIndex } from '../../proto/item-index.ts'
import { Range } from '../../proto/values.ts'
import { ItemCursor, fieldNamed, findField } from '../../proto/views.ts'

const id = fieldNamed('Span', 'trace_id')
const status = fieldNamed('Span', 'status')
const code = new ItemIndex('Status', 'code')

/** The trace of a span. */
export function traceId(bytes: Buffer, start: number, end: number): string {
  const range = new Range()
  return findField(bytes, start, end, id, range) ? asHex(range) : ''
}

const asHex = ({ bytes, start, end }: Range): string => Buffer.from(bytes.subarray(start, end)).toString('hex')

/** Whether one of the spans failed. */
export function errors({ batch }: Held): boolean {
  const range = new Range()
  const cursor = new ItemCursor()
  for (const group of batch.groups) {
    cursor.set(group)
    while (cursor.nextScope()) {
      while (cursor.nextItem()) {
        if (!findField(cursor.bytes, cursor.start, cursor.end, status, range)) continue
        code.load(range.bytes as Buffer, range.start, range.end)
        if (code.value(0) === 2) return true
      }
    }
  }
  return false
}

/** The oldest that are too many, or that hold so many bytes. */
export function decided<T extends { readonly parts: readonly Held[] }>(
  traces: ReadonlyMap<string, T>,
  most: number,
  bytes = Infinity,
): T[] {
  const gone: T[] = []
  for (const trace of traces.values()) {
    if (traces.size - gone.length <= most || bytes <= 0) break
    gone.push(trace)
    bytes -= trace.parts.reduce((sum, part) => sum + part.bytes, 0)
  }
  return gone
}
