import { execFileSync } from 'node:child_process'
import { chmod, link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { file } from '../../exporters/file.ts'
import { jsonToProtobuf } from '../../proto/json-read.ts'
import { allSignals, type Signal, signals } from '../../proto/signals.ts'
import { everything } from '../support/everything.ts'
import { Attempts, batchOf, complaints, exporterOf, forever, refusal, settlingTo } from '../support/exporting.ts'
import { toyGraph } from '../support/graph.ts'
import { names, spanNames, tracesRequest } from '../support/otlp-bytes.ts'
import { decode } from '../support/otlp-proto.ts'

let folder = ''
const stops: (() => unknown)[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kymo-file-'))
})
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
  await rm(folder, { recursive: true, force: true })
})

/** A running exporter to `data.json` in a folder of its own. */
async function started(config: object = {}) {
  const made = exporterOf(file, { path: join(folder, 'data.json'), ...config })
  const stop = async () => made.exporter.stop?.()
  stops.push(stop)
  await made.exporter.start?.()
  made.exporter.run?.()
  return { ...made, stop, send: (body: Buffer, signal?: Signal) => made.exporter.send(batchOf(body, signal), forever) }
}

const read = (name = 'data.json') => readFile(join(folder, name))
const lines = async (name?: string) =>
  String(await read(name))
    .trimEnd()
    .split('\n')
const spansOf = (line: string) => spanNames(jsonToProtobuf('ExportTraceServiceRequest', Buffer.from(line)))
const request = (...spans: string[]) => tracesRequest([{ namespace: 'shop', spans }])

