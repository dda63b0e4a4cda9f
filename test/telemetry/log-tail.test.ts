import { expect, test } from 'vitest'
import { createLogger } from '../../telemetry/logger.ts'
import { LogTail, mostBytes, mostLines } from '../../telemetry/log-tail.ts'

const all = (tail: LogTail) => [...tail.newestFirst()].toReversed()

test.each<[string, (i: number) => string, number]>([
  ['short lines, by their number', i => `{"n":${i}}\n`, mostLines],
  ['long lines, by their bytes', i => `{"n":${i},"a":"${'a'.repeat(1000)}"}\n`, 495],
  ['lines of two bytes a letter', i => `{"n":${i},"a":"${'Ж'.repeat(1000)}"}\n`, 252],
])('5,000 lines leave the ring at its cap: %s', (_, line, kept) => {
  const tail = new LogTail()
  for (let i = 1; i <= 5000; i++) {
    tail.add(line(i))
    expect(tail.bytes).toBeLessThanOrEqual(mostBytes)
  }
  const lines = all(tail)
  expect(Math.abs(lines.length - kept)).toBeLessThan(10)
  expect(lines.length).toBe(tail.size)
  expect(lines.map(([number]) => number)).toEqual(lines.map((__, i) => 5001 - lines.length + i))
  for (const [number, text] of lines) expect(text).toBe(line(number))
})

test('of a line that is longer than all others are worth, its beginning is kept', () => {
  const tail = new LogTail()
  tail.add('{"msg":"first"}')
  tail.add(JSON.stringify({ ts: 't', level: 'error', module: 'm', msg: `begins ${'x'.repeat(mostBytes)}`, stack: 'y' }))
  const [first, second] = all(tail)
  expect(first).toEqual([1, '{"msg":"first"}'])
  expect(JSON.parse(second?.[1] ?? '')).toMatchObject({
    ts: 't',
    level: 'error',
    module: 'm',
    too_long: expect.any(String),
  })
  expect(tail.bytes).toBeLessThan(3000)
})

test.each(['json', 'console'] as const)('lines are kept as JSON, whatever is written: %s', encoding => {
  const written: string[] = []
  const sink = { write: (line: string) => void written.push(line), flush() {} }
  const log = createLogger({ level: 'info', encoding, modules: {} }, sink)
  log.child('otlp').warn({ a: 1 }, 'hello')
  log.debug({}, 'not written')
  expect(all(log.tail).map(([number, line]) => [number, JSON.parse(line)])).toEqual([
    [1, { ts: expect.any(String), level: 'warn', module: 'otlp', a: 1, msg: 'hello' }],
  ])
  expect(written).toHaveLength(1)
})
