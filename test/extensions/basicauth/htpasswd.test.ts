import { afterAll, expect, test } from 'vitest'
import { Hasher } from '../../../extensions/basicauth/hasher.ts'
import { parseHtpasswd, type User, whyNobody } from '../../../extensions/basicauth/htpasswd.ts'

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

const hasher = new Hasher()
afterAll(() => hasher.stop())

async function isRight({ proof }: User, password: string): Promise<boolean> {
  if (proof.speed === 'fast') return proof.verify(Buffer.from(password))
  const { hash } = await hasher.hash(new TextEncoder().encode(password), proof.recipe)
  return hash === proof.hash
}

test.each(hashes)('%s: the password is known, and no other', async (_what, password, hash) => {
  const { users, faults } = parseHtpasswd(`shop:${hash}`)
  expect(faults).toEqual([])
  const user = users.get('shop')!
  expect(await isRight(user, password)).toBe(true)
  for (const wrong of [`${password}!`.slice(-70), `X${password.slice(1)}`, hash])
    if (wrong !== password) expect(await isRight(user, wrong), wrong).toBe(false)
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
  ['no password', 'bob:', 'line 2: it has no password: whoever knows the name would come in'],
  ['a password of blanks', 'bob:   ', 'line 2: it has no password'],
  ["crypt's DES", 'bob:rqXexS6ZhobKA', "line 2: it looks like a hash of crypt's DES, which is not supported"],
  ['DES of more rounds', 'bob:_J9..rasmBYk8r9AiWNc', "line 2: it looks like a hash of crypt's DES"],
  [
    'bcrypt that takes no time',
    'bob:$2y$03$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a',
    'line 2: bcrypt with a cost of 3',
  ],
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

test('of two lines for one user the later one counts', async () => {
  const shop = parseHtpasswd('shop:old\nshop:new').users.get('shop')!
  expect(await isRight(shop, 'new')).toBe(true)
  expect(await isRight(shop, 'old')).toBe(false)
})

test('whose line stays is the same user in the next version of a file, whose line changes is another', () => {
  const before = parseHtpasswd('shop:one\nbank:two')
  const after = parseHtpasswd('bank:two\n# moved\nshop:three', before)
  expect(after.users.get('bank')).toBe(before.users.get('bank'))
  expect(after.users.get('shop')).not.toBe(before.users.get('shop'))
  expect(after.list).toHaveLength(2)
})

test('what is found with little work by whoever reads the file is told, without what it is', () => {
  const { weak } = parseHtpasswd(hashes.map(([, , hash], i) => `user${i}:${hash}`).join('\n'))
  expect(weak.map(line => line.split(';')[0])).toEqual([
    'line 10: SHA-1 without a salt is found by looking it up',
    'line 11: SHA-1 is fast to guess',
    'line 12: the password is plain text',
    'line 13: the password is plain text',
  ])
})

test.each([
  ['', 'it names no user'],
  ['# nobody yet\n\n', 'it names no user'],
  ['shop:\nbank:', 'line 1: it has no password: whoever knows the name would come in; line 2:'],
])('a file %j lets nobody in, and says why', (text, why) => {
  expect(whyNobody(parseHtpasswd(text))).toContain(why)
})
