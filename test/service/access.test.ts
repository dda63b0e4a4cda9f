import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Stake, tokenAccess } from '../../service/access.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-'))
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test.each<[string, NodeJS.ProcessEnv, Record<string, string>, string | undefined, Stake, number | undefined]>([
  ['without a token this machine may act', {}, {}, '127.0.0.1', 'action', undefined],
  ['without a token this machine may act, over either family', {}, {}, '::ffff:127.0.0.1', 'action', undefined],
  ['without a token a unix socket may act', {}, {}, undefined, 'action', undefined],
  ['without a token no other machine may act', {}, {}, '10.0.0.7', 'action', 403],
  ['without a token nobody may configure', {}, bearer('x'), '127.0.0.1', 'configuration', 403],
  ['an empty token is none', { KYMO_ADMIN_TOKEN: '' }, bearer(''), '127.0.0.1', 'configuration', 403],
  ['with a token it is asked for, here too', { KYMO_ADMIN_TOKEN: 's' }, {}, '127.0.0.1', 'action', 401],
  ['another token does not do', { KYMO_ADMIN_TOKEN: 's' }, bearer('S'), '127.0.0.1', 'action', 401],
  [
    'another scheme does not do',
    { KYMO_ADMIN_TOKEN: 's' },
    { authorization: 'Basic s' },
    '127.0.0.1',
    'configuration',
    401,
  ],
  [
    'with the token anybody may configure',
    { KYMO_ADMIN_TOKEN: 's' },
    bearer('s'),
    '10.0.0.7',
    'configuration',
    undefined,
  ],
  [
    'a line end is no part of a token in the variable, as in a file',
    { KYMO_ADMIN_TOKEN: 's\n' },
    bearer('s'),
    '127.0.0.1',
    'action',
    undefined,
  ],
  [
    'a file that is not there lets nobody in',
    { KYMO_ADMIN_TOKEN_FILE: '/none' },
    bearer('s'),
    '127.0.0.1',
    'action',
    503,
  ],
])('%s', (_, env, headers, peer, stake, code) => {
  const denial = tokenAccess(env)({ headers, peer }, stake)
  expect(denial?.code).toBe(code)
  expect(JSON.stringify(denial ?? '')).not.toContain('"s"')
})

test('a token in a file can be exchanged', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'kymo-')), 'token')
  const access = tokenAccess({ KYMO_ADMIN_TOKEN_FILE: file })
  const may = (token: string) => access({ headers: bearer(token), peer: undefined }, 'configuration') === undefined
  writeFileSync(file, 'first\n')
  expect([may('first'), may('second')]).toEqual([true, false])
  writeFileSync(file, 'second\n')
  expect([may('first'), may('second')]).toEqual([false, true])
})