/** Records that stand after their length. */
function framesOf(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32BE(at)
    frames.push(bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return frames
}

test('each request is a line of JSON that says the same, whatever its signal', async () => {
  const { send, stop, budget } = await started()
  for (const signal of allSignals) expect(await send(everything(signal), signal)).toBeUndefined()
  await stop()
  const written = await lines()
  expect(written).toHaveLength(3)
  allSignals.forEach((signal, i) => {
    const body = jsonToProtobuf(signals[signal].request, Buffer.from(written[i]))
    expect(decode(signal, body)).toEqual(decode(signal, everything(signal)))
  })
  expect(budget.used).toBe(0)
})

test.each([
  ['protobuf', { format: 'proto' }, (frame: Buffer) => frame],
  ['compressed protobuf', { format: 'proto', compression: 'zstd' }, zstdDecompressSync],
  [
    'compressed JSON',
    { compression: 'zstd', compression_params: { level: 3 } },
    (frame: Buffer) => jsonToProtobuf('ExportLogsServiceRequest', zstdDecompressSync(frame)),
  ],
])('%s stands after its length in four bytes', async (_, config, unpack) => {
  const { send, stop, budget } = await started(config)
  const sent = [everything('logs'), everything('logs', 'bank')]
  for (const body of sent) await send(body, 'logs')
  await stop()
  const frames = framesOf(await read())
  expect(frames.map(frame => decode('logs', unpack(frame)))).toEqual(sent.map(body => decode('logs', body)))
  expect(budget.used).toBe(0)
})

test('requests are written in the order they came, also when the first takes longest to compress', async () => {
  const { send, stop } = await started({ compression: 'zstd', format: 'proto' })
  const sizes = [9000, 1, 4000, 2, 1, 6000, 3, 1]
  await Promise.all(sizes.map((size, i) => send(request(...names(`${i}-`, size)))))
  await stop()
  const frames = framesOf(await read()).map(frame => spanNames(zstdDecompressSync(frame)))
  expect(frames.map(found => found.length)).toEqual(sizes)
})

test('the system has a request when its sender is answered', async () => {
  const { send } = await started({ flush_interval: '1h' })
  await send(request('a'))
  expect(spansOf(String(await read()))).toEqual(['a'])
})

test.each([
  ['emptied', {}, ['new']],
  ['gone on with, with `append`', { append: true }, ['old', 'new']],
  ['gone on with, when it rotates', { rotation: null }, ['old', 'new']],
])('a file that is there is %s', async (_, config, expected) => {
  const first = await started()
  await first.send(request('old'))
  await first.stop()
  const second = await started(config)
  await second.send(request('new'))
  await second.stop()
  expect((await lines()).flatMap(spansOf)).toEqual(expected)
})

test('a full file is set aside under its time, old ones go, and a request is never cut', async () => {
  const { send, stop } = await started({ rotation: { max_megabytes: 1, max_backups: 2 } })
  for (let i = 0; i < 6; i++) await send(request(...names(`${i}-${'x'.repeat(90)}`, 6000)))
  await stop()
  await expect.poll(async () => (await readdir(folder)).length).toBe(3)
  const found = (await readdir(folder)).toSorted()
  expect(found.at(-1)).toBe('data.json')
  for (const name of found.slice(0, -1)) expect(name).toMatch(/^data-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.json$/)
  const spans = (await Promise.all(found.map(name => lines(name)))).flat().map(line => spansOf(line)[0].split('-')[0])
  expect(spans).toEqual(['3', '4', '5'])
})

test('a folder that is missing is a status and a retry, until it is there', async () => {
  const path = join(folder, 'later', 'data.json')
  const { send, status } = await started({ path })
  await expect.poll(() => status.state).toBe('RecoverableError')
  expect(status.lastError).toMatch(/cannot write to .*data\.json: ENOENT/)
  const error = await refusal(send(request('a')))
  expect(error).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry', maybeTaken: false })
  expect(error.message).toContain(path)
  await mkdir(join(folder, 'later'))
  await send(request('b'))
  expect((await lines('later/data.json')).flatMap(spansOf)).toEqual(['b'])
})

test('with `create_directory` the folder is made', async () => {
  const { send } = await started({ path: join(folder, 'a/b/data.json'), create_directory: true })
  await send(request('a'))
  expect((await lines('a/b/data.json')).flatMap(spansOf)).toEqual(['a'])
})

test('a full disk is a retry, for as long as it is full', async () => {
  const { send, budget } = await started({ path: '/dev/full' })
  for (let i = 0; i < 3; i++) {
    const error = await refusal(send(request('a')))
    expect(error).toMatchObject({ code: 'DELIVERY_UNREACHABLE', kind: 'retry' })
    expect(error.message).toMatch(/cannot write to \/dev\/full: ENOSPC/)
  }
  expect(budget.used).toBe(0)
})

test('in a graph, what was refused for lack of room is written once there is some', async () => {
  const path = join(folder, 'later', 'data.json')
  const toy = await toyGraph({
    exporters: {},
    components: { file: { definition: file, config: { path, retry_on_failure: { initial_interval: '5ms' } } } },
    pipelines: [{ exporters: ['file'] }],
  })
  stops.push(() => toy.graph.stop(500))
  const { outcome } = toy.push(request('a', 'b'))
  await new Promise(resolve => setTimeout(resolve, 10))
  await mkdir(join(folder, 'later'))
  expect((await outcome).kind).toBe('success')
  await toy.graph.stop(500)
  expect(toy.books.faults()).toEqual([])
  expect((await lines('later/data.json')).flatMap(spansOf)).toEqual(['a', 'b'])
})

test('a stop writes what was begun', async () => {
  const { send, stop } = await started()
  const sent = names('s', 50).map(name => send(request(name)))
  await stop()
  await Promise.all(sent)
  expect((await lines()).flatMap(spansOf)).toEqual(names('s', 50))
})

const group = (more: object = {}) => ({
  path: join(folder, '*.json'),
  group_by: { enabled: true, resource_attribute: 'k8s.namespace.name', ...more },
})

test('with `group_by` each value has a file, folders are made, and what lacks the attribute is rejected', async () => {
  const { exporter, stop } = await started(group())
  const body = tracesRequest([
    { namespace: 'shop', spans: ['a'] },
    { spans: ['lost', 'lost too'] },
    { namespace: 'team/bank', spans: ['b'] },
    { namespace: 'shop', spans: ['c'] },
  ])
  expect(await exporter.send(batchOf(body), forever)).toEqual({
    rejected: 2,
    message: 'no text in resource attribute k8s.namespace.name',
  })
  await stop()
  expect((await lines('shop.json')).map(spansOf)).toEqual([['a', 'c']])
  expect((await lines('team/bank.json')).map(spansOf)).toEqual([['b']])
})

test('only so many files are open, and one that is opened again is gone on with', async () => {
  await writeFile(join(folder, 'n0.json'), 'from before')
  const { send, stop } = await started(group({ max_open_files: 2 }))
  for (let round = 0; round < 3; round++) {
    await Promise.all(names('n', 5).map(namespace => send(tracesRequest([{ namespace, spans: [`${round}`] }]))))
  }
  await stop()
  for (const name of names('n', 5)) expect((await lines(`${name}.json`)).flatMap(spansOf)).toEqual(['0', '1', '2'])
})

test('of a batch that goes to many files a few dozen are written at once, and told of together', async () => {
  const { exporter, stop } = await started(group())
  const settled: number[] = []
  const attempt = settlingTo(part => void settled.push(part.items))
  const all = names('n', 200)
  // One cannot be: its name is too long for the system.
  const asked = [...all, 'x'.repeat(1000)].map(namespace => ({ namespace, spans: [namespace] }))
  await expect(exporter.send(batchOf(tracesRequest(asked)), attempt)).rejects.toMatchObject({
    code: 'DELIVERY_REJECTED',
  })
  expect(settled).toEqual([64, 64, 64, 8])
  await stop()
  for (const name of all) expect((await lines(`${name}.json`)).map(spansOf)).toEqual([[name]])
})

test('batches that come at once begin no more files together than may be', async () => {
  const { exporter } = await started(group({ max_files: 100 }))
  const of = (start: string) => names(start, 80).map(namespace => ({ namespace, spans: ['a'] }))
  const answers = await Promise.all([of('x'), of('y')].map(all => exporter.send(batchOf(tracesRequest(all)), forever)))
  expect(answers.map(answer => answer?.rejected ?? 0)).toEqual([0, 60])
  expect((await readdir(folder)).length).toBe(100)
})

test('no value leads out of the folder', async () => {
  const base = join(folder, 'base')
  const { send, stop } = await started({ ...group(), path: join(base, '*.json') })
  const values = ['../x', '../../x', 'a/../../../x', '/x', '/etc/passwd', '..', '', 'a/./b', '....//x']
  for (const namespace of values) await send(tracesRequest([{ namespace, spans: ['a'] }]))
  await stop()
  expect(await readdir(folder)).toEqual(['base'])
})

test('values that no file can be called take no place of those that can', async () => {
  const { send, stop } = await started(group({ max_files: 1 }))
  for (const namespace of names('x'.repeat(300), 3)) {
    await refusal(send(tracesRequest([{ namespace, spans: ['a'] }])))
  }
  await send(tracesRequest([{ namespace: 'good', spans: ['a'] }]))
  await stop()
  expect(await readdir(folder)).toEqual(['good.json'])
})

test.each([
  ['a zero byte', 'a\0b'],
  ['300 letters', 'x'.repeat(300)],
  ['the name of a folder that is there', 'taken'],
])('a value that is %s is rejected and not tried again', async (_, namespace) => {
  await mkdir(join(folder, 'taken.json'))
  const { send, budget } = await started(group())
  const error = await refusal(send(tracesRequest([{ namespace, spans: ['a'] }])))
  expect(error).toMatchObject({ code: 'DELIVERY_REJECTED', kind: 'rejected' })
  expect(budget.used).toBe(0)
})

test('when one of several files fails, the others are not written again by the retry', async () => {
  const { exporter } = await started(group())
  // A loop of links is no fault of the name.
  await import('node:fs/promises').then(fs => fs.symlink('b.json', join(folder, 'b.json')))
  const attempts = new Attempts(
    batchOf(
      tracesRequest([
        { namespace: 'a', spans: ['a'] },
        { namespace: 'b', spans: ['b'] },
      ]),
    ),
  )
  expect(await refusal(attempts.send(exporter))).toMatchObject({ kind: 'retry' })
  await rm(join(folder, 'b.json'))
  expect(await attempts.send(exporter)).toBeUndefined()
  expect((await lines('a.json')).flatMap(spansOf)).toEqual(['a'])
  expect((await lines('b.json')).flatMap(spansOf)).toEqual(['b'])
})

test('a value that asks for too much is rejected, and costs the others nothing', async () => {
  const { exporter, stop, budget } = await started(group({ max_files: 2 }))
  const body = (...namespaces: string[]) =>
    batchOf(tracesRequest(namespaces.map(namespace => ({ namespace, spans: ['a'] }))))
  const [deep, long] = ['x/'.repeat(40), 'x'.repeat(5000)]
  expect(await exporter.send(body('a', deep, long, 'b', 'c', 'd'), forever)).toEqual({
    rejected: 4,
    message:
      'more than 1024 characters or 10 folders in resource attribute k8s.namespace.name; `group_by.max_files` (2) were begun',
  })
  expect(await exporter.send(body('b', 'e', 'a'), forever)).toMatchObject({ rejected: 1 })
  expect(budget.used).toBeGreaterThan(2 * folder.length)
  await stop()
  expect((await readdir(folder)).toSorted()).toEqual(['a.json', 'b.json'])
  expect((await lines('a.json')).flatMap(spansOf)).toEqual(['a', 'a'])
  expect(budget.used).toBe(0)
})

const modeOf = async (name: string) => ((await stat(join(folder, name))).mode & 0o777).toString(8)

test.skipIf(process.platform === 'win32').each([
  ['only for us, unless said', {}, '700', '600'],
  [
    'as `directory_permissions` and `file_permissions` say',
    { directory_permissions: '0750', file_permissions: '0640' },
    '750',
    '640',
  ],
])('files and folders are %s', async (_, permissions, ofFolder, ofFile) => {
  const { send } = await started({ path: join(folder, 'new/data.json'), create_directory: true, ...permissions })
  await send(request('a'))
  expect([await modeOf('new'), await modeOf('new/data.json')]).toEqual([ofFolder, ofFile])
})

describe.skipIf(process.platform === 'win32')('what somebody has put there', () => {
  const victim = () => join(folder, 'victim')
  beforeEach(() => writeFile(victim(), 'dear'))
  const isDear = async () => expect(await readFile(victim(), 'utf8')).toBe('dear')

  test('as a link is not followed', async () => {
    await symlink(victim(), join(folder, 'data.json'))
    const { send, status } = await started()
    await expect
      .poll(() => status.lastError)
      .toMatch(/data\.json: ELOOP: a symbolic link stands there, and nothing is written through one/)
    expect(await refusal(send(request('a')))).toMatchObject({ kind: 'retry' })
    await isDear()
    await rm(join(folder, 'data.json'))
    await send(request('b'))
    expect((await lines()).flatMap(spansOf)).toEqual(['b'])
  })

  test('as another name of a file is not emptied where everybody can write', async () => {
    await link(victim(), join(folder, 'data.json'))
    await chmod(folder, 0o1777)
    const { send } = await started()
    expect((await refusal(send(request('a')))).message).toContain('a file that has another name, too stands there')
    await isDear()
    await chmod(folder, 0o700)
    await send(request('b'))
  })

  test('as a link to a folder is not gone through', async () => {
    await mkdir(join(folder, 'elsewhere'))
    await mkdir(join(folder, 'base'))
    await symlink(join(folder, 'elsewhere'), join(folder, 'base', 'team'))
    const { send } = await started({ ...group(), path: join(folder, 'base', '*.json') })
    const error = await refusal(send(tracesRequest([{ namespace: 'team/bank', spans: ['a'] }])))
    expect(error.message).toMatch(/base\/team is a symbolic link; remove it/)
    expect(await readdir(join(folder, 'elsewhere'))).toEqual([])
  })

  test('as a pipe that nobody reads keeps nobody waiting', async () => {
    execFileSync('mkfifo', [join(folder, 'data.json')])
    const { send } = await started()
    expect(await refusal(send(request('a')))).toMatchObject({ kind: 'retry' })
  })
})

test.each([
  ['no path', {}, /^path: `path` is missing/],
  ['an empty path', { path: '' }, /^path: `path` must not be empty/],
  ['an encoding extension', { path: 'a', encoding: 'x' }, /^encoding: .*set `format`/],
  ['append and compression', { path: 'a', append: true, compression: 'zstd' }, /^append: /],
  ['append and rotation', { path: 'a', append: true, rotation: {} }, /^append: /],
  ['another format', { path: 'a', format: 'text' }, /^format: /],
  ['another compression', { path: 'a', compression: 'gzip' }, /^compression: /],
  ['a level without compression', { path: 'a', compression_params: { level: 3 } }, /^compression_params.level: /],
  ['a negative interval', { path: 'a', flush_interval: '-1s' }, /^flush_interval: /],
  ['no star', { path: 'a', group_by: { enabled: true } }, /^path: .*exactly one `\*`/],
  ['two stars', { path: 'a/*/*', group_by: { enabled: true } }, /^path: .*exactly one `\*`/],
  ['a star in front', { path: '*/a', group_by: { enabled: true } }, /^path: .*not begin/],
  ['no attribute', { path: 'a*', group_by: { enabled: true, resource_attribute: '' } }, /^group_by.resource_attribute/],
  ['permissions for no folder', { path: 'a', directory_permissions: '0755' }, /^directory_permissions: /],
  ['odd permissions', { path: 'a', create_directory: true, directory_permissions: '0999' }, /^directory_permissions: /],
])('%s is refused', (_, config, expected) => {
  expect(complaints(file, config).join('\n')).toMatch(expected)
})

test('the keys of the Collector are taken, with its defaults', () => {
  const parse = (config: object) => file.config.parse(config) as Record<string, unknown>
  expect(parse({ path: 'a', rotation: null, flush_interval: 0, compression: '' })).toMatchObject({
    format: 'json',
    append: false,
    flush_interval: 1000,
    rotation: { max_megabytes: 100, max_days: 0, max_backups: 100, localtime: false },
    group_by: { enabled: false, resource_attribute: 'fileexporter.path_segment', max_open_files: 100 },
  })
  expect(parse({ path: 'a' })['rotation']).toBeUndefined()
})
