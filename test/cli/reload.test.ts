/** `kymo reload` as an operator has it: a process, its configuration on disk, the command and what it prints. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { commandLine } from '../../cli/commands.ts'
import { outcomeText, reachable } from '../../cli/reload.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

describe('a process that runs', () => {
  let folder: string
  let file: string
  let kymo: KymoProcess
  let yaml: (value: string, more?: string) => string
  let admin: string
  const token = 's3cret'

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kymo-reload-'))
    file = join(folder, 'kymo.yaml')
    const [port, grpc] = [await freePort(), await freePort()]
    admin = `127.0.0.1:${port}`
    yaml = (value, more = '') => `
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:${grpc}'}}}}
processors: {resource: {attributes: [{key: made, value: ${value}, action: upsert}]}}
exporters: {nop: }${more}
service:
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: ${port}}}}}]}}
  pipelines: {traces: {receivers: [otlp], processors: [resource], exporters: [nop]}}
`
    writeFileSync(file, yaml('one'))
    kymo = spawnKymo(['run', '--config', file], { KYMO_ADMIN_TOKEN: token })
    await kymo.until('everything is ready', 60_000)
  }, 60_000)
  afterAll(async () => {
    kymo.child.kill('SIGKILL')
    await kymo.ended
    rmSync(folder, { recursive: true, force: true })
  })

  /** The command as it is parsed, in this process. */
  async function reload(args: readonly string[], given: string | null = token) {
    vi.stubEnv('KYMO_ADMIN_TOKEN', given ?? undefined)
    const heard = { out: '', err: '' }
    for (const [stream, name] of [
      [process.stdout, 'out'],
      [process.stderr, 'err'],
    ] as const) {
      vi.spyOn(stream, 'write').mockImplementation(text => {
        heard[name] += String(text)
        return true
      })
    }
    try {
      const program = commandLine('1.2.3', { run: async () => {}, validate: async () => {} })
      await program.parseAsync(['node', 'kymo', 'reload', ...args])
      return { code: process.exitCode, ...heard }
    } finally {
      process.exitCode = undefined
      vi.restoreAllMocks()
      vi.unstubAllEnvs()
    }
  }

  test('nothing has changed: it says so', async () => {
    const { code, out, err } = await reload(['--config', file])
    expect({ code, out, err }).toEqual({
      code: 0,
      out: 'Nothing has changed: the configuration is as it was.\n',
      err: '',
    })
  })

  test('what would change and what changed is told, component by component', async () => {
    writeFileSync(file, yaml('two'))
    const would = await reload(['--admin', admin, '--dry-run'])
    expect(would).toMatchObject({ code: 0, err: '' })
    expect(would.out).toMatch(/^A reload would:\n {2}restart {2}processor resource in traces/)
    const { code, out } = await reload(['--admin', `http://${admin}`])
    expect(code).toBe(0)
    expect(out).toMatch(/^The new configuration has been taken over\.\n {2}restart {2}processor resource in traces/)
    expect(await reload(['--admin', admin, '--json'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('"result": "unchanged"'),
    })
  })

  test('a wrong configuration changes nothing; all errors are told, with their places', async () => {
    writeFileSync(file, yaml('three', '\nextensionz: {}').replace('exporters: [nop]', 'exporters: [none]'))
    const { code, out, err } = await reload(['--admin', admin])
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(`${file}:5:1: CONFIG_UNKNOWN_KEY: `)
    expect(err).toMatch(/\n {2}hint: .*`extensions`/)
    expect(err).toContain('none')
    expect(err).toMatch(/\n2 errors; nothing has changed, what ran goes on\n$/)
    expect(await reload(['--admin', admin, '--json'])).toMatchObject({
      code: 1,
      out: expect.stringContaining('"result": "failed"'),
    })
    // Where it is asked is not known from a file that is wrong.
    const here = await reload(['--config', file])
    expect(here).toMatchObject({
      code: 1,
      err: expect.stringMatching(/CONFIG_UNKNOWN_KEY[^]*--admin asks all the same/),
    })
    writeFileSync(file, yaml('two'))
  })

  test('without the token it is told to give one', async () => {
    const { code, out, err } = await reload(['--config', file], null)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain('set KYMO_ADMIN_TOKEN')
  })

  test('nobody there: the command says how the address is found', async () => {
    const port = await freePort()
    const { code, err } = await reload(['--admin', `127.0.0.1:${port}`])
    expect(code).toBe(1)
    expect(err).toContain(`no Kymo answers at http://127.0.0.1:${port}`)
  })
})

test.each([
  ['localhost:8888', 'localhost:8888'],
  ['10.0.0.7:1', '10.0.0.7:1'],
  ['0.0.0.0:8889', '127.0.0.1:8889'],
  [':8889', '127.0.0.1:8889'],
  ['[::]:8889', '[::1]:8889'],
  ['[fd00::1]:8889', '[fd00::1]:8889'],
])('what listens on %s is asked at %s', (endpoint, address) => {
  expect(reachable(endpoint)).toBe(address)
})

test('a port that the system chooses is not known from the configuration', () => {
  expect(() => reachable('localhost:0')).toThrow('--admin')
})

test.each([
  ['superseded', {}, /another reload/],
  ['refused', { errors: [{ message: 'the process is starting or stopping' }] }, /^the process is.*\ntry again/],
  ['failed', { errors: [{ message: 'port in use' }] }, /^port in use\n1 error; nothing has changed/],
  ['failed', { errors: [{ message: 'a\u001b[2Jb' }] }, /^a[^\p{Cc}]*b\n/u],
] as const)('%s tells only on standard error', (result, more, text) => {
  const { out, err } = outcomeText({ result, ...more })
  expect(out).toBe('')
  expect(err).toMatch(text)
})

test('what only a new start changes, and warnings, are told of a reload that worked', () => {
  const warnings = [{ code: 'CONFIG_UNUSED', message: 'nobody uses it', file: 'a.yaml', line: 2, column: 3 }]
  expect(outcomeText({ result: 'unchanged', warnings, restart_needed: ['service::telemetry::metrics'] })).toEqual({
    out: expect.stringContaining('service::telemetry::metrics takes effect when the process starts again'),
    err: 'a.yaml:2:3: warning: CONFIG_UNUSED: nobody uses it\n',
  })
})
