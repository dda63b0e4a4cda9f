/**
 * The Collector's attribute actions (insert, update, upsert, delete, hash, extract, convert) on bytes. Actions with
 * constant values are folded into one pass over the list; the others are applied one after the other.
 */
import type { Action, Arena, Edits } from './actions.ts'
import { attributeTags, AttributeWalk, usualKey } from './attributes.ts'
import type { Pattern } from './pattern.ts'
import { SequentialEdits } from './sequence.ts'
import { encodeKeyValue, encodeValue, Range, readKeyValue, text, withValue } from './values.ts'
import { sameBytes } from './wire.ts'

/** Compiles actions for messages whose attribute list has `tag` (default: a resource's). */
export function compileEdits(actions: readonly Action[], tag: number = attributeTags.resource): Edits {
  return foldActions(actions, tag) ?? new SequentialEdits(actions, tag)
}

const KEEP = 0
const REPLACE = 1
const REMOVE = 2

/** What all actions together do to one key. */
interface KeyEdit {
  readonly key: Buffer
  /** What becomes of the attribute where there is one: its value is kept, replaced, or all of that name are removed. */
  present: number
  /** What is appended where there is none. */
  absent: Buffer | undefined
  /** The content of the AnyValue that replaces, and the whole attribute with it. */
  value: Buffer
  field: Buffer
}

/** The actions as one pass; undefined when they depend on values or their order cannot be folded. */
function foldActions(actions: readonly Action[], tag: number): Edits | undefined {
  const edits = new Map<string, KeyEdit>()
  // In the order in which keys are appended first.
  const appended: KeyEdit[] = []
  const patterns: Pattern[] = []
  const edit = (key: string): KeyEdit => {
    let found = edits.get(key)
    if (found === undefined) {
      const bytes = Buffer.from(key)
      found = { key: bytes, present: KEEP, absent: undefined, value: Buffer.alloc(0), field: Buffer.alloc(0) }
      edits.set(key, found)
    }
    return found
  }
  const remove = (found: KeyEdit): void => {
    found.present = REMOVE
    found.absent = undefined
  }
  for (const action of actions) {
    if (action.action === 'delete') {
      if (action.key !== undefined) remove(edit(action.key))
      if (action.pattern !== undefined) {
        patterns.push(action.pattern)
        for (const [key, found] of edits) if (action.pattern.matches(key)) remove(found)
      }
      continue
    }
    if (action.action !== 'insert' && action.action !== 'update' && action.action !== 'upsert') return undefined
    if (!('value' in action.source)) return undefined
    const found = edit(action.key)
    // Removed, then set again: that is an order of events, not a fold.
    if (found.present === REMOVE || patterns.some(pattern => pattern.matches(action.key))) return undefined
    const value = encodeValue(action.source.value)
    const field = encodeKeyValue(tag, found.key, value)
    if (action.action !== 'insert') {
      found.present = REPLACE
      found.value = value
      found.field = field
    }
    if (action.action === 'update') {
      if (found.absent !== undefined) found.absent = field
    } else if (found.absent === undefined) {
      found.absent = field
      appended.push(found)
    } else if (action.action === 'upsert') found.absent = field
  }
  const order = [...appended, ...[...edits.values()].filter(found => !appended.includes(found))]
  return new FoldedEdits(order, patterns, tag)
}

class FoldedEdits implements Edits {
  readonly growth: number
  readonly usesContext = false
  readonly #edits: readonly KeyEdit[]
  readonly #patterns: readonly Pattern[]
  readonly #tag: number
  /** Which edits a key of that length could mean. */
  readonly #byLength: (number[] | undefined)[] = []
  readonly #seen: Uint8Array
  readonly #key = new Range()

  constructor(edits: readonly KeyEdit[], patterns: readonly Pattern[], tag: number) {
    this.#edits = edits
    this.#patterns = patterns
    this.#tag = tag
    this.#seen = new Uint8Array(edits.length)
    let growth = 0
    let longest = 0
    for (const { key, absent, field } of edits) {
      longest = Math.max(longest, key.length)
      // A length before a value that grows may take up to five bytes more.
      growth += Math.max(absent?.length ?? 0, field.length) + 10
    }
    this.growth = growth
    for (let length = 0; length <= longest; length++) this.#byLength.push(undefined)
    edits.forEach(({ key }, i) => {
      const those = this.#byLength[key.length]
      if (those === undefined) this.#byLength[key.length] = [i]
      else those.push(i)
    })
  }

  apply(bytes: Buffer, start: number, end: number, out: Arena): boolean {
    const edits = this.#edits
    const seen = this.#seen
    for (let i = 0; i < seen.length; i++) seen[i] = 0
    const walk = new AttributeWalk(bytes, start, end, this.#tag)
    let copied = start
    let changed = false
    while (walk.next()) {
      const { field, from, to } = walk
      const index = this.#indexOf(bytes, from, to)
      if (index === -1) continue
      let replacement: Buffer | undefined
      if (index >= 0) {
        const edit = edits[index]
        const again = seen[index] === 1
        seen[index] = 1
        if (edit.present === KEEP || (edit.present === REPLACE && again)) continue
        if (edit.present === REPLACE) {
          if (sameBytes(bytes, field, to - field, edit.field)) continue
          replacement = usualKey(bytes, from, to) < 0 ? withValue(bytes, from, to, this.#tag, edit.value) : edit.field
        }
      }
      if (!changed) out.begin(end - start + this.growth)
      changed = true
      out.copy(bytes, copied, field)
      if (replacement !== undefined) out.put(replacement)
      copied = to
    }
    for (let i = 0; i < edits.length; i++) {
      const { absent } = edits[i]
      if (seen[i] === 1 || absent === undefined) continue
      if (!changed) out.begin(end - start + this.growth)
      changed = true
      if (copied < end) out.copy(bytes, copied, end)
      copied = end
      out.put(absent)
    }
    if (changed && copied < end) out.copy(bytes, copied, end)
    return changed
  }

  /** The edit for this attribute: its index, -1 for none, -2 when a pattern removes it. */
  #indexOf(bytes: Buffer, from: number, to: number): number {
    let length = usualKey(bytes, from, to)
    let at = from + 2
    if (length < 0) {
      const key = this.#key
      readKeyValue(bytes, from, to, key, key.other)
      at = key.start
      length = key.end - at
    }
    const candidates = length < this.#byLength.length ? this.#byLength[length] : undefined
    if (candidates !== undefined) {
      for (let i = 0; i < candidates.length; i++) {
        if (sameBytes(bytes, at, length, this.#edits[candidates[i]].key)) return candidates[i]
      }
    }
    if (this.#patterns.length === 0) return -1
    const name = text(bytes, at, at + length)
    return this.#patterns.some(pattern => pattern.matches(name)) ? -2 : -1
  }
}
