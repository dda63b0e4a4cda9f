import type { Arena } from '../../proto/actions.ts'
import { messageNamed } from '../../proto/schema.ts'
import { text } from '../../proto/values.ts'
import { EditsInOrder, type MessageEdit, NestedEdit, tagOf } from '../message-edits.ts'
import { coverOf } from './coverage.ts'
import { RedactAttributes } from './redact-attributes.ts'
import { RedactBody } from './redact-body.ts'
import type { Rules } from './rules.ts'
import type { SummaryLevel } from './summary.ts'

/** What redaction of a message depends on, besides the rules. */
export interface Extent {
  readonly redact_all_types: boolean
  readonly redact_texts: boolean
  readonly summary: SummaryLevel
}

/** What redacts a message with all that is in it, as the table of what is covered has it; undefined where nothing is. */
export function redactMessage(message: string, rules: Rules, extent: Extent): MessageEdit | undefined {
  const whole: MessageEdit[] = []
  const inside = new Map<number, MessageEdit>()
  for (const field of messageNamed(message).fields) {
    const { name, type, of } = field
    const tag = type === 'string' || type === 'message' ? tagOf(message, name) : 0
    const cover = coverOf(message, field)
    if (cover === 'attributes') {
      whole.push(new RedactAttributes(rules, tag, extent.redact_all_types, extent.summary))
    } else if (cover === 'body') whole.push(new RedactBody(rules, extent.summary))
    else if (cover === 'text') {
      if (extent.redact_texts && rules.looksForValues) inside.set(tag, new RedactText(rules))
    } else if (type === 'message') {
      const edit = redactMessage(of, rules, extent)
      if (edit !== undefined) inside.set(tag, edit)
    }
  }
  if (inside.size > 0) whole.push(new NestedEdit(inside))
  return whole.length > 1 ? new EditsInOrder(whole) : whole.at(0)
}

/** Redacts a text that stands beside attributes. */
class RedactText implements MessageEdit {
  readonly #rules: Rules

  constructor(rules: Rules) {
    this.#rules = rules
  }

  apply(bytes: Buffer, start: number, end: number, out: Arena): boolean {
    const written = text(bytes, start, end)
    if (written === '' || this.#rules.allows(written)) return false
    const masked = this.#rules.masked(written)
    if (masked === written) return false
    const made = Buffer.from(masked)
    out.begin(made.length)
    out.put(made)
    return true
  }
}
