/** What zod has against a value, in words, and which of a schema's own words can be told of a value nobody may see. */
import type * as z from 'zod'
import { quoted } from './nearest.ts'

type Issue = z.core.$ZodIssue
type Schema = z.core.$ZodType

/** What zod says when the schema has no words of its own. */
export const stock = /^(?:Invalid |Unrecognized |Too (?:small|big))/

/** Kinds of values in words. */
export const kinds: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  object: 'a section',
  record: 'a section',
  array: 'a list',
  tuple: 'a list',
  null: 'nothing',
}

/** The words for limits and forms; texts of the schema's own are taken as they are. */
export function wording(issue: Issue): string {
  if (!stock.test(issue.message)) return issue.message
  if (issue.code === 'too_small') {
    if (issue.origin !== 'string' && issue.origin !== 'array')
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`
    return issue.minimum === 1 ? 'must not be empty' : `needs at least ${issue.minimum} ${partsOf(issue.origin)}`
  }
  if (issue.code === 'too_big') {
    if (issue.origin !== 'string' && issue.origin !== 'array')
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`
    return `must have at most ${issue.maximum} ${partsOf(issue.origin)}`
  }
  if (issue.code === 'invalid_format')
    return issue.format === 'regex' ? `must match \`${issue.pattern}\`` : `is no valid ${issue.format}`
  if (issue.code === 'invalid_type') return `expected ${kinds[issue.expected] ?? issue.expected}`
  if (issue.code === 'not_multiple_of') return `must be a multiple of ${issue.divisor}`
  if (issue.code === 'invalid_value') return `expected one of ${quoted(issue.values.map(String))}`
  return issue.message.charAt(0).toLowerCase() + issue.message.slice(1)
}

const partsOf = (origin: string) => (origin === 'string' ? 'characters' : 'entries')

/** All that a value could have been. */
export function alternatives({ errors }: z.core.$ZodIssueInvalidUnion): string {
  const expected = new Set<string>()
  for (const [first] of errors) {
    if (first?.code === 'invalid_type') expected.add(kinds[first.expected] ?? first.expected)
    if (first?.code === 'invalid_value') for (const value of first.values) expected.add(`\`${String(value)}\``)
  }
  const all = [...expected]
  const last = all.pop() ?? 'another value'
  return all.length === 0 ? last : `${all.join(', ')} or ${last}`
}

/** The words of an issue that are the same for every value, if the check that made it gives such beside its message. */
export function plainWording(issue: Issue): string | undefined {
  const plain: unknown = issue.code === 'custom' ? issue.params?.['plain'] : undefined
  return typeof plain === 'string' ? plain : undefined
}

/** The messages in a schema that are the same for every value. */
export function fixedTexts(schema: Schema): ReadonlySet<string> {
  const texts = new Set<string>()
  const seen = new Set<unknown>()
  const visit = (one: unknown): void => {
    if (typeof one !== 'object' || one === null || seen.has(one)) return
    seen.add(one)
    if (Array.isArray(one)) return one.forEach(visit)
    if ('_zod' in one) return visit((one._zod as { def: unknown }).def)
    const isPlain = Object.getPrototypeOf(one) === Object.prototype
    if (!isPlain) return
    for (const [key, inner] of Object.entries(one)) {
      if (key === 'error') note(texts, inner)
      else if (key === 'getter' && typeof inner === 'function') visit(inner())
      else if (key !== 'defaultValue') visit(inner)
    }
  }
  visit(schema)
  return texts
}

/** A fixed text is what a check says whatever it is asked. */
function note(texts: Set<string>, error: unknown): void {
  if (typeof error === 'string') texts.add(error)
  if (typeof error !== 'function') return
  try {
    const said: unknown = error({ code: 'custom', input: undefined, path: [] })
    if (typeof said === 'string') texts.add(said)
  } catch {
    // It looks at the value.
  }
}
