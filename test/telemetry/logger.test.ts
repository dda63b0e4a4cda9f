import { expect, test } from 'vitest'
import { Secret } from '../../core/fields.ts'
import { createLogger, type LogSettings, parseLogLevels } from '../../telemetry/logger.ts'

function logging(settings: Partial<LogSettings> = {}) {
  const lines: string[] = []
  const sink = { write: (line: string) => void lines.push(line), flush() {} }
  const log = createLogger({ level: 'info', encoding: 'json', modules: {}, ...settings }, sink)
  return { log, lines, parsed: () => lines.map(line => JSON.parse(line) as Record<string, unknown>) }
}

test('a line of JSON has a time, a level, a module, a message and the fields', () => {
  const { log, parsed } = logging({ fields: { 'service.name': 'kymo' } })
  log.child('otlp', { kind: 'receiver' }).info({ port: 4317 }, 'listening')
  const [line] = parsed()
  expect(line).toMatchObject({
    level: 'info',
    module: 'otlp',
    msg: 'listening',
    port: 4317,
    kind: 'receiver',
    'service.name': 'kymo',
  })
  expect(new Date(String(line['ts'])).getTime()).toBeGreaterThan(Date.now() - 60_000)
})

test.each([
  ['a module takes the level of all when it has none', {}, 'otlp', false],
  ['a module of its own level', { otlp: 'debug' }, 'otlp', true],
  ['a component is found by its type', { otlp: 'debug' }, 'otlp/2', true],
  ['a component is found by its id', { 'otlp/2': 'debug' }, 'otlp/2', true],
  ['the level of an id is not that of another one', { 'otlp/2': 'debug' }, 'otlp/3', false],
] as const)('%s', (_, modules, module, heard) => {
  const { log, lines } = logging({ modules })
  log.child('pipelines').child(module).debug({}, 'detail')
  expect(lines.length).toBe(heard ? 1 : 0)
})

test('a child of a module keeps the level of the module', () => {
  const { log, lines } = logging({ modules: { net: 'debug', quiet: 'error' } })
  log.child('net').child('tls').debug({}, 'heard')
  log.child('quiet').child('tls').warn({}, 'not heard')
  expect(lines.length).toBe(1)
})

test('console encoding is one readable line, with stacks below it', () => {
  const { log, lines } = logging({ encoding: 'console' })
  log.child('service').warn({ path: 'a b', count: 3, plain: 'x' }, 'something happened')
  expect(lines[0]).toMatch(/^\S+Z {2}warn {3}\[service\] {2}something happened {2}path="a b" {2}count=3 {2}plain=x\n$/)
  log.error({ error: new Error('broken') }, 'failed')
  expect(lines[1]).toMatch(/failed\n {2}error: Error: broken\n {6}at /)
  log.info({ items: 2 }, 'two lines\nof text')
  expect(lines[2]).toMatch(/two lines {2}items=2\n {2}of text\n$/)
})

test('a secret never prints', () => {
  const { log, lines } = logging()
  log.info({ token: new Secret('hunter2'), deep: { token: new Secret('hunter2') } }, 'connected')
  expect(lines[0]).not.toContain('hunter2')
})

test('equal lines are thinned out, others are not', () => {
  const { log, lines } = logging({ sampling: { tick: 60_000, initial: 2, thereafter: 10 } })
  for (let i = 0; i < 32; i++) log.info({ i }, 'again')
  log.info({}, 'other')
  expect(lines.length).toBe(2 + 3 + 1)
})

test.each([
  ['info', { level: 'info', modules: {} }],
  ['warn, otlp=debug, batch/2 = ERROR', { level: 'warn', modules: { otlp: 'debug', 'batch/2': 'error' } }],
  ['otlp=debug', { level: undefined, modules: { otlp: 'debug' } }],
  ['', { level: undefined, modules: {} }],
])('levels are read from `%s`', (text, expected) => {
  expect(parseLogLevels(text)).toEqual(expected)
})

test.each(['loud', 'otlp=', '=debug=x'])('`%s` is no level, and the error says which there are', text => {
  expect(() => parseLogLevels(text)).toThrow(/debug, info, warn, error/)
})

test('levels that change while it runs change for loggers that are there, and for those to come', () => {
  const { log, lines } = logging({ modules: { 'otlp/a.b': 'debug' } })
  const otlp = log.child('otlp/a.b')
  const part = otlp.child('tls')
  const service = log.child('service')
  const count = () => {
    lines.length = 0
    for (const one of [otlp, part, service, log.child('late')]) one.debug({}, 'x')
    return lines.length
  }
  expect(count()).toBe(2)
  log.setLevels({ level: 'debug', modules: {} })
  expect(count()).toBe(4)
  log.setLevels({ level: 'debug', modules: { otlp: 'error' } })
  expect(count()).toBe(2)
  log.setLevels({ level: 'info', modules: {} })
  expect(count()).toBe(0)
})
