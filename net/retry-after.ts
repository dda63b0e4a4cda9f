/** `Retry-After` (RFC 9110, 10.2.3): a number of seconds, or a date in one of HTTP's three forms. */

/** No destination may put us off for longer, in milliseconds: a mistaken clock or unit must not stop delivery for good. */
export const longestDelay = 24 * 3_600_000

const date =
  /^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT|[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})$/

/** A delay that was asked for, as far as it is followed. */
export function followedDelay(delay: number | undefined): number | undefined {
  return delay === undefined ? undefined : Math.min(delay, longestDelay)
}

/** Milliseconds to wait; undefined when `value` is neither form. A date that has passed is 0. */
export function parseRetryAfter(value: string | undefined, now = Date.now()): number | undefined {
  const text = value?.trim() ?? ''
  if (/^\d+$/.test(text)) return followedDelay(Number(text) * 1000)
  if (!date.test(text)) return undefined
  const at = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(at) ? undefined : followedDelay(Math.max(0, at - now))
}
