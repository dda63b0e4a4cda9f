import { afterEach, expect, test, vi } from 'vitest'
import { AuthError, type Identity } from '../../../core/auth.ts'
import { machineClock } from '../../../core/clock.ts'
import { Gatekeeper } from '../../../extensions/basicauth/gatekeeper.ts'
import { Hasher } from '../../../extensions/basicauth/hasher.ts'
import { type Htpasswd, parseHtpasswd } from '../../../extensions/basicauth/htpasswd.ts'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
/** What is asked, as a promise in any case. */
async function ask(gate: Gatekeeper, value: string | undefined, peer = '10.0.0.1:1'): Promise<Identity> {
  const answer = gate.authenticate(name => (name === 'authorization' ? value : undefined), peer)
  return 'identity' in answer ? answer.identity : answer
}

const open: Gatekeeper[] = []
afterEach(() => {
  vi.restoreAllMocks()
  for (const gate of open.splice(0)) gate.stop()
})
function gateOf(file: () => Htpasswd): Gatekeeper {
  const gate = new Gatekeeper(file, machineClock)
  open.push(gate)
  return gate
}

const secret = '$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a'
const slow = '$2b$12$abcdefghijklmnopqrstuuT1Iwu6o8Wx7BoOyIMHfgVJq6JO/IJhW'
const apr1 = '$apr1$mBWMTFb9$Oqr0lqeYvlfQogrCouErF/'

test.each([
  ['the right name and password', basic('shop:se:cret')],
  ['the scheme in another case', basic('shop:se:cret').replace('Basic', 'bAsIc')],
])('%s come in at once, and are known by name alone', (_what, value) => {
  const identity = gateOf(() => parseHtpasswd('shop:se:cret')).authenticate(() => value, '')
  expect(identity).toEqual(new Map([['username', 'shop']]))
})

const wrongOnes: [string, string | undefined][] = [
  ['nothing', undefined],
  ['an empty header', ''],
  ['another scheme', 'Bearer abc'],
  ['no base64', 'Basic ???'],
  ['no colon', `Basic ${Buffer.from('shop').toString('base64')}`],
  ['a wrong password', basic('shop:wrong')],
  ['a wrong name', basic('bank:secret')],
  ['a name of another line', basic('# shop:secret')],
  ['no name', basic(':secret')],
  ['an empty password', basic('shop:')],
  ['a password longer than any', basic(`shop:${'x'.repeat(1025)}`)],
  ['a name of a property of objects', basic('__proto__:secret')],
]

test.each(['secret', secret, apr1].flatMap(line => wrongOnes.map(([what, value]) => [what, line, value] as const)))(
  '%s does not come in beside %s, and hears the same as all others',
  async (_what, line, value) => {
    const error = await ask(
      gateOf(() => parseHtpasswd(`shop:${line}`)),
      value,
    ).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(AuthError)
    expect((error as AuthError).message).toBe('the name or the password is missing or wrong')
    expect((error as AuthError).challenge).toMatch(/^Basic realm="/)
  },
)

test('a file without a user lets nobody in', async () => {
  await expect(
    ask(
      gateOf(() => parseHtpasswd('')),
      basic('shop:secret'),
    ),
  ).rejects.toThrow()
})

test('right credentials are hashed once, wrong ones each time, whatever changes for others in the file', async () => {
  const hashed = vi.spyOn(Hasher.prototype, 'hash')
  let file = parseHtpasswd(`shop:${secret}`)
  const gate = gateOf(() => file)
  const identity = await ask(gate, basic('shop:secret'))
  // Without a promise from now on, and the same value, so that what it sent can be put together.
  const again = () => gate.authenticate(() => basic('shop:secret').replace('Basic', 'basic '), '')
  expect(again()).toBe(identity)
  expect(hashed).toHaveBeenCalledTimes(1)
  for (let i = 0; i < 3; i++) await expect(ask(gate, basic('shop:wrong'))).rejects.toThrow('wrong')
  expect(hashed).toHaveBeenCalledTimes(4)
  file = parseHtpasswd(`bank:${secret}\nshop:${secret}`, file)
  expect(again()).toBe(identity)
  file = parseHtpasswd(`bank:${secret}\nshop:${secret.replace('$2b', '$2y')}`, file)
  expect((await ask(gate, basic('shop:secret'))).get('username')).toBe('shop')
  expect(hashed).toHaveBeenCalledTimes(5)
  file = parseHtpasswd(`bank:${secret}`, file)
  await expect(ask(gate, basic('shop:secret'))).rejects.toThrow('wrong')
})

test('who was taken out of the file while the password was checked does not come in', async () => {
  let file = parseHtpasswd(`shop:${secret}`)
  const pending = ask(
    gateOf(() => file),
    basic('shop:secret'),
  )
  file = parseHtpasswd(`bank:${secret}`, file)
  await expect(pending).rejects.toThrow('has changed')
})

test('the same credentials from many connections at once are hashed once', async () => {
  const hashed = vi.spyOn(Hasher.prototype, 'hash')
  const file = parseHtpasswd(`shop:${secret}`)
  const gate = gateOf(() => file)
  const all = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(gate, basic('shop:secret'), `10.0.0.1:${i}`)))
  expect(new Set(all).size).toBe(1)
  expect(hashed).toHaveBeenCalledTimes(1)
})

