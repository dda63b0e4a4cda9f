/** Password files as Apache's `htpasswd` writes them: a line for each user, `name:hash`. */
import { hash, timingSafeEqual } from 'node:crypto'
import type { Identity } from '../../core/auth.ts'
import { bcrypt, BcryptTables } from './bcrypt.ts'
import { md5Crypt } from './md5-crypt.ts'

/** Says whether a password is the one that was hashed. */
export type Verify = (password: Buffer) => boolean

/** One user. */
export interface User {
  readonly identity: Identity
  readonly verify: Verify
}

/** What a password file says. */
export interface Htpasswd {
  readonly users: ReadonlyMap<string, User>
  /** Lines that cannot be used, and why; never with what is secret in them. */
  readonly faults: readonly string[]
}

/** A higher cost would stop everything else for half a second and more, each time. */
const highestCost = 12

/** Reads a password file. Of two lines for one user the later one counts. */
export function parseHtpasswd(text: string): Htpasswd {
  const users = new Map<string, User>()
  const faults: string[] = []
  const lazyTables = { made: undefined as BcryptTables | undefined }
  const tables = () => (lazyTables.made ??= new BcryptTables())
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const verify = colon < 1 ? 'it is not `name:hash`' : verifierOf(line.slice(colon + 1), tables)
    if (typeof verify === 'string') faults.push(`line ${index + 1}: ${verify}`)
    else users.set(name, { identity: new Map([['username', name]]), verify })
  }
  return { users, faults }
}

function verifierOf(hashed: string, tables: () => BcryptTables): Verify | string {
  const [, magic = '', salt = '', digest = ''] = /^(\$apr1\$|\$1\$)([^$]{0,8})\$(.{22})$/.exec(hashed) ?? []
  if (magic !== '') return password => sameText(md5Crypt(password, salt, magic), digest)
  const blowfish = /^\$2[abxy]\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/.exec(hashed)
  if (blowfish !== null) return bcryptVerifier(Number(blowfish[1]), blowfish[2], blowfish[3], tables)
  if (/^\$(?:apr1|1|2[abxy])\$/.test(hashed)) return 'its hash is cut off, or longer than it should be'
  if (hashed.startsWith('{SHA}')) return shaVerifier(hashed.slice(5), false)
  if (hashed.startsWith('{SSHA}')) return shaVerifier(hashed.slice(6), true)
  const scheme = /^(?:\$[^$]*\$?|\{[^}]*\})/.exec(hashed)?.[0]
  if (scheme === undefined) return password => sameBytes(password, Buffer.from(hashed))
  return `the hash \`${scheme}…\` is not one of bcrypt, \`$apr1$\`, \`$1$\`, \`{SHA}\`, \`{SSHA}\`; make it with \`htpasswd -B\``
}

function bcryptVerifier(cost: number, salt: string, digest: string, tables: () => BcryptTables): Verify | string {
  if (cost >= 4 && cost <= highestCost) return password => sameText(bcrypt(password, { cost, salt }, tables()), digest)
  return `bcrypt with a cost of ${cost} would stop everything else while it is checked; use at most ${highestCost}`
}

function shaVerifier(encoded: string, salted: boolean): Verify | string {
  const bytes = Buffer.from(encoded, 'base64')
  const digest = bytes.subarray(0, 20)
  const salt = bytes.subarray(20)
  if (digest.length < 20 || salt.length > 0 !== salted) return 'its hash is cut off, or longer than it should be'
  return password => timingSafeEqual(hash('sha1', Buffer.concat([password, salt]), 'buffer'), digest)
}

/** Whether two texts are the same, in a time that does not tell where they differ. */
export function sameText(a: string, b: string): boolean {
  return sameBytes(Buffer.from(a), Buffer.from(b))
}

function sameBytes(a: Buffer, b: Buffer): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))
}
