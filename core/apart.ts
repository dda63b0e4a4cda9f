/** What of requests keeps their data apart where it is gathered. */
import type { Context } from './context.ts'

const metadata = 'metadata.'
const auth = 'auth.'

/** Whether requests can be kept apart by `what`, as a touch of the request names it: a header, or what is known of who sends. */
export const keepsApart = (what: string): boolean => what.startsWith(metadata) || what.startsWith(auth)

/** The names by which headers are told apart. */
export const headersApart = (keys: readonly string[]): string[] => keys.map(key => metadata + key.toLowerCase())

/** Tells requests apart by these: the same for those that may be put together; '' where all may. */
export function apartKey(names: readonly string[], context: Context): string {
  if (names.length === 0) return ''
  const values = names.map(name =>
    name.startsWith(auth)
      ? context.auth?.get(name.slice(auth.length))
      : context.metadata?.get(name.slice(metadata.length)),
  )
  return JSON.stringify(values.map(value => value ?? null))
}
