import { expect, test } from 'vitest'
import { parseHtpasswd } from '../../../extensions/basicauth/htpasswd.ts'

const long = 'a much longer password than sixteen bytes ü'

/** Made by `openssl passwd`, glibc's crypt, and the test vectors of the bcrypt paper's implementation. */
const hashes: [what: string, password: string, hash: string][] = [
  ['apr1', 'secret', '$apr1$mBWMTFb9$Oqr0lqeYvlfQogrCouErF/'],
  ['apr1 with a short salt and a long password', long, '$apr1$abc$50MyJ7OKchL0mF7rzcet8.'],
  ["crypt's MD5", 'secret', '$1$xyz$Qia9Wq6FxQkYcwNWMk/RM0'],
  ['bcrypt', 'secret', '$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'],
  ['bcrypt as `htpasswd -B` marks it', 'secret', '$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'],
  ['bcrypt of nothing', '', '$2b$05$abcdefghijklmnopqrstuu0oImNDIy4flhldV9YqunRgBAePKmw7m'],
  ['bcrypt of more than counts', 'x'.repeat(80), '$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q'],
  ['bcrypt of letters beyond ASCII', 'pässwörd', '$2b$05$abcdefghijklmnopqrstuuZVEMa1pjhlynBQ1qXmSvGBJpN9h1w8G'],
  ['bcrypt with the salt of the paper', 'U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['SHA-1', 'secret', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='],
  ['salted SHA-1', 'secret', '{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0'],
  ['plain text', 'secret', 'secret'],
  ['plain text with a colon', 'se:cret', 'se:cret'],
]

test.each(hashes)('%s: the password is known, and no other', (_what, password, hash) => {
  const { users, faults } = parseHtpasswd(`shop:${hash}`)
  expect(faults).toEqual([])
  const verify = users.get('shop')?.verify
  expect(verify?.(Buffer.from(password))).toBe(true)
  for (const wrong of [`${password}!`.slice(-70), `X${password.slice(1)}`, hash])
    if (wrong !== password) expect(verify?.(Buffer.from(wrong)), wrong).toBe(false)
})

test.each([
  ['a line without a colon', 'nobody', 'line 2: it is not `name:hash`'],
  ['a line without a name', ':secret', 'line 2: it is not `name:hash`'],
  ["crypt's SHA-512", 'bob:$6$salt$hash', 'line 2: the hash `$6$…` is not one of bcrypt'],
  ['argon2', 'bob:$argon2id$v=19$x', 'line 2: the hash `$argon2id$…` is not one of bcrypt'],
  ['another scheme in braces', 'bob:{PBKDF2}xyz', 'line 2: the hash `{PBKDF2}…` is not one of bcrypt'],
  ['bcrypt that was cut off', 'bob:$2y$05$abcdefghijklmnopqrstuuOQiy', 'line 2: its hash is cut off'],
  ['apr1 that was cut off', 'bob:$apr1$mBWMTFb9$Oqr0', 'line 2: its hash is cut off'],
  ['SHA-1 that was cut off', 'bob:{SHA}5en6G6MezRro', 'line 2: its hash is cut off'],
  [
    'bcrypt that would take seconds',
    'bob:$2y$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a',
    'line 2: bcrypt with a cost of 31',
  ],
])('%s is told with its line and without its secret, and the others count', (_what, line, expected) => {
  const { users, faults } = parseHtpasswd(
    `alice:secret\n${line}\n# a remark\n\n carol:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ= `,
  )
  expect(faults).toHaveLength(1)
  expect(faults[0]).toContain(expected)
  expect(faults[0]).not.toContain('Oqr0')
  expect([...users.keys()]).toEqual(['alice', 'carol'])
})

test('of two lines for one user the later one counts', () => {
  const { users } = parseHtpasswd('shop:old\nshop:new')
  expect(users.get('shop')?.verify(Buffer.from('new'))).toBe(true)
  expect(users.get('shop')?.verify(Buffer.from('old'))).toBe(false)
})
