/** The command line as a user meets it: a process, its output, its exit code. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { builtIn } from '../../cli/built-in.ts'
import { components } from '../support/components.ts'
import { loadPlan } from '../../plan/load.ts'
import { program } from '../support/bundle.ts'
import { kymo } from '../support/command.ts'

const root = join(import.meta.dirname, '../..')
const main = join(root, 'cli/main.ts')

/** Sets that move everything the built-in configuration listens on to ports of the system's choice. */
const anyPorts = [
  'receivers.otlp.protocols.grpc.endpoint=localhost:0',
  'receivers.otlp.protocols.http.endpoint=localhost:0',
]
const adminOn = (port: number) =>
  `service.telemetry.metrics.readers=[{pull: {exporter: {prometheus: {host: localhost, port: ${port}}}}}]`
const sets = (...values: string[]) => values.flatMap(value => ['--set', value])

test.concurrent('a configuration that is right is not talked about', async () => {
  const example = join('examples', 'gateway.yaml')
  expect(await kymo(['validate', '--config', example])).toEqual({ code: 0, out: '', err: '' })
})

test('every example is right, and so is the built-in configuration, without warnings', () => {
  const examples = readdirSync(join(root, 'examples')).filter(name => name.endsWith('.yaml'))
  expect(examples.length).toBeGreaterThan(2)
  for (const name of examples) {
    expect(loadPlan({ sources: [join(root, 'examples', name)], components }).warnings, name).toEqual([])
  }
  expect(loadPlan({ sources: [], components, builtIn }).warnings).toEqual([])
})

const wrong =
  'yaml:{receivers: {otlp: {protocls: {grpc: {}}}}, exporters: {debgu: {}}, service: {pipelines: {traces: {}}}}'

test.concurrent.each([['validate'], ['run']])(
  '%s tells all that is wrong at once, and starts nothing',
  async command => {
    const { code, out, err } = await kymo([command, '--config', wrong])
    expect(code).toBe(1)
    expect(out).toBe('')
    for (const words of ['`protocols`', '`debug`', '^^^', 'CONFIG_UNKNOWN_KEY', 'nothing was started']) {
      expect(err).toContain(words)
    }
    expect(err).not.toContain('at file:')
  },
)

test('npm start gives V8 the options that the first line of the bundle gives it', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { start: string } }
  const [, options] = /^#!.* node (.*)/.exec(readFileSync(main, 'utf8')) ?? []
  expect(options).toMatch(/^--max-semi-space-size=\d+/)
  // `exec`, so that a signal to npm reaches Kymo and not a shell that dies without passing it on.
  expect(scripts.start).toBe(`exec node ${options} scripts/start.ts`)
})

test.concurrent('a file that is not there is told', async () => {
  const { code, err } = await kymo(['--config', 'missing.yaml'])
  expect(code).toBe(1)
  expect(err).toContain('missing.yaml')
  expect(err).not.toContain('at file:')
})

test.concurrent('a level that is none is told', async () => {
  const { code, err } = await kymo([], { KYMO_LOG: 'loud' })
  expect(code).toBe(1)
  expect(err).toContain('KYMO_LOG')
})

test.concurrent('a port in use is told with address and component, and ends it with 1', async () => {
  const taken = createServer()
  const port = await new Promise<number>(resolve => {
    taken.listen(0, 'localhost', () => resolve((taken.address() as { port: number }).port))
  })
  const [grpc, http] = anyPorts
  const receiver = await kymo(sets(`receivers.otlp.protocols.grpc.endpoint=localhost:${port}`, http, adminOn(0)))
  expect(receiver.code).toBe(1)
  expect(receiver.err).toMatch(new RegExp(`receiver otlp: .*localhost:${port}.*in use`))
  const admin = await kymo(sets(grpc, http, adminOn(port)))
  expect(admin.code).toBe(1)
  expect(admin.err).toMatch(new RegExp(`admin server: cannot listen on localhost:${port}`))
  taken.close()
})

test.concurrent('the built-in configuration runs, answers, and stops without loss; a level by module holds', async () => {
  const args = [...program(), ...sets(...anyPorts, adminOn(0), 'service.telemetry.logs.encoding=json')]
  const child = spawn(process.execPath, args, { env: { ...process.env, KYMO_LOG: 'error,service=info,process=info' } })
  let log = ''
  const admin = await new Promise<string>(resolve => {
    child.stderr.on('data', chunk => {
      log += String(chunk)
      const address = /"admin":"([^"]+)"/.exec(log)?.[1]
      if (address !== undefined) resolve(address)
    })
    child.on('close', () => resolve(`nothing: ${log}`))
  })
  expect((await fetch(`${admin}/health/ready`)).status).toBe(200)
  const status: unknown = await (await fetch(`${admin}/status`)).json()
  expect(status).toMatchObject({ process: { phase: 'running' }, books_faults: [] })
  const code = await new Promise<number | null>(resolve => {
    child.on('close', resolve)
    child.kill('SIGTERM')
  })
  expect(code).toBe(0)
  expect(log).toContain('nothing was lost')
  expect(log).not.toContain('"module":"otlp"')
})

test.concurrent('an exporter whose backend is down does not stop it', async () => {
  const exporter = 'exporters.otlp_grpc={endpoint: localhost:1, tls: {insecure: true}}'
  const pipeline = 'service.pipelines.traces.exporters=[otlp_grpc]'
  const child = spawn(process.execPath, [...program(), ...sets(...anyPorts, adminOn(0), exporter, pipeline)])
  let log = ''
  const ready = new Promise<boolean>(resolve => {
    child.stderr.on('data', chunk => {
      log += String(chunk)
      if (log.includes('everything is ready')) resolve(true)
    })
    child.on('close', () => resolve(false))
  })
  expect(await ready, log).toBe(true)
  child.kill('SIGTERM')
})
