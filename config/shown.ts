/** What may be shown of the values of a configuration, and what is shown in place of the others. */
import { Concealed } from '../core/concealed.ts'
import { redacted } from '../core/fields.ts'
import type { Node, ScalarNode } from './document.ts'
import { bareReference, maskUrl } from './masking.ts'

/** A single value as it may be shown: what came from outside as its reference, secrets and those of URLs not at all. */
export function shown({ origin, secret, value, text }: ScalarNode): ScalarNode['value'] {
  if (value === null && origin === undefined && text === undefined) return null
  if (origin !== undefined && !origin.whole) return redacted
  if (secret) return origin !== undefined && bareReference.test(origin.written) ? origin.written : redacted
  if (origin !== undefined) return maskUrl(origin.written)
  return typeof value === 'string' ? maskUrl(value) : value
}

/** Keys whose values say where something is: whoever looks for a fault has to know, so these are told while it runs. */
const address = /(?:^|_)(?:endpoint|address|host|hostname|port|url)$/i

/** What nobody may tell of these sections while they run, with what is told instead. */
export function concealedOf(...nodes: readonly Node[]): Concealed {
  return new Concealed(nodes.flatMap(node => [...concealedIn(node, undefined)]))
}

function* concealedIn(node: Node, key: string | undefined): Generator<[value: string, instead: string]> {
  if (node.kind === 'map') {
    for (const [name, { value }] of node.entries) yield* concealedIn(value, name)
    const [username, password] = ['username', 'password'].map(name => textOf(node.entries.get(name)?.value))
    if (password !== undefined) yield [basicCredentials(username ?? '', password), redacted]
  }
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
  if (password !== '') yield basicCredentials(decoded(username), decoded(password))
  if (withPath) yield pathname.replaceAll(/^\/|\/$/g, '')
}

const textOf = (node: Node | undefined): string | undefined =>
  node?.kind === 'scalar' && node.value !== null ? (node.text ?? String(node.value)) : undefined

/** As they are sent: RFC 7617. */
const basicCredentials = (username: string, password: string): string =>
  Buffer.from(`${username}:${password}`).toString('base64')

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
