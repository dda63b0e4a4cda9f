import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { AuthError } from '../../core/auth.ts'
import { bearertokenauth } from '../../extensions/bearertokenauth.ts'
import { complaintsOf, extensionOf, from } from '../support/extending.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-bearer-'))
afterAll(() => rmSync(folder, { recursive: true }))
const open: { stop(): unknown }[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const one of open.splice(0)) await one.stop()
})

function made(config: object) {
  const one = extensionOf(bearertokenauth, config)
  open.push(one)
  const ask = (headers: Record<string, string>) => {
    try {
      return one.extension.server?.authenticate(name => headers[name], '') === undefined ? 'no server' : 'in'
    } catch (error) {
      return error instanceof AuthError ? error : 'again'
    }
  }
  const sent = () => one.extension.client?.headers(from(), {})
  return { ...one, ask, sent }
}

test.each([
  ['nothing', {}, 'set one of `token`, `tokens` and `filename`'],
  ['both forms', { token: 'a', tokens: ['b'] }, 'set `token` or `tokens`, not both'],
  ['a token with a line break', { token: 'a\nb' }, 'token: has a character that headers cannot carry'],
  ['a header that is none', { token: 'a', header: 'a b' }, 'header: is no name of a header'],
])('a configuration with %s is refused', (_what, config, message) => {
  expect(complaintsOf(bearertokenauth, config).join()).toContain(message)
})

test('a token never prints', () => {
  expect(JSON.stringify(bearertokenauth.config.parse({ tokens: ['hidden'] }))).not.toContain('hidden')
})

test.each<[string, object, Record<string, string>]>([
  ['the token', { token: 'abc' }, { authorization: 'Bearer abc' }],
  ['with another scheme', { token: 'abc', scheme: 'Token' }, { authorization: 'Token abc' }],
  ['without a scheme, in another header', { token: 'abc', scheme: '', header: 'X-API-Key' }, { 'x-api-key': 'abc' }],
  ['the first of several', { tokens: ['abc', 'def'] }, { authorization: 'Bearer abc' }],
])('%s is sent, and let in', (_what, config, headers) => {
  const one = made(config)
  expect(one.sent()).toEqual(headers)
  expect(one.ask(headers)).toBe('in')
})

test('each of several tokens comes in', () => {
  const { ask } = made({ tokens: ['abc', 'def'] })
  expect(ask({ authorization: 'Bearer def' })).toBe('in')
})

test.each<[string, Record<string, string>, string]>([
  ['no header', {}, 'the header authorization is missing'],
  ['another token', { authorization: 'Bearer abd' }, 'the token is wrong'],
  ['a part of the token', { authorization: 'Bearer ab' }, 'the token is wrong'],
  ['more than the token', { authorization: 'Bearer abc ' }, 'the token is wrong'],
  ['no scheme', { authorization: 'abc' }, 'the token is wrong'],
  ['another scheme', { authorization: 'Basic abc' }, 'the token is wrong'],
  ['an empty header', { authorization: '' }, 'the token is wrong'],
])('%s does not come in', (_what, headers, message) => {
  const answer = made({ token: 'abc' }).ask(headers)
  expect(answer).toBeInstanceOf(AuthError)
  expect(answer).toMatchObject({ message, challenge: 'Bearer' })
})

test('a file is read again when it changes, also as a link that is replaced, and an empty one is not taken', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  writeFileSync(join(folder, 'v1'), 'one\n')
  writeFileSync(join(folder, 'v2'), '\n two \nthree\n')
  const filename = join(folder, 'token')
  symlinkSync('v1', filename)
  const one = made({ filename, token: 'not used' })
  await one.extension.start?.()
  expect(one.lines.map(({ level }) => level)).toContain('warn')
  expect(one.sent()).toEqual({ authorization: 'Bearer one' })
  expect(one.ask({ authorization: 'Bearer not used' })).toBeInstanceOf(AuthError)
  symlinkSync('v2', join(folder, 'next'))
  renameSync(join(folder, 'next'), filename)
  vi.advanceTimersByTime(2000)
  await vi.waitFor(() => expect(one.sent()).toEqual({ authorization: 'Bearer two' }))
  expect(['two', 'three'].map(token => one.ask({ authorization: `Bearer ${token}` }))).toEqual(['in', 'in'])
  expect(one.ask({ authorization: 'Bearer one' })).toBeInstanceOf(AuthError)
  // An empty line is no token: it would let in whoever sends none.
  expect(one.ask({ authorization: 'Bearer ' })).toBeInstanceOf(AuthError)
  writeFileSync(filename, '\n\n')
  vi.advanceTimersByTime(2000)
  await vi.waitFor(() => expect(one.status.state).toBe('RecoverableError'))
  expect(one.status.lastError).toContain('it has no token')
  expect(one.ask({ authorization: 'Bearer two' })).toBe('in')
})

test('as long as there is no file nobody comes in, and nothing is sent', async () => {
  const one = made({ filename: join(folder, 'nowhere') })
  await one.extension.start?.()
  expect(one.ask({ authorization: 'Bearer x' })).toBe('again')
  expect(() => one.sent()).toThrow('nowhere')
  expect(one.status.state).toBe('RecoverableError')
})
