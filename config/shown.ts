/** What may be shown of the values of a configuration, and what is shown in place of the others. */
import { Concealed } from '../core/concealed.ts'
import { redacted } from '../core/fields.ts'
import type { Node, ScalarNode } from './document.ts'

/** A reference and nothing else: its name helps, its value is elsewhere. A default in it would be a value. */
const bareReference = /^\$\{(?!.*:-)[^{}]*\}$/

/** A single value as it may be shown: what came from outside as its reference, secrets and those of URLs not at all. */
export function shown({ origin, secret, value, text }: ScalarNode): ScalarNode['value'] {
  if (value === null && origin === undefined && text === undefined) return null
  if (origin !== undefined && !origin.whole) return redacted
  if (secret) return origin !== undefined && bareReference.test(origin.written) ? origin.written : redacted
  if (origin !== undefined) return maskUrl(origin.written)
  return typeof value === 'string' ? maskUrl(value) : value
}

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
    const [, scheme, user = '', rest, query = ''] = match
    const from = match.index + scheme.length
    if (user !== '' && maskUser(user.slice(0, -1)) !== user.slice(0, -1)) yield [from, from + user.length - 1]
    const at = from + user.length + rest.length
    for (const { index, 0: pair, 1: value } of query.matchAll(/[?&](?:[^=&]*=)?([^&]*)/g))
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

/** Keys whose values say where something is: whoever looks for a fault has to know, so these are told while it runs. */
const address = /(?:^|_)(?:endpoint|address|host|hostname|port|url)$/i

/** What nobody may tell of a section while it runs, with what is told instead. */
export function concealedOf(node: Node): Concealed {
  return new Concealed(concealedIn(node, undefined))
}

function* concealedIn(node: Node, key: string | undefined): Generator<[value: string, instead: string]> {
  if (node.kind === 'map') for (const [name, { value }] of node.entries) yield* concealedIn(value, name)
  if (node.kind === 'list') for (const item of node.items) yield* concealedIn(item, key)
  if (node.kind !== 'scalar' || node.value === null) return
  const value = String(node.value)
  const { origin, secret } = node
  const instead = String(shown(node))
  const isAddress = key !== undefined && address.test(key) && !secret
  for (const hidden of hiddenInUrl(value, isAddress && origin !== undefined)) yield [hidden, redacted]
  if (isAddress || (origin === undefined && !secret)) return
  yield [value, instead]
  if (node.text !== undefined) yield [node.text, instead]
  if (origin?.whole === true) for (const text of origin.texts) yield [text, instead]
}

/** Users, passwords and queries of a URL; its path too, where that came from outside. */
function* hiddenInUrl(text: string, withPath: boolean): Generator<string> {
  if (!text.includes('://') || !URL.canParse(text)) return
  const { username, password, search, searchParams, pathname } = new URL(text)
  yield* [username, password, decoded(username), decoded(password), search.slice(1), ...searchParams.values()]
  if (withPath) yield pathname.replaceAll(/^\/|\/$/g, '')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Values beyond this many characters are not looked through. */
const longest = 64 * 1024

/**
 * Whether a message may hold a part of a value: pieces of `length` characters, all of a shorter one, or the digits of a
 * number. Messages are made by schemas and components, and say what they like.
 */
export function mayReveal(message: string, value: string, length = 3): boolean {
  const told = message.toLowerCase()
  const hidden = value.trim().toLowerCase()
  if (hidden === '') return false
  if (hidden.length > longest) return true
  if (/\d/.test(hidden) && hidden.length <= 20 && /\d/.test(told) && length <= 3) return true
  if (hidden.length <= length) return told.includes(hidden)
  for (let i = 0; i + length <= hidden.length; i++) if (told.includes(hidden.slice(i, i + length))) return true
  return false
}
