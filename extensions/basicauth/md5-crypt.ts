/** The MD5-based crypt(3) of FreeBSD (`$1$`) and Apache's variant of it (`$apr1$`), which `htpasswd` writes by default. */
import { hash } from 'node:crypto'

const letters = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** The order in which bytes of the digest are written, three at a time. */
const order = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
] as const
const rounds = 1000

const md5 = (parts: readonly Uint8Array[]): Buffer => hash('md5', Buffer.concat(parts), 'buffer')

/** The hash of `password`, as it stands behind the salt. `magic` is `$apr1$` or `$1$`. */
export function md5Crypt(password: Buffer, salt: string, magic: string): string {
  const seasoning = Buffer.from(salt, 'latin1')
  const inner = md5([password, seasoning, password])
  const start = [password, Buffer.from(magic), seasoning]
  for (let left = password.length; left > 0; left -= 16) start.push(inner.subarray(0, Math.min(16, left)))
  for (let bits = password.length; bits > 0; bits >>= 1) {
    start.push(bits & 1 ? Buffer.alloc(1) : password.subarray(0, 1))
  }
  let digest = md5(start)
  for (let round = 0; round < rounds; round++) {
    const odd = (round & 1) === 1
    const parts: Buffer[] = [odd ? password : digest]
    if (round % 3 !== 0) parts.push(seasoning)
    if (round % 7 !== 0) parts.push(password)
    parts.push(odd ? digest : password)
    digest = md5(parts)
  }
  let text = ''
  for (const [a, b, c] of order) {
    text += encode((digest.readUInt8(a) << 16) | (digest.readUInt8(b) << 8) | digest.readUInt8(c), 4)
  }
  return text + encode(digest.readUInt8(11), 2)
}

function encode(value: number, count: number): string {
  let text = ''
  for (let i = 0; i < count; i++) text += letters[(value >> (6 * i)) & 63]
  return text
}
