/** The admin server as `kymo run` is told to have it, and the commands that find it. */
import { lstat, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ask, tell } from '../../cli/admin-client.ts'
import { reload } from '../../cli/reload.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

const running: KymoProcess[] = []
let folder = ''
let config = ''
let socket = ''
let port = 0
vi.setConfig({ testTimeout: 90_000 })
afterAll(() => vi.resetConfig())
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kymo-'))
  config = join(folder, 'kymo.yaml')
  socket = join(folder, 'admin.sock')
  port = await freePort()
  await writeFile(config, yamlOf(`{host: 127.0.0.1, port: ${port}}`))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
  await rm(folder, { recursive: true, force: true })
})

const yamlOf = (place: string) => `
receivers: {internal: {}}
exporters: {nop: {}}
service:
  telemetry:
    logs: {encoding: json}
    metrics: {readers: [{pull: {exporter: {prometheus: ${place}}}}]}
  pipelines: {logs: {receivers: [internal], exporters: [nop]}}
`

async function start(args: string[], env: Record<string, string> = {}): Promise<KymoProcess> {
  const kymo = spawnKymo(['run', '--config', config, ...args], env)
  running.push(kymo)
  await kymo.until('everything is ready', 60_000)
  return kymo
}

const statusAt = async (admin: string) => JSON.stringify(await ask(admin, '/status'))
const reloadAt = (admin: string) => tell(admin, '/v1/reload', 'result', 60_000)

const page = async (path: string, headers = {}) => (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status

function overSocket(path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath: socket, path, agent: false }, response => {
      response.resume()
      resolve(response.statusCode)
    })
    asking.on('error', reject).end()
  })
}

describe.skipIf(process.platform === 'win32')('`--admin unix:PATH`', () => {
  test('serves all of it to this user alone; metrics and health stay where they were', async () => {
    const kymo = await start(['--admin', `unix:${socket}`])
    expect((await lstat(socket)).mode & 0o777).toBe(0o600)
    expect(await Promise.all(['/status', '/metrics', '/health/live'].map(overSocket))).toEqual([200, 200, 200])
    expect(await Promise.all(['/status', '/v1/batches', '/metrics', '/health/live'].map(path => page(path)))).toEqual([
      404, 404, 200, 200,
    ])
    expect(kymo.lines().find(line => line['admin'] !== undefined)).toMatchObject({
      admin: `unix:${socket}`,
      metrics: `http://127.0.0.1:${port}`,
    })
    for (const place of [`unix:${socket}`, `unix://${socket}`]) expect(await statusAt(place)).toContain('internal')
    expect(await reloadAt(`unix:${socket}`)).toMatchObject({ result: 'unchanged' })
    await expect(reloadAt(`127.0.0.1:${port}`)).rejects.toThrow('ask where `--admin` of this Kymo says')
    kymo.child.kill('SIGTERM')
    expect(await kymo.ended).toBe(0)
    await expect(lstat(socket)).rejects.toThrow('ENOENT')
    await expect(statusAt(`unix:${socket}`)).rejects.toThrow(`no Kymo answers at unix:${socket}: `)
  })

  test('starts again where a killed one has left its socket; KYMO_ADMIN names it for both', async () => {
    const env = { KYMO_ADMIN: `unix:${socket}` }
    const first = await start([], env)
    first.child.kill('SIGKILL')
    await first.ended
    await start([], env)
    expect(await reloadAt(env.KYMO_ADMIN)).toMatchObject({ result: 'unchanged' })
  })

  test('in the configuration it is where the reader listens, and `reload --config` finds it', async () => {
    await writeFile(config, yamlOf(`{host: 'unix:${socket}'}`))
    await start([])
    const told = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    expect(await reload({ config: [config], set: [], admin: 'localhost:1' }, false)).toBe(0)
    expect(told.mock.calls.join('')).toContain('Nothing has changed')
    expect(await overSocket('/metrics')).toBe(200)
  })
})

test('with `--admin-reads token` commands need the token, probes do not', async () => {
  const token = { KYMO_ADMIN_TOKEN: 's3cret' }
  await start(['--admin-reads', 'token'], token)
  vi.stubEnv('KYMO_ADMIN_TOKEN', undefined)
  await expect(statusAt(`127.0.0.1:${port}`)).rejects.toThrow('asks for a token')
  vi.stubEnv('KYMO_ADMIN_TOKEN', 's3cret')
  expect(await statusAt(`127.0.0.1:${port}`)).toContain('internal')
  const bearer = { authorization: 'Bearer s3cret' }
  expect(await Promise.all([page('/metrics'), page('/metrics', bearer), page('/health/live')])).toEqual([401, 200, 200])
})

test('it is called by the names that it is given', async () => {
  await writeFile(config, yamlOf(`{host: 0.0.0.0, port: ${port}}`))
  await start(['--admin-host', 'a.example.com'])
  const status = (host: string) =>
    new Promise(resolve =>
      request({ host: '127.0.0.1', port, path: '/status', headers: { host }, agent: false }, response => {
        response.resume()
        resolve(response.statusCode)
      }).end(),
    )
  expect(await Promise.all(['a.example.com', 'evil.com', 'kymo'].map(status))).toEqual([200, 403, 200])
})

test('it does not start with an empty token', async () => {
  const kymo = spawnKymo(['run', '--config', config], { KYMO_ADMIN_TOKEN: '' })
  running.push(kymo)
  expect(await kymo.ended).toBe(1)
  expect(kymo.log()).toContain('KYMO_ADMIN_TOKEN is set and empty')
})
