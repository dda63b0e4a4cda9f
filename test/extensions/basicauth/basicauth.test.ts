import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { basicauth } from '../../../extensions/basicauth/basicauth.ts'
import { MovableClock } from '../../support/clock.ts'
import { complaintsOf, extensionOf, from } from '../../support/extending.ts'
import { runKymo } from '../../support/kymo.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-basicauth-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = (name: string, text?: string): string => {
  const file = join(folder, name)
  if (text !== undefined) writeFileSync(file, text)
  return file
}
const open: { stop(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop()
})

function made(config: object) {
  const clock = new MovableClock()
  const one = extensionOf(basicauth, config, { clock })
  open.push(one)
  /** Until files were looked at again. */
  const look = () => clock.advance(2000)
  return { ...one, look }
}

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const comesIn = ({ server }: ReturnType<typeof made>, pair: string): boolean => {
  try {
    return server?.authenticate(() => basic(pair), '') !== undefined
  } catch {
    return false
  }
}

test.each([
  ['nothing', {}, 'set one of `client_auth`'],
  ['both sides', { client_auth: { username: 'a' }, htpasswd: { inline: 'a:b' } }, 'set one of `client_auth`'],
  ['no passwords', { htpasswd: {} }, 'set `file` or `inline`'],
  ['a hash that is not known', { htpasswd: { inline: 'a:b\nc:$6$x$y' } }, 'htpasswd.inline: line 2: the hash `$6$…`'],
  ['a name with a colon', { client_auth: { username: 'a:b', password: 'c' } }, 'must not have a `:`'],
  [
    'no name to send',
    { client_auth: { password: 'a' } },
    'client_auth.username: there is no name to send; set `username`',
  ],
  ['an empty name', { client_auth: { username: ' ', password: 'a' } }, 'client_auth.username: there is no name'],
  ['no password to send', { client_auth: { username: 'a' } }, 'client_auth.password: there is no password to send'],
  ['an empty password', { client_auth: { username: 'a', password: '' } }, 'client_auth.password: it is empty'],
  [
    'an empty file with the password',
    { client_auth: { username: 'a', password_file: path('blank', '\n') } },
    'client_auth.password_file: cannot use',
  ],
  ['nobody', { htpasswd: { inline: '' } }, 'htpasswd.inline: it names no user'],
  ['a user without a password', { htpasswd: { inline: 'a:b\nc:' } }, 'htpasswd.inline: line 2: it has no password'],
  ['an empty password file', { htpasswd: { file: path('blank', '\n') } }, 'htpasswd.file: cannot use'],
  [
    'a password file of hashes that are not known',
    { htpasswd: { file: path('old', 'a:rqXexS6ZhobKA') } },
    "crypt's DES",
  ],
  ['a folder as a password file', { htpasswd: { file: folder } }, 'it is no file'],
])('a configuration with %s is refused', (_what, config, message) => {
  expect(complaintsOf(basicauth, config).join()).toContain(message)
})

test('passwords never print', () => {
  const inline = { htpasswd: { inline: 'a:hidden' } }
  expect(JSON.stringify([basicauth.config.parse(inline)])).not.toContain('hidden')
  expect(JSON.stringify(basicauth.config.parse({ client_auth: { username: 'a', password: 'hidden' } }))).not.toContain(
    'hidden',
  )
})

test('a user of the configuration comes in, and goes before the same one of the file', async () => {
  const file = path('both', 'shop:old\nbank:money')
  const one = made({ htpasswd: { file, inline: 'shop:secret' } })
  await one.extension.start?.()
  expect(['shop:secret', 'shop:old', 'bank:money'].map(pair => comesIn(one, pair))).toEqual([true, false, true])
})

test('a file that is not there yet lets nobody in and is no end; it counts when it is there, and when it changes', async () => {
  const file = path('late')
  const one = made({ htpasswd: { file } })
  await one.extension.start?.()
  expect(comesIn(one, 'shop:secret')).toBe(false)
  // Not an AuthError: the sender may come again.
  expect(() => one.server?.authenticate(() => basic('shop:secret'), '')).toThrow('htpasswd.file')
  expect([one.status.state, one.status.lastError]).toEqual(['RecoverableError', expect.stringContaining(file)])
  for (const [text, expected] of [
    ['shop:secret', true],
    ['shop:other', false],
    ['shop:$6$x$y', false],
  ] as const) {
    path('late', text)
    const before = one.lines.length
    await one.look()
    expect(one.lines.length).toBeGreaterThan(before)
    expect(comesIn(one, 'shop:secret')).toBe(expected)
  }
  // What was good is not used in place of what is not.
  expect(comesIn(one, 'shop:other')).toBe(false)
  expect(one.status.state).toBe('RecoverableError')
  path('late', 'shop:other\nbank:money')
  await one.look()
  expect(one.status.state).toBe('OK')
  expect(comesIn(one, 'bank:money')).toBe(true)
})

test('a client sends name and password, from the configuration or from files that change', async () => {
  const fixed = made({ client_auth: { username: 'shöp', password: 'se:cret' } })
  expect(fixed.client?.headers(from(), {})).toEqual({ authorization: basic('shöp:se:cret') })

  const password_file = path('password', 'first\n')
  const one = made({ client_auth: { username: 'shop', password: 'not used', password_file } })
  await one.extension.start?.()
  expect(one.client?.headers(from(), {})).toEqual({ authorization: basic('shop:first') })
  path('password', 'second')
  await one.look()
  expect(one.client?.headers(from(), {})).toEqual({ authorization: basic('shop:second') })
})

test('a password that is taken away is not sent any more', async () => {
  const password_file = path('taken', 'secret')
  const one = made({ client_auth: { username: 'shop', password: 'not used', password_file } })
  await one.extension.start?.()
  expect(one.client?.headers(from(), {})).toEqual({ authorization: basic('shop:secret') })
  path('taken', ' ')
  await one.look()
  expect(one.status.state).toBe('RecoverableError')
  expect(() => one.client?.headers(from(), {})).toThrow('client_auth.password_file')
})

test('a client without its file has nothing to send with, which is worth a retry', () => {
  const one = made({ client_auth: { username_file: path('nowhere'), password: 'secret' } })
  void one.extension.start?.()
  expect(() => one.client?.headers(from(), {})).toThrow('client_auth.username_file')
})

test('a service whose password file is missing starts, and its status says so', async () => {
  const kymo = await runKymo(`
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0', auth: {authenticator: basicauth}}}}}
exporters: {nop: {}}
extensions: {basicauth: {htpasswd: {file: ${path('nothing')}}}}
service: {extensions: [basicauth], pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}`)
  open.push({ stop: () => kymo.stop() })
  const states = kymo.graph.components.map(({ id, status }) => [id, status.state])
  expect(states).toContainEqual(['basicauth', 'RecoverableError'])
  expect(states).toContainEqual(['otlp', 'OK'])
})
