import { expect, test, vi } from 'vitest'
import { AuthError } from '../../../core/auth.ts'
import { Gatekeeper } from '../../../extensions/basicauth/gatekeeper.ts'
import { type Htpasswd, parseHtpasswd, type Verify } from '../../../extensions/basicauth/htpasswd.ts'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const ask = (gate: Gatekeeper, value: string | undefined) =>
  gate.authenticate(name => (name === 'authorization' ? value : undefined))

test.each([
  ['the right name and password', basic('shop:se:cret')],
  ['the scheme in another case', basic('shop:se:cret').replace('Basic', 'bAsIc')],
])('%s come in, and are known by name alone', (_what, value) => {
  const identity = ask(new Gatekeeper(() => parseHtpasswd('shop:se:cret')), value)
  expect([...identity]).toEqual([['username', 'shop']])
})

test.each([
  ['nothing', undefined, 'are missing'],
  ['another scheme', 'Bearer abc', 'not of the scheme Basic'],
  ['no base64', 'Basic ???', 'not of the scheme Basic'],
  ['no colon', `Basic ${Buffer.from('shop').toString('base64')}`, 'not of the scheme Basic'],
  ['a wrong password', basic('shop:wrong'), 'is wrong'],
  ['a wrong name', basic('bank:secret'), 'is wrong'],
  ['an empty password', basic('shop:'), 'is wrong'],
  ['a name of a property of objects', basic('__proto__:secret'), 'is wrong'],
])('%s does not come in, and is told which scheme does', (_what, value, message) => {
  const gate = new Gatekeeper(() => parseHtpasswd('shop:secret'))
  const attempt = () => ask(gate, value)
  expect(attempt).toThrow(AuthError)
  expect(attempt).toThrow(message)
  try {
    attempt()
  } catch (error) {
    expect((error as AuthError).challenge).toMatch(/^Basic realm="/)
    expect((error as AuthError).message).not.toMatch(/shop|bank|secret/)
  }
})

const fileWith = (verify: Verify): Htpasswd => ({
  users: new Map([['shop', { identity: new Map([['username', 'shop']]), verify }]]),
  faults: [],
})

test('right credentials are checked once, wrong ones each time, and all anew when the file changes', () => {
  const verify = vi.fn((password: Buffer) => String(password) === 'secret')
  let file = fileWith(verify)
  const gate = new Gatekeeper(() => file)
  for (let i = 0; i < 5; i++) ask(gate, basic('shop:secret'))
  expect(verify).toHaveBeenCalledTimes(1)
  for (let i = 0; i < 3; i++) expect(() => ask(gate, basic('shop:wrong'))).toThrow('is wrong')
  expect(verify).toHaveBeenCalledTimes(4)
  file = fileWith(() => false)
  expect(() => ask(gate, basic('shop:secret'))).toThrow('is wrong')
})

test('one user is one value however often it comes, so that what it sent can be put together', () => {
  const file = parseHtpasswd('shop:secret')
  const gate = new Gatekeeper(() => file)
  expect(ask(gate, basic('shop:secret'))).toBe(ask(gate, 'basic  ' + basic('shop:secret').slice(6)))
})

test('a name that is not there takes a check as one that is', () => {
  const verify = vi.fn(() => true)
  const gate = new Gatekeeper(() => fileWith(verify))
  expect(() => ask(gate, basic('nobody:secret'))).toThrow('is wrong')
  expect(verify).toHaveBeenCalledTimes(1)
})

test('whoever guesses passwords gets no more than a share of the time; who is known waits for nobody', () => {
  const slow = (password: Buffer): boolean => {
    const end = performance.now() + 30
    while (performance.now() < end);
    return String(password) === 'secret'
  }
  const file = fileWith(slow)
  const gate = new Gatekeeper(() => file)
  ask(gate, basic('shop:secret'))
  const began = performance.now()
  const kinds = Array.from({ length: 200 }, (_, i) => {
    try {
      ask(gate, basic(`shop:guess${i}`))
      return 'in'
    } catch (error) {
      return error instanceof AuthError ? 'wrong' : 'again'
    }
  })
  expect(performance.now() - began).toBeLessThan(2500)
  expect(kinds).not.toContain('in')
  expect(kinds.at(-1)).toBe('again')
  expect(kinds.filter(kind => kind === 'wrong').length).toBeLessThan(60)
  expect(ask(gate, basic('shop:secret')).get('username')).toBe('shop')
})

test('thousands of different credentials leave a bounded memory behind', () => {
  const file = fileWith(() => true)
  const gate = new Gatekeeper(() => file)
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 20_000; i++) ask(gate, basic(`shop:${i}${'x'.repeat(1000)}`))
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 << 20)
})
