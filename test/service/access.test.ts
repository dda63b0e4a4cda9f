import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import type { Reach } from '../../net/local-host.ts'
import { type Reading, readings, type Stake, tokenAccess } from '../../service/access.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-'))
const file = join(folder, 'token')
beforeEach(() => writeFileSync(file, 's3cret\n'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const withToken = { KYMO_ADMIN_TOKEN: 's3cret' }
const here = '127.0.0.1'
type Row = [string, NodeJS.ProcessEnv, Record<string, string>, string | undefined, Reach, Stake, number | undefined]

test.each<Row>([
  ['without a token this machine may act', {}, {}, here, 'loopback', 'action', undefined],
  ['without a token this machine may act, over IPv6', {}, {}, '::1', 'loopback', 'action', undefined],
  [
    'without a token this machine may act, over either family',
    {},
    {},
    '::ffff:127.0.0.1',
    'loopback',
    'action',
    undefined,
  ],
  ['without a token its user may act over a socket', {}, {}, undefined, 'unix', 'action', undefined],
  ['without a token no other machine may act', {}, {}, '10.0.0.7', 'network', 'action', 403],
  ['nor may this one, where the network can connect', {}, {}, here, 'network', 'action', 403],
  ['without a token nobody may act through Via', {}, { via: '1.1 proxy' }, here, 'loopback', 'action', 403],
  ['nor through Forwarded', {}, { forwarded: 'for=6.6.6.6' }, here, 'loopback', 'action', 403],
  ['nor through X-Forwarded-For', {}, { 'x-forwarded-for': '127.0.0.1' }, here, 'loopback', 'action', 403],
  ['nor through a sidecar of a mesh', {}, { 'x-envoy-external-address': '6.6.6.6' }, here, 'loopback', 'action', 403],
  ['nor through what stands before the socket', {}, { 'x-forwarded-proto': 'http' }, undefined, 'unix', 'action', 403],
  ['without a token nobody may configure', {}, bearer('x'), here, 'loopback', 'configuration', 403],
  ['nor over a socket', {}, {}, undefined, 'unix', 'configuration', 403],
  ['without a token everybody may read', {}, {}, '10.0.0.7', 'network', 'reading', undefined],
  ['everybody may read through a proxy', {}, { via: '1.1 proxy' }, here, 'loopback', 'reading', undefined],
  ['with a token it is asked for, here too', withToken, {}, here, 'loopback', 'action', 401],
  ['with a token it is asked for, over a socket too', withToken, {}, undefined, 'unix', 'action', 401],
  ['another token does not do', withToken, bearer('S3cret'), here, 'loopback', 'action', 401],
  ['a part of it does not do', withToken, bearer('s3cre'), here, 'loopback', 'action', 401],
  ['an empty token does not do', withToken, bearer(''), here, 'loopback', 'action', 401],
  ['another scheme does not do', withToken, { authorization: 'Basic s3cret' }, here, 'loopback', 'action', 401],
  [
    'with the token anybody may configure',
    withToken,
    bearer('s3cret'),
    '10.0.0.7',
    'network',
    'configuration',
    undefined,
  ],
  ['and through a proxy', withToken, { ...bearer('s3cret'), via: 'p' }, here, 'network', 'action', undefined],
  [
    'a line end is no part of it',
    { KYMO_ADMIN_TOKEN: 's3cret\n' },
    bearer('s3cret'),
    here,
    'loopback',
    'action',
    undefined,
  ],
  ['a file has it', { KYMO_ADMIN_TOKEN_FILE: file }, bearer('s3cret'), here, 'network', 'action', undefined],
  ['a file wins', { KYMO_ADMIN_TOKEN: 'x', KYMO_ADMIN_TOKEN_FILE: file }, bearer('x'), here, 'network', 'action', 401],
])('%s', (_, env, headers, peer, reach, stake, code) => {
  const denial = tokenAccess(env)({ headers, peer, reach }, stake)
  expect(denial?.code).toBe(code)
  if (denial !== undefined) expect(denial.hint).toMatch(/KYMO_ADMIN_TOKEN/)
  expect(JSON.stringify(denial ?? '')).not.toContain('s3cret')
})

test.each<[Reading, Stake, number | undefined]>([
  ['open', 'reading', undefined],
  ['open', 'metrics', undefined],
  ['token-except-metrics', 'reading', 401],
  ['token-except-metrics', 'metrics', undefined],
  ['token', 'reading', 401],
  ['token', 'metrics', 401],
])('with `%s`, %s without the token is answered %s, and with it let in', (reading, stake, code) => {
  const access = tokenAccess(withToken, reading)
  expect(access({ headers: {}, peer: here, reach: 'loopback' }, stake)?.code).toBe(code)
  expect(access({ headers: bearer('s3cret'), peer: here, reach: 'loopback' }, stake)).toBeUndefined()
})

test.each<[string, NodeJS.ProcessEnv, string, RegExp]>([
  ['an empty variable', { KYMO_ADMIN_TOKEN: '' }, '', /^KYMO_ADMIN_TOKEN is set and empty: .*openssl rand/],
  ['a blank variable', { KYMO_ADMIN_TOKEN: ' \n' }, '', /^KYMO_ADMIN_TOKEN is set and empty/],
  ['an empty name of a file', { KYMO_ADMIN_TOKEN_FILE: '' }, '', /^KYMO_ADMIN_TOKEN_FILE is set and empty/],
  [
    'an empty name of a file beside a token',
    { KYMO_ADMIN_TOKEN: 'x', KYMO_ADMIN_TOKEN_FILE: '' },
    '',
    /FILE is set and empty/,
  ],
  ['an empty file', { KYMO_ADMIN_TOKEN_FILE: file }, '', /^the file of KYMO_ADMIN_TOKEN_FILE is empty/],
  ['a blank file', { KYMO_ADMIN_TOKEN_FILE: file }, '\n \n', /^the file of KYMO_ADMIN_TOKEN_FILE is empty/],
  ['a file that is not there', { KYMO_ADMIN_TOKEN_FILE: '/none' }, '', /cannot be read: ENOENT/],
  ['a folder', { KYMO_ADMIN_TOKEN_FILE: folder }, '', /is no file/],
  ['a device that never ends', { KYMO_ADMIN_TOKEN_FILE: '/dev/zero' }, '', /is no file/],
  ['a token of two lines', { KYMO_ADMIN_TOKEN_FILE: file }, 's3cret\nx', /no header can carry/],
])('%s in place of a token is an error at the start', (_, env, text, error) => {
  writeFileSync(file, text)
  expect(() => tokenAccess(env)).toThrow(error)
  expect(() => tokenAccess(env)).not.toThrow('s3cret')
})

test.each(readings.filter(one => one !== 'open'))('`%s` without any token is an error at the start', reading => {
  expect(() => tokenAccess({}, reading)).toThrow(/needs a token, and there is none: set KYMO_ADMIN_TOKEN/)
})

test('a token in a file can be exchanged; when it is gone or empty nobody is let in, and reading goes on where it is open', () => {
  const access = tokenAccess({ KYMO_ADMIN_TOKEN_FILE: file })
  const may = (token: string, stake: Stake = 'configuration') =>
    access({ headers: bearer(token), peer: undefined, reach: 'unix' }, stake)?.code
  expect([may('s3cret'), may('second')]).toEqual([undefined, 401])
  writeFileSync(file, 'second\n')
  expect([may('s3cret'), may('second')]).toEqual([401, undefined])
  writeFileSync(file, '')
  expect([may('second'), may(''), may('second', 'reading')]).toEqual([503, 503, undefined])
  rmSync(file)
  expect([may('second'), may(''), may('second', 'reading')]).toEqual([503, 503, undefined])
  writeFileSync(file, 'second')
  expect(may('second')).toBeUndefined()
})
