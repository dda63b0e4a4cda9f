/** The table of what redaction covers: it is whole, and each row of it is true, for every signal. */
import { expect, test } from 'vitest'
import { coverage, textFields } from '../../../processors/redaction/coverage.ts'
import { redaction } from '../../../processors/redaction/redaction.ts'
import { messageNamed } from '../../../proto/schema.ts'
import { allSignals, type Signal } from '../../../proto/signals.ts'
import { encode, flatten, type Plain } from '../../support/otlp.ts'
import { processOne, valueOf } from '../../support/processing.ts'

const requests: Record<Signal, string> = {
  traces: 'ExportTraceServiceRequest',
  logs: 'ExportLogsServiceRequest',
  metrics: 'ExportMetricsServiceRequest',
}
const secret = 'SECRET-4711'
const row = (message: string, field: string) =>
  coverage.find(one => one.message === message && one.field === field) ?? { message, field, cover: 'missing' }

/** Where a field stands: the fields that lead to it. */
function pathsTo(
  message: string,
  above: readonly string[] = [],
): [path: readonly string[], message: string, field: string][] {
  return messageNamed(message).fields.flatMap(({ name, type, of }) => {
    const path = [...above, name]
    if (type === 'string' || of === 'KeyValue' || of === 'AnyValue')
      return [[path, message, name] as const].map(one => [...one])
    return type === 'message' ? pathsTo(of, path) : []
  }) as [readonly string[], string, string][]
}

/** A request with one item and with `content` where the path leads. */
function requestWith(root: string, [name, ...rest]: readonly string[], content: unknown): Plain {
  const plain: Plain = {}
  const message = messageNamed(root)
  const field = message.byName.get(name)
  // What makes an item of it, beside the path.
  for (const { name: other, of } of message.fields) {
    if (other !== name && /^(?:Scope(?:Spans|Logs|Metrics)|Span|LogRecord|Metric)$/.test(of))
      plain[other] = [itemOf(of)]
  }
  if (field === undefined) return plain
  if (rest.length === 0) plain[name] = field.repeated && field.of === '' ? [content] : content
  else {
    const inner = requestWith(field.of, rest, content)
    if (field.of === 'Metric' && !rest[0].match(/gauge|sum|histogram|summary/)) inner['gauge'] = { data_points: [{}] }
    plain[name] = field.repeated ? [inner] : inner
  }
  return plain
}

function itemOf(message: string): Plain {
  if (message === 'Metric') return { gauge: { data_points: [{}] } }
  const list = messageNamed(message).fields.find(({ of }) => /^(?:Span|LogRecord|Metric)$/.test(of))
  return list === undefined ? {} : { [list.name]: [itemOf(list.of)] }
}

const contents: Record<string, (value: unknown) => unknown> = {
  attributes: value => [{ key: 'k', value }],
  body: value => value,
}
/** Values that the secret hides in. */
const hidden: [name: string, value: unknown][] = [
  ['a text', `a ${secret} b`],
  ['a list', ['a', secret]],
  ['a map in a list in a map', { a: [{ b: `x ${secret}` }] }],
]
const bytesValue = (text: Buffer) => ({ bytes_value: text })

test('the table has every text of OTLP, once', () => {
  const all = allSignals.flatMap(signal => textFields(requests[signal]).map(one => one.join('.')))
  const rows = coverage.map(({ message, field }) => `${message}.${field}`)
  expect(rows.toSorted()).toEqual([...new Set(all)].toSorted())
})

test.each(
  allSignals.flatMap(signal =>
    pathsTo(requests[signal]).map(([path, message, field]) => ({ signal, path, message, field })),
  ),
)('$signal: $path is covered as the table says', async ({ signal, path, message, field }) => {
  const { cover } = row(message, field)
  const make = contents[cover]
  const values: [string, unknown][] =
    make === undefined
      ? [['a text', `a ${secret} b`]]
      : [
          ...hidden.map(([name, value]): [string, unknown] => [name, make(valueOf(value))]),
          ['bytes', make(bytesValue(Buffer.from(`a ${secret} b`)))],
          ['bytes that are no text', make(bytesValue(Buffer.concat([Buffer.from([0xff, 0x00]), Buffer.from(secret)])))],
        ]
  for (const [name, content] of values) {
    const body = encode(requests[signal], requestWith(requests[signal], path, content))
    expect(body.includes(secret), name).toBe(true)
    for (const off of [false, true]) {
      const config = { allow_all_keys: true, blocked_values: ['SECRET-[0-9]+'], redact_texts: !off }
      const result = await processOne(redaction, config, signal, body)
      const covered = cover !== 'none' && !(off && cover === 'text')
      expect([result.items.length, result.body.includes(secret)], `${name}, redact_texts ${!off}`).toEqual([
        1,
        !covered,
      ])
      // What is left reads well, with the mask in the place of the secret.
      if (name === 'a text' && covered) expect(JSON.stringify(flatten(signal, result.body))).toContain('a **** b')
    }
  }
})

test.each(
  allSignals.flatMap(signal =>
    pathsTo(requests[signal])
      .filter(([, message, field]) => contents[row(message, field).cover] !== undefined)
      .map(([path]) => ({ signal, path })),
  ),
)('$signal: rules of keys hold for $path', async ({ signal, path }) => {
  const inner = valueOf({ my_token: secret, list: [{ my_token: secret }] })
  const content =
    path.at(-1) === 'body'
      ? inner
      : [
          { key: 'my_token', value: valueOf(secret) },
          { key: 'm', value: inner },
        ]
  const body = encode(requests[signal], requestWith(requests[signal], path, content))
  for (const config of [{ allow_all_keys: true, blocked_key_patterns: ['token'] }, { allowed_keys: ['x'] }]) {
    const result = await processOne(redaction, config, signal, body)
    expect([result.items.length, result.body.includes(secret)]).toEqual([1, false])
  }
})
