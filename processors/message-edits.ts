/** Edits of items: of messages in a message (data points of a metric, events of a span), and of all items of a batch. */
import type { Batch } from '../core/batch.ts'
import { Arena, type Lookup } from '../proto/actions.ts'
import { attributeTags } from '../proto/attributes.ts'
import { KEEP, REPLACE, rewriteItems, type Visitor } from '../proto/rewrite.ts'
import type { Signal } from '../proto/signals.ts'
import { fieldNamed } from '../proto/views.ts'
import { Cursor, LENGTH, putVarint, WireError } from '../proto/wire.ts'
import { Runs } from './runs.ts'

/** Changes the content of one message, as `Edits.apply` does. Not to be entered again from within. */
export interface MessageEdit {
  apply(bytes: Buffer, start: number, end: number, out: Arena, lookup?: Lookup): boolean
}

/** The tag of a message field, as it stands in the bytes. */
export const tagOf = (message: string, field: string): number => (fieldNamed(message, field).number << 3) | LENGTH

/** Edits messages that stand in fields of a message; everything else is kept as it is. */
export class NestedEdit implements MessageEdit {
  readonly #edits: (MessageEdit | undefined)[] = []
  readonly #made = new Arena(1024)
  readonly #runs = new Runs()
  readonly #cursor = new Cursor(Buffer.alloc(0))

  /** `edits` by the tag of their fields. */
  constructor(edits: ReadonlyMap<number, MessageEdit>) {
    const last = Math.max(...edits.keys())
    for (let tag = 0; tag <= last; tag++) this.#edits.push(edits.get(tag))
  }

  apply(bytes: Buffer, start: number, end: number, out: Arena, lookup?: Lookup): boolean {
    const cursor = this.#cursor.set(bytes, start, end)
    const made = this.#made
    const runs = this.#runs
    made.at = 0
    let copied = start
    try {
      while (cursor.at < end) {
        const field = cursor.at
        const tag = cursor.tag()
        const edit = tag < this.#edits.length ? this.#edits[tag] : undefined
        if (edit === undefined) {
          cursor.skip(tag)
          continue
        }
        const to = cursor.length() + cursor.at
        const changed = edit.apply(bytes, cursor.at, to, made, lookup)
        cursor.at = to
        if (!changed) continue
        const { bytes: content, from, at } = made
        runs.add(bytes, copied, field)
        copied = to
        made.begin(6)
        made.bytes[made.at] = tag
        made.at = putVarint(made.bytes, made.at + 1, at - from)
        runs.add(made.bytes, made.from, made.at)
        runs.add(content, from, at)
      }
      if (copied === start) return false
      runs.add(bytes, copied, end)
      runs.into(out)
      return true
    } finally {
      runs.clear()
    }
  }
}

/** One edit after the other, each on what the one before made. */
export class EditsInOrder implements MessageEdit {
  readonly #edits: readonly MessageEdit[]
  readonly #arenas: readonly Arena[]

  constructor(edits: readonly MessageEdit[]) {
    this.#edits = edits
    this.#arenas = edits.map(() => new Arena(1024))
  }

  apply(bytes: Buffer, start: number, end: number, out: Arena, lookup?: Lookup): boolean {
    let changed = false
    this.#edits.forEach((edit, i) => {
      const arena = this.#arenas[i]
      arena.at = 0
      if (!edit.apply(bytes, start, end, arena, lookup)) return
      changed = true
      bytes = arena.bytes
      start = arena.from
      end = arena.at
    })
    if (!changed) return false
    out.begin(end - start)
    out.copy(bytes, start, end)
    return true
  }
}

/** An edit of every data point of a metric; `editOf` makes that of points whose attribute list has a tag. */
export function pointEdit(editOf: (tag: number) => MessageEdit): MessageEdit {
  const points = (message: string, tag: number): [number, MessageEdit] => {
    const data = message === 'ExponentialHistogram' ? 'exponential_histogram' : message.toLowerCase()
    return [tagOf('Metric', data), new NestedEdit(new Map([[tagOf(message, 'data_points'), editOf(tag)]]))]
  }
  return new NestedEdit(
    new Map([
      points('Gauge', attributeTags.numberPoint),
      points('Sum', attributeTags.numberPoint),
      points('Histogram', attributeTags.histogramPoint),
      points('ExponentialHistogram', attributeTags.exponentialHistogramPoint),
      points('Summary', attributeTags.summaryPoint),
    ]),
  )
}

/** An edit of the attributes of an item: of a span, of a log record, or of each data point of a metric. */
export function itemEdit(signal: Signal, editOf: (tag: number) => MessageEdit): MessageEdit {
  if (signal === 'metrics') return pointEdit(editOf)
  return editOf(signal === 'traces' ? attributeTags.span : attributeTags.logRecord)
}

/** Applies an edit to an item; one whose bytes cannot be read stays as it is, so that it fails where it is its sender's alone. */
export function editReadable(
  edit: MessageEdit,
  bytes: Buffer,
  start: number,
  end: number,
  out: Arena,
  lookup: Lookup | undefined,
): typeof KEEP | typeof REPLACE {
  try {
    return edit.apply(bytes, start, end, out, lookup) ? REPLACE : KEEP
  } catch (error) {
    if (error instanceof WireError) return KEEP
    throw error
  }
}

/** The batch as `visitor`, which drops nothing, rewrites its items. */
export function editItems(batch: Batch, visitor: Visitor): Batch {
  const { groups, made } = rewriteItems(batch.signal, batch.groups, visitor)
  if (made === 0) return batch
  return batch.withGroups(
    groups.filter(group => group !== undefined),
    made,
  )
}
