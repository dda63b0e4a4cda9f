/** Edits of items: of messages in a message, such as data points of a metric or events of a span. */
import { Arena, type Lookup } from '../proto/actions.ts'
import { attributeTags } from '../proto/attributes.ts'
import type { Signal } from '../proto/signals.ts'
import { fieldNamed } from '../proto/views.ts'
import { Cursor, LENGTH, putVarint } from '../proto/wire.ts'
import { Runs } from '../proto/runs.ts'

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
  readonly #edits: readonly { readonly edit: MessageEdit; readonly arena: Arena }[]

  constructor(edits: readonly MessageEdit[]) {
    this.#edits = edits.map(edit => ({ edit, arena: new Arena(1024) }))
  }

  apply(bytes: Buffer, start: number, end: number, out: Arena, lookup?: Lookup): boolean {
    let changed = false
    for (const { edit, arena } of this.#edits) {
      arena.at = 0
      if (!edit.apply(bytes, start, end, arena, lookup)) continue
      changed = true
      bytes = arena.bytes
      start = arena.from
      end = arena.at
    }
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
