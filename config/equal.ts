/** Whether two checked configurations mean the same. */
import { Secret } from '../core/fields.ts'

/** Compares values as zod makes them: sections, lists, secrets by what they hide, objects of classes by what they show. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  if (a instanceof Secret && b instanceof Secret) return a.reveal() === b.reveal()
  if (a instanceof Map && b instanceof Map) return sameValue([...a], [...b])
  if (a instanceof Set && b instanceof Set) return sameValue([...a], [...b])
  if (a instanceof RegExp && b instanceof RegExp) return a.toString() === b.toString()
  if (a instanceof URL && b instanceof URL) return a.href === b.href
  if (isOpaque(a)) return false
  const left = shown(a)
  const right = shown(b)
  return (
    left.size === right.size && [...left].every(([key, value]) => right.has(key) && sameValue(value, right.get(key)))
  )
}

/** What shows nothing of itself may be anything: taken as different, it is made anew, which is never wrong. */
function isOpaque(value: object): boolean {
  const made: unknown = Object.getPrototypeOf(value)
  const isPlain = made === Object.prototype || made === Array.prototype || made === null
  return !isPlain && Object.keys(value).length === 0
}

/** The keys of a section; one that is undefined is as if it was not there. */
const shown = (value: object): Map<string, unknown> =>
  new Map(Object.entries(value).filter(([, inner]) => inner !== undefined))
