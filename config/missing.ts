/** What is told of values of which something is missing: a variable that is not set, a file that is empty. */
import type { Node } from './document.ts'

/**
 * A fault of a value, with its cause in front where that is a reference that brings nothing: its schema only knows what is
 * left without it.
 */
export function withCause(
  node: Node | undefined,
  message: string,
  hint?: string,
): { readonly message: string; readonly hint: string | undefined } {
  const origin = node?.origin
  const [first] = origin?.missing ?? []
  // Of what stands inside of what a reference brought, it is not known that this is the cause.
  if (origin?.whole !== true || first === undefined) return { message, hint }
  if (message.includes(first.what)) return { message, hint: hint ?? first.hint }
  const causes = new Set(origin.missing.map(({ what }) => what))
  return { message: `${[...causes].join(', ')}: ${message}`, hint: first.hint }
}
