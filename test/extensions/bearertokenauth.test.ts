import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { AuthError, serverAuthenticatorKey } from '../../core/auth.ts'
import { offeredBy } from '../../core/capability.ts'
import { components } from '../support/components.ts'
import { ConfigErrors, loadConfig } from '../../config/load.ts'
import { Secret } from '../../core/fields.ts'
import { bearertokenauth } from '../../extensions/bearertokenauth.ts'
import { MovableClock } from '../support/clock.ts'
import { complaintsOf, extensionOf, from } from '../support/extending.ts'
import { componentContext } from '../support/contexts.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-bearer-'))
afterAll(() => rmSync(folder, { recursive: true }))
const open: { stop(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop()
})

function made(config: object) {
  const clock = new MovableClock()
  const one = extensionOf(bearertokenauth, config, { clock })
  open.push(one)
  const ask = (headers: Record<string, string>) => {
    try {
      return one.server?.authenticate(name => headers[name], '') === undefined ? 'no server' : 'in'
    } catch (error) {
      return error instanceof AuthError ? error : 'again'
    }
  }
  const sent = () => one.client?.headers(from(), {})
  /** Until the file was looked at again. */
  const look = () => clock.advance(2000)
  return { ...one, ask, sent, look }
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

test.each<[string, Record<string, string>]>([
  ['no header', {}],
  ['another token', { authorization: 'Bearer abd' }],
  ['a part of the token', { authorization: 'Bearer ab' }],
  ['more than the token', { authorization: 'Bearer abc ' }],
  ['no scheme', { authorization: 'abc' }],
  ['another scheme', { authorization: 'Basic abc' }],
  ['an empty header', { authorization: '' }],
  ['a scheme without a token', { authorization: 'Bearer ' }],
  ['blanks', { authorization: '  ' }],
])('%s does not come in, and is told no more than any other', (_what, headers) => {
  const answer = made({ token: 'abc' }).ask(headers)
  expect(answer).toBeInstanceOf(AuthError)
  const message = 'the header authorization has no token that is let in'
  expect(answer).toMatchObject({ message, challenge: 'Bearer' })
})

const emptyFile = join(folder, 'empty')
writeFileSync(emptyFile, '\n \n')
const largeFile = join(folder, 'large')
writeFileSync(largeFile, 'x'.repeat((1 << 20) + 1))

test.each<[string, object, string]>([
  ['an empty token', { token: '' }, 'token: it is empty, and an empty credential is none; set the variable'],
  ['a token of blanks', { token: ' \t' }, 'token: it is empty'],
  ['an empty token beside a good one', { scheme: '', tokens: ['abc', ''] }, 'tokens.1: it is empty'],
  ['a file that is empty', { filename: emptyFile }, 'filename: cannot use'],
  ['a file that is empty beside a token', { filename: emptyFile, token: 'abc' }, 'it has no token'],
  ['a folder as a file', { filename: folder }, 'it is no file'],
  ['a device as a file', { filename: '/dev/zero' }, 'it is no file'],
  ['a file without bounds', { filename: largeFile }, 'it is larger than 1048576 bytes'],
])('a configuration with %s is refused: it would let in whoever sends nothing', (_what, config, message) => {
  expect(complaintsOf(bearertokenauth, config).join()).toContain(message)
})

test.each(['', '   '])('the header %j is equal to no token, were there such a token', value => {
  const config = bearertokenauth.config.parse({ header: 'x-api-key', scheme: '', token: 'abc' }) as object
  const context = componentContext({ id: 'a' })
  const extension = bearertokenauth.create({ ...config, token: new Secret(value) } as never, context)
  const server = offeredBy(extension, serverAuthenticatorKey)
  expect(server).toBeDefined()
  expect(() => server?.authenticate(() => value, '')).toThrow('has no token that is let in')
})

const documented = (variables: object) => {
  const yaml = `receivers: {otlp: {protocols: {http: {auth: {authenticator: bearertokenauth}}}}}
exporters: {nop: {}}
extensions:
  bearertokenauth:
    header: X-API-Key
    scheme: ""
    tokens: ["\${env:KEY}", "\${env:OLD_KEY}"]
service: {extensions: [bearertokenauth], pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}`
  try {
    loadConfig({ sources: [`yaml:${yaml}`], components, env: { ...variables } })
    return []
  } catch (error) {
    if (!(error instanceof ConfigErrors)) throw error
    return error.errors
  }
}

test('our example with a variable that is empty or not there is an error with its place and the way out', () => {
  expect(documented({ KEY: 'abc', OLD_KEY: 'def' })).toEqual([])
  for (const OLD_KEY of [undefined, '', ' ']) {
    const errors = documented({ KEY: 'abc', ...(OLD_KEY === undefined ? {} : { OLD_KEY }) })
    expect(errors).toHaveLength(1)
    expect(errors[0].position).toMatchObject({ line: 7, column: 29 })
    expect(`${errors[0].message} ${errors[0].hint}`).toMatch(/set (?:it|the variable)/)
  }
})

test('a file is read again when it changes, also as a link that is replaced, and an empty one lets nobody in', async () => {
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
  await one.look()
  expect(one.sent()).toEqual({ authorization: 'Bearer two' })
  expect(['two', 'three'].map(token => one.ask({ authorization: `Bearer ${token}` }))).toEqual(['in', 'in'])
  expect(one.ask({ authorization: 'Bearer one' })).toBeInstanceOf(AuthError)
  // An empty line is no token: it would let in whoever sends none.
  expect(one.ask({ authorization: 'Bearer ' })).toBeInstanceOf(AuthError)
  writeFileSync(filename, '\n\n')
  await one.look()
  expect(one.status.state).toBe('RecoverableError')
  expect(one.status.lastError).toContain('it has no token')
  // To empty it is how tokens are taken back: nobody comes in, nothing is sent.
  expect(one.ask({ authorization: 'Bearer two' })).toBe('again')
  expect(one.ask({ authorization: 'Bearer ' })).toBe('again')
  expect(() => one.sent()).toThrow('it has no token')
  writeFileSync(filename, 'four')
  await one.look()
  expect(one.ask({ authorization: 'Bearer four' })).toBe('in')
  expect(one.status.state).toBe('OK')
})

test('as long as there is no file nobody comes in, and nothing is sent', async () => {
  const one = made({ filename: join(folder, 'nowhere') })
  await one.extension.start?.()
  expect(one.ask({ authorization: 'Bearer x' })).toBe('again')
  expect(() => one.sent()).toThrow('nowhere')
  expect(one.status.state).toBe('RecoverableError')
})
