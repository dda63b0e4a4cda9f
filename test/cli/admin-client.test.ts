/** Commands and the token of an admin server: who is let in, and what the others are told. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ask, download, tell } from '../../cli/admin-client.ts'
import { Listeners } from '../../net/listeners.ts'
import { type Access, tokenAccess } from '../../service/access.ts'
import { type Admin, startAdmin } from '../../service/admin.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-'))
const file = join(folder, 'token')
let admin: Admin | undefined
let stranger: Server | undefined

beforeEach(() => {
  for (const name of ['KYMO_ADMIN_TOKEN', 'KYMO_ADMIN_TOKEN_FILE']) vi.stubEnv(name, undefined)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await admin?.close()
  stranger?.closeAllConnections()
  stranger?.close()
  admin = undefined
  stranger = undefined
  rmSync(file, { force: true })
})

/** An admin server with one page of each kind that is not for everybody. */
async function serve(access: Access): Promise<string> {
  async function* chunks() {
    yield Buffer.from('data')
  }
  const pages = { metrics: undefined, ready: () => ({ ready: true, phase: 'running' }), status: () => ({}) }
  admin = await startAdmin(
    '127.0.0.1:0',
    {
      ...pages,
      access,
      routes: [
        { path: '/act', act: () => ({ done: true }) },
        { path: '/flow', flow: () => ({ contentType: 'text/plain', chunks: chunks() }) },
        { path: '/take', stake: 'action', take: async () => ({ code: 409, body: { result: 'failed' } }) },
      ],
    },
    new Listeners(),
  )
  return admin.address
}

async function downloaded(address: string): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of download(address, '/flow')) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
const ways: Record<string, (address: string) => Promise<unknown>> = {
  command: address => ask(address, '/act', {}),
  download: downloaded,
  'command without words': address => tell(address, '/take', 'result', 1000),
}
const answers = [{ done: true }, 'data', { result: 'failed' }]
const all = (address: string) => Promise.all(Object.values(ways).map(way => way(address)))

test.each([
  ['in the variable', { KYMO_ADMIN_TOKEN: 's3cret' }],
  ['in the variable, with a line end', { KYMO_ADMIN_TOKEN: 's3cret\n' }],
  ['in a file', { KYMO_ADMIN_TOKEN_FILE: file }],
  ['in a file, which wins', { KYMO_ADMIN_TOKEN: 'other', KYMO_ADMIN_TOKEN_FILE: file }],
])('the token is sent: %s', async (_, env) => {
  writeFileSync(file, 's3cret\n')
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  expect(await all(await serve(tokenAccess({ KYMO_ADMIN_TOKEN: 's3cret' })))).toEqual(answers)
})

test('without a token none is sent, and none is needed on the same machine', async () => {
  const given: unknown[] = []
  const address = await serve(({ headers }) => void given.push(headers.authorization))
  expect(await all(address)).toEqual(answers)
  expect(given).toEqual([undefined, undefined, undefined])
})

const wanted = tokenAccess({ KYMO_ADMIN_TOKEN: 's3cret' })
/** As if it was asked from elsewhere. */
const elsewhere: Access = (asker, stake) => tokenAccess({})({ ...asker, reach: 'network' }, stake)

test.each<[string, Access, NodeJS.ProcessEnv, RegExp]>([
  ['401 without a token', wanted, {}, /asks for a token.* set KYMO_ADMIN_TOKEN to the one it was started with/],
  ['401 with another token', wanted, { KYMO_ADMIN_TOKEN: 'w0rd' }, /another token than the one in KYMO_ADMIN_TOKEN:/],
  [
    '401 with another token in a file',
    wanted,
    { KYMO_ADMIN_TOKEN_FILE: file },
    /than the one in the file of KYMO_ADMIN_TOKEN_FILE:/,
  ],
  [
    '403 from another machine',
    elsewhere,
    {},
    /^the network can connect .*--admin unix:PATH.* give the command the same$/,
  ],
  [
    '403 from another machine with a token',
    elsewhere,
    { KYMO_ADMIN_TOKEN: 'w0rd' },
    /KYMO_ADMIN_TOKEN was sent.* was started without one/,
  ],
  ['no file', wanted, { KYMO_ADMIN_TOKEN_FILE: '/none' }, /file of KYMO_ADMIN_TOKEN_FILE cannot be read/],
  ['a token of two lines', wanted, { KYMO_ADMIN_TOKEN: 'w0rd\nx' }, /characters that no header can carry/],
])('what to do is told: %s', async (_, access, env, text) => {
  writeFileSync(file, 'w0rd')
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  const address = await serve(access)
  for (const way of Object.values(ways)) {
    const error: unknown = await way(address).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'AskError', message: expect.stringMatching(text) })
    expect(String(error)).not.toMatch(/w0rd|s3cret/)
  }
})

test.each([
  [401, /is no admin server of Kymo \(HTTP status 401\); something stands before it/],
  [404, /is no admin server of Kymo \(HTTP status 404\)$/],
])('who is no admin server of Kymo and answers %d is told from one', async (status, text) => {
  stranger = createServer((_, response) => response.writeHead(status).end('who are you?'))
  await new Promise<void>(resolve => stranger?.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(stranger.address() as AddressInfo).port}`
  for (const way of Object.values(ways)) await expect(way(address)).rejects.toThrow(text)
})
