/** Somebody at 3 a.m. asks what happened, reads the log, and has one component say more for a while. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventsText } from '../../cli/events.ts'
import { linesText } from '../../cli/log.ts'
import { kymo as command, type Ran } from '../support/command.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'

let folder: string
let running: KymoProcess
let admin: string
const token = { KYMO_ADMIN_TOKEN: 'a-token' }
const config = () => join(folder, 'kymo.yaml')

const yaml = (port: number, exporter = 'nop') => `
receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:${port}'}}}}
exporters: {nop: }
service:
  telemetry: {logs: {encoding: json}, metrics: {readers: [{pull: {exporter: {prometheus: {port: 0}}}}]}}
  pipelines: {traces: {receivers: [otlp], exporters: [${exporter}]}}
`

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kymo-'))
  const port = await freePort()
  writeFileSync(config(), yaml(port))
  running = spawnKymo(['run', '--config', config()], token)
  await running.until('"admin":"')
  admin = /"admin":"([^"]+)"/.exec(running.log())?.[1] ?? ''
  writeFileSync(config(), yaml(port, 'nopp'))
  running.child.kill('SIGHUP')
  await running.until('was not taken over')
}, 60_000)
afterAll(async () => {
  running.child.kill('SIGKILL')
  await running.ended
  rmSync(folder, { recursive: true, force: true })
})

const kymo = (...args: string[]): Promise<Ran> => command([...args, '--admin', admin], token)

test('a reload by SIGHUP that failed is told, with where and why', async () => {
  const { out, code } = await kymo('events')
  expect(code).toBe(0)
  expect(out).toMatch(/ {2}process {4}Kymo \S+ starts\n.* {2}process {4}everything is ready; taking data\n/)
  expect(out).toContain('  reload     the reload failed, what ran goes on; by SIGHUP\n')
  expect(out).toMatch(/\n {4}\S+kymo\.yaml:6:\S* .*`nopp`/)
  expect((await kymo('events', '--kind', 'circuit')).out).toBe('no event matches\n')
})

test('the level of one component is raised by whoever has the token, and that is told', async () => {
  const denied = await command(['log', 'otlp', 'debug', '--for', '10m', '--admin', admin])
  expect(denied.code).toBe(1)
  expect(denied.err).toContain('asks for a token')
  const { out, code } = await kymo('log', 'otlp', 'debug', '--for', '10m')
  expect(code).toBe(0)
  expect(out).toMatch(/^the level of otlp is debug until \S+; then it is the configured one again\n/)
  expect((await kymo('log')).out).toMatch(/\(the level of otlp is debug until \S+\)\n$/)
  expect((await kymo('log', 'otlp', 'configured')).out).toBe('the level of otlp is the configured one again\n')
  const told = (await kymo('events', '--component', 'otlp')).out
  expect(told).toMatch(/log {8}otlp: the log level is debug, for a time; by \S+\n {4}level=debug until=/)
  expect(told).toMatch(/otlp: the log level is the configured one again; by \S+\n$/)
})

test('lines of the log, of one component or level', async () => {
  expect((await kymo('log', 'reload')).out).toMatch(/error {2}\[reload\] {2}.*`nopp`/)
  expect((await kymo('log', '--level', 'error')).out).not.toContain('  info ')
  expect((await kymo('log', 'otlp', '--json')).out).toMatch(/^\{"level":"info",.*"msg":"listening".*\}\n$/)
  expect((await kymo('log', 'nop')).out).toMatch(/^none of the last \d+ lines matches\n/)
})

test.each<[string, string[], string]>([
  ['a level alone', ['log', 'debug'], 'write `kymo log COMPONENT LEVEL --for 10m`'],
  ['a time without a level', ['log', 'otlp', '--for', '10m'], '--for is how long a level is set'],
  ['a component that is none', ['log', 'otpl', 'debug'], 'did you mean `otlp`?'],
  ['a time that is none', ['events', '--since', 'soon'], 'is no time'],
])('%s is told what it is meant to be', async (_, args, words) => {
  const { code, err } = await kymo(...args)
  expect(code).toBe(1)
  expect(err).toContain(words)
})

test('--follow goes on with what happens', async () => {
  const following = spawnKymo(['events', '--follow', '--admin', admin], token)
  try {
    await expect.poll(following.output, { timeout: 20_000 }).toContain('taking data')
    expect((await kymo('reload')).code).toBe(1)
    await expect.poll(following.output, { timeout: 20_000 }).toContain('; by 127.0.0.1\n')
    expect(following.output().split('taking data')).toHaveLength(2)
  } finally {
    following.child.kill('SIGTERM')
    await following.ended
  }
})

const event = {
  id: 1,
  time: '2026-12-01T03:00:00.000Z',
  kind: 'component' as const,
  component: 'a',
  text: 'exporter a: OK -> RecoverableError',
}

test.each<[string, Parameters<typeof eventsText>[0], RegExp]>([
  ['nothing', { events: [] }, /^no event matches\n$/],
  [
    'one that is repeated',
    { events: [{ ...event, times: 37, first: event.time }] },
    /Error \(repeated 37 times since .*\)\n$/,
  ],
  [
    'more than were asked for',
    { events: [event], more: true },
    /^\.\.\. and earlier ones; narrow it down, or raise --limit\n/,
  ],
  ['what a terminal would obey', { events: [{ ...event, detail: 'a\u001b[31mb\nc\u202e' }] }, /\n {4}a \[31mb c \n$/],
])('text of %s', (_, document, expected) => {
  expect(eventsText(document, true)).toMatch(expected)
})

test('lines of the log are without what a terminal would obey', () => {
  const line = { ts: event.time, level: 'warn', module: 'm', msg: 'a\u001b[2Jb\u009b', error: 'x\nAt\u202e' }
  const text = linesText({ lines: [{ number: 1, line }], newest: 1, kept: 1, raised: [] }, true)
  // eslint-disable-next-line no-control-regex -- it is what is not to be there
  expect(text).not.toMatch(/[\u0000-\u0009\u001b\u009b\u202e]/)
  expect(text.split('\n')).toHaveLength(4)
})