test('a name that is not there is hashed as one that is, always with the same recipe', async () => {
  const hashed = vi.spyOn(Hasher.prototype, 'hash')
  const file = parseHtpasswd(`shop:${secret}\nbank:${apr1}`)
  const gate = gateOf(() => file)
  const recipes = new Set<unknown>()
  for (const name of Array.from({ length: 40 }, (_, i) => `nobody${i}`)) {
    hashed.mockClear()
    for (const password of ['secret', 'other'])
      await expect(ask(gate, basic(`${name}:${password}`), `${name}:1`)).rejects.toThrow('wrong')
    const used = hashed.mock.calls.map(([, recipe]) => recipe)
    expect(used[0]).toBe(used[1])
    recipes.add(used[0])
  }
  // Some take as long as one user, some as the other: neither is what names have that are not there.
  expect(recipes.size).toBe(2)
})

test('a check ends with the last request that waits for it', async () => {
  const ended = vi.spyOn(Hasher.prototype, 'end')
  const file = parseHtpasswd(`shop:${slow}\nbank:${secret}`)
  const gate = gateOf(() => file)
  const waits = [1, 2].map(port => gate.authenticate(() => basic('shop:x'), `10.0.0.1:${port}`))
  const [first, second] = waits.map(wait => {
    if (!('identity' in wait)) throw new Error('it is to take a while')
    wait.identity.catch(() => {})
    return wait
  })
  first.cancel()
  expect(ended).not.toHaveBeenCalled()
  second.cancel()
  expect(ended).toHaveBeenCalledOnce()
  expect((await ask(gate, basic('bank:secret'))).get('username')).toBe('bank')
})

test('whoever guesses passwords for one name is asked to come again; others get in, and so does who is known', async () => {
  const file = parseHtpasswd(`shop:${secret}\nbank:${secret}`)
  const gate = gateOf(() => file)
  await ask(gate, basic('shop:secret'))
  const guesses = Array.from({ length: 200 }, (_, i) => ask(gate, basic(`shop:guess${i}`), `10.0.0.2:${i}`))
  const kinds = Promise.all(
    guesses.map(one =>
      one.then(
        () => 'in',
        error => (error instanceof AuthError ? 'wrong' : 'again'),
      ),
    ),
  )
  // The same host, the same name elsewhere, and who came in before.
  const others: [string, string][] = [
    ['bank', '10.0.0.2:9'],
    ['shop', '10.0.0.3:9'],
    ['bank', '10.0.0.4:9'],
  ]
  const identities = await Promise.all(others.map(([name, peer]) => ask(gate, basic(`${name}:secret`), peer)))
  expect(identities.map(one => one.get('username'))).toEqual(others.map(([name]) => name))
  expect(gate.authenticate(() => basic('shop:secret'), '10.0.0.2:9')).toBeInstanceOf(Map)
  const counts = Object.groupBy(await kinds, kind => kind)
  expect(counts['in']).toBeUndefined()
  expect(counts['wrong']?.length).toBeLessThan(10)
})
