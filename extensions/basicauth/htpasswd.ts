/** Password files as Apache's `htpasswd` writes them: a line for each user, `name:hash`. */
import { hash, timingSafeEqual } from 'node:crypto'
import type { Identity } from '../../core/auth.ts'
import type { Recipe } from './hash-thread.ts'

/** How it is told whether a password is the one that was hashed: at once, or by a hash that is slow on purpose. */
export type Proof =
  | { readonly speed: 'fast'; verify(password: Buffer): boolean }
  | { readonly speed: 'slow'; readonly recipe: Recipe; readonly hash: string }

/** One user. Whoever has the same line in the next version of a file is the same object. */
export interface User {
  readonly identity: Identity
  /** What stands behind the name. */
  readonly line: string
  readonly proof: Proof
}

/** What a password file says. */
export interface Htpasswd {
  readonly users: ReadonlyMap<string, User>
  /** The same users, to be counted. */
  readonly list: readonly User[]
  /** Lines that cannot be used, and why; never with what is secret in them. */
  readonly faults: readonly string[]
  /** Lines that whoever gets to read the file can undo with little work. */
  readonly weak: readonly string[]
}

/** A higher cost would keep the thread that hashes from everybody else for seconds. */
const highestCost = 14

const advice = 'make it with `htpasswd -B`'

/** Reads a password file; of two lines for one user the later one counts. `before` is what it said until now. */
export function parseHtpasswd(text: string, before?: Htpasswd): Htpasswd {
  const users = new Map<string, User>()
  const faults: string[] = []
  const weak: string[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const entry = raw.trim()
    if (entry === '' || entry.startsWith('#')) continue
    const colon = entry.indexOf(':')
    const name = entry.slice(0, colon)
    const line = entry.slice(colon + 1)
    const proof = colon < 1 ? 'it is not `name:hash`' : proofOf(line)
    if (typeof proof === 'string') {
      faults.push(`line ${index + 1}: ${proof}`)
      continue
    }
    const weakness = weaknessOf(line, proof)
    if (weakness !== undefined) weak.push(`line ${index + 1}: ${weakness}; ${advice}`)
    const known = before?.users.get(name)
    users.set(name, known?.line === line ? known : { identity: new Map([['username', name]]), line, proof })
  }
  return { users, list: [...users.values()], faults, weak }
}

/** The users of both; those of `first` go before. */
export function joined(first: Htpasswd, second: Htpasswd): Htpasswd {
  const users = new Map([...second.users, ...first.users])
  const faults = [...first.faults, ...second.faults]
  return { users, list: [...users.values()], faults, weak: [...first.weak, ...second.weak] }
}

/** Why a file lets nobody in; undefined when it lets somebody in. */
export function whyNobody({ users, faults }: Htpasswd): string | undefined {
  if (users.size > 0) return undefined
  return faults.length > 0 ? faults.join('; ') : 'it names no user; nobody could come in'
}

function proofOf(hashed: string): Proof | string {
  if (hashed.trim() === '') return 'it has no password: whoever knows the name would come in'
  const [, magic = '', salt = '', digest = ''] = /^(\$apr1\$|\$1\$)([^$]{0,8})\$(.{22})$/.exec(hashed) ?? []
  if (magic !== '') return { speed: 'slow', recipe: { scheme: 'md5', magic, salt }, hash: digest }
  const [, cost = '', seasoning = '', hash = ''] =
    /^\$2[abxy]\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/.exec(hashed) ?? []
  if (cost !== '') return bcryptProof(Number(cost), seasoning, hash)
  if (/^\$(?:apr1|1|2[abxy])\$/.test(hashed)) return 'its hash is cut off, or longer than it should be'
  if (hashed.startsWith('{SHA}')) return shaProof(hashed.slice(5), false)
  if (hashed.startsWith('{SSHA}')) return shaProof(hashed.slice(6), true)
  const scheme = /^(?:\$[^$]*\$?|\{[^}]*\})/.exec(hashed)?.[0]
  if (scheme !== undefined)
    return `the hash \`${scheme}…\` is not one of bcrypt, \`$apr1$\`, \`$1$\`, \`{SHA}\`, \`{SSHA}\`; ${advice}`
  // Taken for plain text, the hash itself would let in whoever has seen the file.
  if (/^(?:[./0-9A-Za-z]{13}|_[./0-9A-Za-z]{19})$/.test(hashed))
    return `it looks like a hash of crypt's DES, which is not supported; ${advice}`
  return { speed: 'fast', verify: password => sameBytes(password, Buffer.from(hashed)) }
}

function bcryptProof(cost: number, salt: string, hash: string): Proof | string {
  if (cost >= 4 && cost <= highestCost) return { speed: 'slow', recipe: { scheme: 'bcrypt', cost, salt }, hash }
  return `bcrypt with a cost of ${cost} would take seconds for each password that is checked; use 4 to ${highestCost}`
}

function shaProof(encoded: string, salted: boolean): Proof | string {
  const bytes = Buffer.from(encoded, 'base64')
  const digest = bytes.subarray(0, 20)
  const salt = bytes.subarray(20)
  if (digest.length < 20 || salt.length > 0 !== salted) return 'its hash is cut off, or longer than it should be'
  const verify = (password: Buffer) => timingSafeEqual(hash('sha1', Buffer.concat([password, salt]), 'buffer'), digest)
  return { speed: 'fast', verify }
}

function weaknessOf(hashed: string, { speed }: Proof): string | undefined {
  if (speed === 'slow') return undefined
  if (hashed.startsWith('{SHA}')) return 'SHA-1 without a salt is found by looking it up'
  if (hashed.startsWith('{SSHA}')) return 'SHA-1 is fast to guess'
  return 'the password is plain text'
}

/** Whether two texts are the same, in a time that does not tell where they differ. */
export function sameText(a: string, b: string): boolean {
  return sameBytes(Buffer.from(a), Buffer.from(b))
}

function sameBytes(a: Buffer, b: Buffer): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))
}
