import { execFileSync } from 'node:child_process'
import { appendFile, chmod, copyFile, readFile, rename, symlink, truncate, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import { Budget } from '../../../core/budget.ts'
import type { ReceiverDefinition } from '../../../core/component.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { openToRead } from '../../../core/own-file.ts'
import { file } from '../../../exporters/file.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { protobufToJson } from '../../../proto/json-write.ts'
import { allSignals, signals } from '../../../proto/signals.ts'
import { machineClock } from '../../../core/clock.ts'
import { otlpJsonFile } from '../../../receivers/otlp_json_file/otlp_json_file.ts'
import { everything } from '../../support/everything.ts'
import { batchOf, exporterOf, forever } from '../../support/exporting.ts'
import { names, spanNames, tracesRequest } from '../../support/otlp-bytes.ts'
import { decode } from '../../support/otlp-proto.ts'

import { at, following, inFolder, line, linesOf } from './following.ts'
import { until as eventually } from '../../support/until.ts'

inFolder()

test.each(allSignals)('a line of %s becomes one batch that says the same, field by field', async signal => {
  const body = everything(signal)
  await writeFile(at('a.json'), `\n${String(protobufToJson(signals[signal].request, body))}\n  \n`)
  const { batches, budget, stop } = following()
  await eventually(() => expect(batches).toHaveLength(1))
  expect(batches[0]).toMatchObject({ signal, context: { receiver: 'otlp_json_file', transport: 'file' } })
  expect(decode(signal, encodeGroups(batches[0].groups))).toEqual(decode(signal, body))
  await stop()
  expect(budget.used).toBe(0)
})

test('what the `file` exporter writes is read as it comes', async () => {
  const { exporter } = exporterOf(file, { path: at('a.json') })
  await exporter.start?.()
  exporter.run?.()
  const { until } = following()
  await exporter.send(batchOf(tracesRequest([{ spans: ['a', 'b'] }])), forever)
  await until('a', 'b')
  await exporter.send(batchOf(tracesRequest([{ spans: ['c'] }])), forever)
  await until('a', 'b', 'c')
  await exporter.stop?.()
})

test('lines that are written in pieces are read whole, in order, of any length', async () => {
  const long = line(...names('long', 40_000))
  expect(long.length).toBeGreaterThan(600_000)
  const text = linesOf('a', 'b') + long + linesOf('c')
  const { spans, until } = following({}, {})
  await writeFile(at('a.json'), '')
  for (let from = 0; from < text.length; from += 111_111) {
    await appendFile(at('a.json'), text.slice(from, from + 111_111))
    await new Promise(resolve => setTimeout(resolve, 7))
  }
  await until('a', 'b', ...names('long', 40_000), 'c')
  expect(spans()).toHaveLength(40_003)
})

test.each([
  ['the end', 'end', ['after', 'new file']],
  ['the beginning', 'beginning', ['before', 'half after', 'new file']],
] as const)(
  'from %s on files are read that are there at the start, and all of those that come later',
  async (_, start_at, expected) => {
    const whole = linesOf('half after')
    await writeFile(at('a.json'), linesOf('before') + (start_at === 'end' ? '' : whole.slice(0, 20)))
    const { until, spans, later } = following({ start_at })
    await later()
    await appendFile(at('a.json'), start_at === 'end' ? linesOf('after') : whole.slice(20))
    await eventually(() => expect(spans()).toHaveLength(expected.length - 1))
    await writeFile(at('b.json'), linesOf('new file'))
    await until(...expected)
  },
)

test('with `start_at: end` a line that was half written at the start is read whole', async () => {
  const whole = linesOf('half')
  await writeFile(at('a.json'), linesOf('before') + whole.slice(0, 30))
  const { until, later } = following({ start_at: 'end' })
  await later()
  await appendFile(at('a.json'), whole.slice(30))
  await until('half')
})

test('a last line without an end is taken after a while, once it is whole', async () => {
  let now = 0
  await writeFile(at('a.json'), linesOf('a') + linesOf('b').trimEnd())
  const { until, spans, later } = following({}, { clock: { ...machineClock, now: () => now } })
  await until('a')
  await later()
  expect(spans()).toEqual(['a'])
  now += 600
  await until('a', 'b')
})

test('a file that is renamed goes on under its new name, and what comes in its place is new', async () => {
  await writeFile(at('a.json'), linesOf('a', 'b'))
  const { until, spans } = following()
  await until('a', 'b')
  await rename(at('a.json'), at('a.json.1'))
  await appendFile(at('a.json.1'), linesOf('c'))
  await writeFile(at('a.json'), linesOf('d'))
  await eventually(() => expect(spans().toSorted()).toEqual(['a', 'b', 'c', 'd']))
})

test('what is left of a file that is moved away is still read', async () => {
  await writeFile(at('a.json'), linesOf('a'))
  const { until } = following()
  await until('a')
  await appendFile(at('a.json'), linesOf('b'))
  await rename(at('a.json'), at('gone'))
  await until('a', 'b')
})

test('a file that is copied and cut is not read twice, and its new lines are', async () => {
  const first = names('a', 30)
  await writeFile(at('a.json'), linesOf(...first))
  const { until, later } = following()
  await until(...first)
  await copyFile(at('a.json'), at('a.json.1'))
  await later()
  await truncate(at('a.json'))
  await later()
  await appendFile(at('a.json'), linesOf('b'))
  await until(...first, 'b')
})

test('a file that comes back under a name that is meant goes on where it was', async () => {
  await writeFile(at('a.json'), linesOf('a'))
  const { until, later } = following()
  await until('a')
  await rename(at('a.json'), at('elsewhere'))
  await later()
  await copyFile(at('elsewhere'), at('b.json'))
  await appendFile(at('b.json'), linesOf('b'))
  await until('a', 'b')
})

test('files that begin alike are two files', async () => {
  const same = linesOf(...names('same', 20))
  expect(same.length).toBeGreaterThan(2000)
  await writeFile(at('a.json'), same + linesOf('a'))
  const { spans, until } = following()
  await until(...names('same', 20), 'a')
  await writeFile(at('b.json'), same + linesOf('b'))
  await eventually(() => expect(spans()).toHaveLength(42))
  expect(spans().at(-1)).toBe('b')
})

test('a file that is written anew in place is read from its beginning', async () => {
  await writeFile(at('a.json'), linesOf('a', 'b'))
  const { until } = following()
  await until('a', 'b')
  await writeFile(at('a.json'), linesOf('c', 'd', 'e'))
  await until('a', 'b', 'c', 'd', 'e')
})

test('with `replay_file` a file is read again and again', async () => {
  await writeFile(at('a.json'), linesOf('a', 'b'))
  const { spans } = following({ replay_file: true, start_at: 'end' })
  await eventually(() => expect(spans().length).toBeGreaterThan(7))
  expect(spans().slice(0, 6)).toEqual(['a', 'b', 'a', 'b', 'a', 'b'])
})

test('what is excluded is not read', async () => {
  await writeFile(at('a.json'), linesOf('a'))
  await writeFile(at('b.json'), linesOf('b'))
  const { until, later, spans } = following({ exclude: [at('b*')] })
  await until('a')
  await later()
  expect(spans()).toEqual(['a'])
})

test('a line that is refused is sent again until it is taken, and what is behind it waits', async () => {
  const answers = ['refuse', 'refuse']
  const push = (batch: Batch): void => {
    if (answers.shift() === undefined) batch.accept()
    else batch.refuse(new DeliveryError('DELIVERY_QUEUE_FULL', 'retry', 'full', { retryAfter: 1 }))
  }
  const { spans, budget, stop } = following({}, { push })
  await writeFile(at('a.json'), linesOf('a'))
  await eventually(() => expect(spans()).toEqual(['a', 'a', 'a']))
  await appendFile(at('a.json'), linesOf('b'))
  await eventually(() => expect(spans()).toEqual(['a', 'a', 'a', 'b']))
  await stop()
  expect(budget.used).toBe(0)
})

test('it reads on only when the delivery has ended; a file whose destination is stuck holds up no other', async () => {
  const stuck: Batch[] = []
  const push = (batch: Batch): void => {
    if (spanNames(encodeGroups(batch.groups))[0] === 'stuck') stuck.push(batch)
    else batch.accept()
  }
  await writeFile(at('a.json'), linesOf('stuck'))
  const { until, later, spans } = following({}, { push })
  await until('stuck')
  await appendFile(at('a.json'), linesOf('behind'))
  await writeFile(at('b.json'), linesOf('other'))
  await until('stuck', 'other')
  await later()
  expect(spans()).toEqual(['stuck', 'other'])
  stuck[0].accept()
  await until('stuck', 'other', 'behind')
})

test('lines that are no OTLP/JSON are passed over, told with their place, and counted', async () => {
  await writeFile(
    at('a.json'),
    `${linesOf('a')}no json\n{"resourceSpans":[{"resource":7}]}\n${linesOf('b')}{"resourceSpans":"cut\n[]\n{}\n{"x":1}\n`,
  )
  const { until, lines, refused } = following()
  await until('a', 'b')
  await eventually(() => expect(refused()).toEqual({ malformed: 4, too_large: 0 }))
  const told = lines.filter(({ level }) => level === 'warn')
  expect(told.map(({ message }) => message)).toEqual([2, 3, 5, 6].map(n => `${at('a.json')}:${n} is passed over`))
  expect(told[1].fields).toMatchObject({
    line: 3,
    error: expect.stringContaining('resourceSpans[0].resource') as string,
  })
})

test('a file that is no JSON at all does not fill the log', async () => {
  await writeFile(at('a.json'), 'x\n'.repeat(2500))
  const { lines, refused } = following()
  await eventually(() => expect(refused()).toMatchObject({ malformed: 2500 }))
  expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(5 + 3)
})

test('a line that is too long is passed over, and those around it are read', async () => {
  await writeFile(at('a.json'), `${linesOf('a')}${line('x'.repeat(5000))}${linesOf('b')}`)
  await writeFile(at('b.json'), line('y'.repeat(5000)).trimEnd())
  const { spans, refused, later } = following({ max_log_size: '2KiB' })
  await eventually(() => expect(spans()).toEqual(['a', 'b']))
  await eventually(() => expect(refused()).toEqual({ malformed: 0, too_large: 2 }))
  await appendFile(at('b.json'), `more\n${linesOf('c')}`)
  await eventually(() => expect(spans()).toEqual(['a', 'b', 'c']))
  await later()
  expect(refused()).toEqual({ malformed: 0, too_large: 2 })
})

test('lines of a signal that no pipeline takes are passed over in silence', async () => {
  const logs = `${String(protobufToJson('ExportLogsServiceRequest', everything('logs')))}\n`
  await writeFile(at('a.json'), linesOf('a') + logs + linesOf('b'))
  const { batches, lines } = following({}, { signals: ['logs'] })
  await eventually(() => expect(batches).toHaveLength(1))
  expect(batches[0].signal).toBe('logs')
  expect(lines.filter(({ level }) => level === 'warn')).toEqual([])
})

test('what is read is charged, and without room it waits', async () => {
  const budget = new Budget(1 << 20)
  budget.charge(budget.limit)
  await writeFile(at('a.json'), linesOf('a'))
  const { until, later, spans, stop } = following({}, { budget })
  await later()
  expect(spans()).toEqual([])
  budget.release(1 << 20)
  await until('a')
  await stop()
  expect(budget.used).toBe(0)
})

test('a stop withdraws nothing that ends in time, and leaves nothing charged', async () => {
  const held: Batch[] = []
  await writeFile(at('a.json'), linesOf('a'))
  const { until, stop, budget } = following({}, { push: batch => void held.push(batch) })
  await until('a')
  setTimeout(() => held[0].accept(), 20)
  await stop()
  expect(held[0].withdrawn).toBe(false)
  expect(budget.used).toBe(0)
})

test.runIf(process.getuid?.() !== 0)('a file that may not be read is a status, until it may', async () => {
  await writeFile(at('a.json'), linesOf('a'))
  await chmod(at('a.json'), 0)
  const { status, until } = following()
  await eventually(() => expect(status.state).toBe('RecoverableError'))
  await chmod(at('a.json'), 0o600)
  await until('a')
  await eventually(() => expect(status.state).toBe('OK'))
})

test('more files than may be followed are told, and the others are read', async () => {
  for (const name of ['a', 'b', 'c']) await writeFile(at(`${name}.json`), linesOf(name))
  const { status, spans } = following({ max_concurrent_files: 2 })
  await eventually(() => expect(status.lastError).toContain('`max_concurrent_files`'))
  await eventually(() => expect(spans()).toHaveLength(2))
})

const complaints = (config: unknown) =>
  (otlpJsonFile as ReceiverDefinition<unknown>).config
    .safeParse(config)
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    .join() ?? ''

test.each([
  ['no files', {}, 'include'],
  ['an empty list', { include: [] }, '`include` must name at least one file'],
  ['a storage that is no name', { include: ['a'], storage: 7 }, 'expected the id of a storage extension'],
  ['a size that is none', { include: ['a'], max_log_size: 'large' }, '`large` is no size'],
  ['a size that is too small', { include: ['a'], fingerprint_size: '8b' }, 'must be at least 16'],
  ['another start', { include: ['a'], start_at: 'middle' }, 'start_at'],
  ['no interval', { include: ['a'], poll_interval: '0s' }, 'poll_interval'],
])('%s is refused', (_, config, message) => {
  expect(complaints(config)).toContain(message)
})

test.each([
  ['1MiB', 1_048_576],
  ['2mb', 2_000_000],
  ['3k', 3000],
  ['1.5Ki', 1536],
  [4096, 4096],
])('the size %s is %i bytes', (max_log_size, expected) => {
  expect((otlpJsonFile as ReceiverDefinition<unknown>).config.parse({ include: 'a', max_log_size })).toMatchObject({
    include: ['a'],
    max_log_size: expected,
  })
})

test('the file itself is left as it is', async () => {
  await writeFile(at('a.json'), linesOf('a'))
  const { until } = following()
  await until('a')
  expect(String(await readFile(at('a.json')))).toBe(linesOf('a'))
})

test.skipIf(process.platform === 'win32')(
  'pipes and devices are not read, also when one takes the place of a file',
  async () => {
    execFileSync('mkfifo', [at('pipe.json')])
    await symlink('/dev/zero', at('zero.json'))
    await writeFile(at('real.json'), line('a'))
    await symlink(at('real.json'), at('linked.json'))
    const { spans } = following()
    await expect.poll(spans).toEqual(['a'])
    // What a look found as a file, and is none when it is opened.
    await expect(openToRead(at('pipe.json'))).rejects.toThrow('what stands there is no file')
    await expect(openToRead(at('zero.json'))).rejects.toThrow('what stands there is no file')
  },
)
