/** Attacks by what data says: names, values, depth, and how many different ones there are. */
import { signals } from '../../proto/signals.ts'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Attack, Caller, hasEscapes, once, post, repeat, type Target } from './attack.ts'
import { attribute, compressors, field, inScope, itemWith, repeated } from './bodies.ts'
import { message } from './frames.ts'

const json = { 'content-type': 'application/json' }
const zipped = { 'content-encoding': 'gzip' }

/** Sends bodies as logs over HTTP, gzipped, a few times. */
function logs(
  row: Pick<Attack, 'name' | 'of' | 'victim' | 'seconds'>,
  body: () => Buffer,
  headers: Readonly<Record<string, string>> = {},
): Attack {
  const packed = once(() => gzipSync(body(), { level: 1 }))
  return {
    ...row,
    prepare: packed,
    run: target => repeat(target, 4, 2, () => post(target, signals.logs.path, packed(), { ...zipped, ...headers })),
  }
}

const text = (body: string) => Buffer.from(body)

/** A log record with an attribute of this value, as JSON. */
const recordOf = (value: string) =>
  text(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[{"key":"a","value":${value}}]}]}]}]}`)

/** Values in values. */
const nestedJson = (depth: number, more = '') =>
  `${'{"arrayValue":{"values":['.repeat(depth)}{"stringValue":"x"}${`${more}]}}`.repeat(depth)}`

function nested(depth: number): Buffer {
  let value = field(1, 'x')
  for (let i = 0; i < depth; i++) value = field(5, field(1, value))
  return value
}

const logWith = (value: Buffer): Buffer => inScope(field(2, field(6, Buffer.concat([field(1, 'a'), field(2, value)]))))

const texts: readonly [what: string, body: () => Buffer][] = [
  ['values 100,000 deep', () => recordOf(nestedJson(100_000))],
  [
    'objects 1,000,000 deep where nobody looks',
    () => text(`{"a":${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_001)}`),
  ],
  ['lists that never close', () => text(`{"resourceLogs":${'['.repeat(10_000_000)}`)],
  [
    '1,000,000 names of prototypes',
    () => text(`{${'"__proto__":{"polluted":1},"constructor":{"prototype":{}},'.repeat(500_000)}"resourceLogs":[]}`),
  ],
  [
    'attributes named __proto__',
    () =>
      recordOf(
        '{"kvlistValue":{"values":[{"key":"__proto__","value":{"stringValue":"x"}},{"key":"constructor","value":{"stringValue":"x"}}]}}',
      ),
  ],
  ['a text of 40 MB of escapes', () => recordOf(`{"stringValue":"${'\\u0000'.repeat(7_000_000)}"}`)],
  ['a text of 40 MB that never ends', () => text(`{"resourceLogs":[{"schemaUrl":"${'x'.repeat(40_000_000)}`)],
  ['bytes of 40 MB in base64', () => recordOf(`{"bytesValue":"${'A'.repeat(40_000_000)}"}`)],
  ['a number of 10,000,000 digits', () => recordOf(`{"intValue":${'1'.repeat(10_000_000)}}`)],
  [
    '1,000,000 numbers of many digits',
    () => recordOf(`{"arrayValue":{"values":[${'{"doubleValue":1.234567890123456789e-300},'.repeat(1_000_000)}{}]}}`),
  ],
  ['40 MB of blanks', () => text(`{${' '.repeat(40_000_000)}"resourceLogs":[]}`)],
  [
    'the same key a million times',
    () =>
      text(
        `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{${'"body":{"stringValue":"x"},'.repeat(1_000_000)}"severityText":"x"}]}]}]}`,
      ),
  ],
  [
    'scopes before their resource, a million times',
    () => text(`{"resourceLogs":[{${'"scopeLogs":[{"logRecords":[{}]}],'.repeat(1_000_000)}"resource":{}}]}`),
  ],
]

/** So many attributes, each with another key. */
const different = (n: number) => Array.from({ length: n }, (_, i) => attribute(`k${i}`, 'v'))

/** A resource of so many attributes, with an item. */
const resourceWith = (n: number) =>
  field(1, Buffer.concat([field(1, Buffer.concat(different(n).map(one => field(1, one)))), field(2, field(2, ''))]))

const bytes: readonly [what: string, body: () => Buffer][] = [
  ['values 100,000 deep', () => logWith(nested(2000))],
  ['a list of 20,000,000 empty values', () => logWith(field(5, repeated([0x0a, 0], 40_000_000)))],
  ['a map of 10,000,000 empty entries', () => logWith(field(6, repeated([0x0a, 0], 20_000_000)))],
  ['an item of 50 MB of one text', () => logWith(field(1, Buffer.alloc(50_000_000, 'x')))],
  ['10,000 items of 5 KB', () => inScope(repeated(field(2, field(5, field(1, Buffer.alloc(5000, 'x')))), 50_000_000))],
  ['500,000 different names in an item', () => itemWith('logs', different(500_000))],
  ['37,000 different names in an item', () => itemWith('logs', different(37_000))],
  ['500,000 different names in a resource', () => resourceWith(500_000)],
  [
    '400,000 resources, each another',
    () =>
      Buffer.concat(
        Array.from({ length: 400_000 }, (_, i) =>
          field(1, Buffer.concat([field(1, field(1, attribute('a', `v${i}`))), field(2, field(2, ''))])),
        ),
      ),
  ],
  [
    '400,000 items with another value of the key they are grouped by',
    () =>
      inScope(
        Buffer.concat(Array.from({ length: 400_000 }, (_, i) => field(2, field(6, attribute('host.name', `v${i}`))))),
      ),
  ],
]

/** Patterns of the configuration meet what they are slow with. */
const meets: readonly [what: string, items: () => Buffer][] = [
  ['a key of 150 KB of t', () => itemWith('logs', [attribute(Buffer.alloc(150_000, 't'), 'v')])],
  [
    'keys of 150 KB that almost match',
    () => itemWith('logs', [attribute(`${'a'.repeat(150_000)}!`, 'v'), attribute('x'.repeat(150_000), 'v')]),
  ],
  [
    'values of 150 KB that almost match',
    () => itemWith('logs', [attribute('k', `${'a'.repeat(150_000)}!`), attribute('l', '4'.repeat(150_000))]),
  ],
  [
    'values of 40 letters that almost match',
    () => itemWith('logs', [attribute('k', `${'a'.repeat(40)}!`), attribute('evil', `${'a'.repeat(40)}!`)]),
  ],
  [
    '2,000 keys of 2 KB that almost match',
    () =>
      itemWith(
        'logs',
        Array.from({ length: 2000 }, (_, i) => attribute(`${'token'.repeat(400)}${i}`, `${'a'.repeat(30)}!`)),
      ),
  ],
  ['37,000 keys in an item', () => itemWith('logs', different(37_000))],
  ['500,000 keys in a resource', () => resourceWith(500_000)],
  ['values of 5 MB', () => itemWith('logs', [attribute('k', '@'.repeat(5_000_000))])],
]

async function intoFiles(target: Target): Promise<void> {
  const names = [
    '../evil',
    '../../evil',
    '/tmp/kymo-evil',
    'a/../../evil',
    '..\\evil',
    'evil\0',
    '..',
    '.',
    '',
    'x'.repeat(5000),
    'a/'.repeat(3000),
    ...Array.from({ length: 20_000 }, (_, i) => `many/${i}`),
  ]
  const groups = names.map(name =>
    field(1, Buffer.concat([field(1, field(1, attribute('service.name', name))), field(2, field(2, ''))])),
  )
  for (let at = 0; at < groups.length && !target.over.aborted; at += 500) {
    await post(target, signals.logs.path, Buffer.concat(groups.slice(at, at + 500)))
  }
  for (const place of [join(target.folder, 'evil'), join(target.folder, '..', 'evil'), '/tmp/kymo-evil']) {
    for (const end of ['', '.jsonl']) if (existsSync(place + end)) target.fault(`${place}${end} was written`)
  }
  const outside = readdirSync(target.folder).filter(
    name => !['out', 'work', 'kymo.yaml', 'as-it-was.yaml'].includes(name),
  )
  if (outside.length > 0) target.fault(`files outside of the folder: ${outside.join(', ')}`)
}

/** Shows what came in to people, in all the ways there are. */
async function intoTerminals(target: Target): Promise<void> {
  const evil = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e\r\nroot:x'
  const attributes = field(1, field(1, attribute(evil, evil)))
  const group = Buffer.concat([
    attributes,
    field(2, Buffer.concat([field(1, field(1, evil)), field(2, field(6, attribute(evil, evil)))])),
    field(3, evil),
  ])
  const encoded = encodeURIComponent(evil)
  await repeat(target, 20, 2, () => post(target, signals.logs.path, field(1, group), { 'user-agent': 'a\tb' }))
  await post(target, `/v1/${encoded}`, Buffer.from('x'))
  await post(target, signals.logs.path, Buffer.from('broken'), { 'content-type': 'text/\u009b31m' })
  for (const args of [['status'], ['batches'], ['batches', '--what', 'refused']]) {
    const admin = ['--admin', `http://127.0.0.1:${target.ports.admin}`]
    const { stdout, stderr } = spawnSync(process.execPath, [target.bundle, ...args, ...admin], { encoding: 'latin1' })
    if (hasEscapes(stdout + stderr)) target.fault(`\`kymo ${args.join(' ')}\` shows escape codes`)
  }
}

/** Metrics with ever new series. */
async function newSeries(target: Target): Promise<void> {
  const caller = new Caller(target)
  await repeat(target, 60, 2, async round => {
    const points = Array.from({ length: 20_000 }, (_, i) =>
      field(
        1,
        Buffer.concat([field(7, attribute('id', `${round}-${i}`)), Buffer.from([0x31, 1, 0, 0, 0, 0, 0, 0, 0])]),
      ),
    )
    const metric = Buffer.concat([field(1, 'm'), field(5, Buffer.concat(points))])
    const packed = compressors.gzip(inScope(field(2, metric)))
    await caller.call('metrics', message(packed, { compressed: true }), { 'grpc-encoding': 'gzip' })
  })
  caller.close()
}

/** A severity that is a text, without end. */
const checked = once(() => gzipSync(inScope(repeated(field(2, field(2, '')), 20_000_000)), { level: 9 }))

/** The rows. */
export const contentAttacks: readonly Attack[] = [
  ...texts.map(([what, body]) =>
    logs(
      {
        name: `JSON: ${what}`,
        of: 'held',
        seconds: 12,
      },
      body,
      json,
    ),
  ),
  ...bytes.map(([what, body]) =>
    logs(
      {
        name: `protobuf: ${what}, where every item is read`,
        of: what.includes('grouped') || what.includes('another') ? 'F1' : 'held',
        victim: 'every item',
        seconds: 12,
      },
      body,
    ),
  ),
  ...meets.map(([what, body]) =>
    logs({ name: `redaction meets ${what}`, of: 'F4', victim: 'redaction', seconds: 8 }, body),
  ),
  {
    name: 'names of services that are paths, for the file exporter',
    of: 'held',
    victim: 'files',
    seconds: 15,
    run: intoFiles,
  },
  {
    name: 'five million records of a sender that is checked, each malformed',
    of: 'A11',
    prepare: checked,
    run: target =>
      repeat(target, 4, 2, async () => {
        await post(target, signals.logs.path, Buffer.from([0x0a, 0xff]))
        return post(target, signals.logs.path, checked(), zipped)
      }),
  },
  {
    name: 'names with escape codes, for whoever reads them in a terminal',
    of: 'held',
    victim: 'shown',
    seconds: 15,
    run: intoTerminals,
  },
  { name: 'a million series for the Prometheus page', of: 'F1', victim: 'series', seconds: 15, run: newSeries },
]
