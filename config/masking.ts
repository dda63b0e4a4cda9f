/** What is masked in texts, whatever they are: users, passwords and query values of URLs. */
import { redacted } from '../core/fields.ts'

/** A reference and nothing else: its name helps, its value is elsewhere. A default in it would be a value. */
export const bareReference = /^\$\{(?!.*:-)[^{}]*\}$/

/** Whether a piece of a source is a reference, in quotes or not, that says nothing of its value. */
export const isBareReference = (written: string): boolean =>
  bareReference.test(written.replace(/^(["'])(.*)\1$/s, '$2'))

/** One character that is not among `but`, or a whole reference. */
const part = (but: string) => `(?:\\$\\{[^{}]*\\}|[^\\s"'\`${but}])`
/** A scheme is short: without an end every letter of a long word would be taken for the beginning of one. */
const url = new RegExp(`([a-z][a-z0-9+.-]{0,30}://)(${part('/?#')}*@)?(${part('?#')}*)(\\?${part('#')}*)?`, 'gi')
/** Without a scheme, as targets of gRPC are written. */
const userOfTarget = new RegExp(`^(${part('/?#@:')}+:${part('/?#@')}+)@`)

/** The text with the users, passwords and query values of the URLs in it masked. */
export function maskUrl(text: string): string {
  const masked = text.replace(userOfTarget, (_, user: string) => `${maskUser(user)}@`)
  if (!masked.includes('://')) return masked
  return masked.replaceAll(
    url,
    (_, scheme: string, user: string | undefined, rest: string, query: string | undefined) =>
      `${scheme}${user === undefined ? '' : `${maskUser(user.slice(0, -1))}@`}${rest}${maskQuery(query)}`,
  )
}

/** Where in a line users, passwords and query values of URLs stand. */
export function* hiddenInUrls(line: string): Generator<[start: number, end: number]> {
  for (const match of line.matchAll(url)) {
    const [, scheme = '', user = '', rest = '', query = ''] = match
    const from = match.index + scheme.length
    if (user !== '' && maskUser(user.slice(0, -1)) !== user.slice(0, -1)) yield [from, from + user.length - 1]
    const at = from + user.length + rest.length
    for (const { index, 0: pair, 1: value = '' } of query.matchAll(/[?&](?:[^=&]*=)?([^&]*)/g))
      if (mask(value) !== value) yield [at + index + pair.length - value.length, at + index + pair.length]
  }
}

const mask = (value: string) => (value === '' || bareReference.test(value) ? value : redacted)

/** `user:password`, both or neither; the colon of a reference is none. */
function maskUser(user: string): string {
  const colon = /^(?:\$\{[^{}]*\}|[^:])*:/.exec(user)?.[0].length
  if (colon === undefined) return mask(user)
  const parts = [user.slice(0, colon - 1), user.slice(colon)]
  return parts.every(part => mask(part) === part) ? user : redacted
}

function maskQuery(query: string | undefined): string {
  if (query === undefined || query === '?') return query ?? ''
  const pairs = query
    .slice(1)
    .split('&')
    .map(pair => {
      const equals = pair.indexOf('=')
      return equals < 0 ? mask(pair) : `${pair.slice(0, equals + 1)}${mask(pair.slice(equals + 1))}`
    })
  return `?${pairs.join('&')}`
}
