/** What the search for the dearest input begins with. */
import type { Signal } from '../../proto/signals.ts'
import type { Encoding } from './bodies.ts'
import type { Language } from './dearest-mutate.ts'
import type { Expr } from './grammar.ts'
import type { VictimName } from './victims.ts'

/** One input: what it says, and how it is sent. */
export interface Input {
  readonly way: 'gRPC' | 'HTTP' | 'config'
  readonly language: Language
  readonly signal: Signal
  readonly victim: VictimName
  readonly encoding: Encoding | 'identity'
  /** Into how many parts the body is cut that are compressed by themselves. */
  readonly pieces: number
  /** How many compressed nothings stand before them. */
  readonly nothings: number
  readonly body: Expr
}

const scope = (inside: Expr): Expr => ['field', 1, ['field', 2, inside]]
const item = (inside: Expr): Expr => scope(['field', 2, inside])
const many = 500_000

const protobuf: readonly Expr[] = [
  ['times', many, 'hex:0a00'],
  ['field', 1, ['times', many, 'hex:1200']],
  scope(['times', many, 'hex:1200']),
  ['times', many, ['field', 1, ['field', 2, ['field', 2, '']]]],
  ['field', 1, ['all', ['times', many, 'hex:0a00'], ['field', 2, ['field', 2, '']]]],
  ['all', ['field', 1, ['all', 'hex:0a00', 'hex:0a00']], scope(['times', many, ['field', 2, ['field', 6, '']]])],
  item(['field', 6, ['all', ['field', 1, 'a'], ['field', 2, ['deep', 90, 5, ['field', 1, 'x']]]]]),
  item(['field', 6, ['all', ['field', 1, 'a'], ['field', 2, ['field', 5, ['times', many, 'hex:0a00']]]]]),
  item(['keys', 50_000, 6, 'k']),
  item(['keys', 50_000, 9, 'token']),
  ['field', 1, ['all', ['field', 1, ['keys', 50_000, 1, 'k']], ['field', 2, ['field', 2, '']]]],
  item(['field', 5, ['times', many, 'hex:0a00']]),
  item(['all', ['field', 1, 'm'], ['field', 5, ['times', many, ['field', 1, 'hex:310100000000000000']]]]),
  item(['field', 5, ['field', 1, ['times', 1_000_000, 'x']]]),
  [
    'times',
    100_000,
    [
      'field',
      1,
      [
        'all',
        ['field', 1, ['field', 1, ['all', ['field', 1, 'a'], ['field', 2, ['field', 1, 'b']]]]],
        ['field', 2, ['field', 2, '']],
      ],
    ],
  ],
  ['all', scope('hex:1200'), ['times', many, 'hex:f80701']],
  item(['times', many, 'hex:08ffffffffffffffffff01']),
  scope(['times', 100_000, ['field', 2, ['times', 2, 'hex:2a00']]]),
]

const record = (inside: Expr): Expr => ['all', '{"resourceLogs":[{"scopeLogs":[{"logRecords":[', inside, '{}]}]}]}']
const value = (inside: Expr): Expr => record(['all', '{"attributes":[{"key":"a","value":', inside, '}]},'])
const json: readonly Expr[] = [
  ['all', '{"resourceLogs":[', ['times', many, '{},'], '{}]}'],
  ['all', '{"resourceLogs":[{"scopeLogs":[', ['times', many, '{},'], '{}]}]}'],
  record(['times', many, '{},']),
  ['all', '{"resourceLogs":[{', ['times', 100_000, '"resource":{},'], '"scopeLogs":[]}]}'],
  ['all', '{"resourceLogs":[{', ['times', 50_000, '"scopeLogs":[{"logRecords":[{}]}],'], '"resource":{}}]}'],
  value(['between', 95, '{"arrayValue":{"values":[', '{}', ']}}']),
  ['all', '{"a":', ['between', 100_000, '[', '', ']'], '}'],
  ['all', '{', ['count', 200_000, '"k', '":1,'], '"resourceLogs":[]}'],
  value(['all', '{"stringValue":"', ['times', many, '\\u0000'], '"}']),
  value(['all', '{"bytesValue":"', ['times', 1_000_000, 'AAAA'], '"}']),
  value(['all', '{"intValue":', ['times', many, '1'], '}']),
  value(['all', '{"arrayValue":{"values":[', ['times', 200_000, '{"doubleValue":1.5e-300},'], '{}]}}']),
  record(['all', '{', ['times', 200_000, '"body":{"stringValue":"x"},'], '"severityText":""},']),
  ['all', '{', ['times', 1_000_000, ' '], '"resourceLogs":[]}'],
  record(['times', 100_000, '{"timeUnixNano":"18446744073709551615"},']),
]

const yaml: readonly Expr[] = [
  ['all', 'processors:\n', ['count', 3000, '  batch/', ': {}\n']],
  ['count', 3000, 'key', ': 1\n'],
  ['all', 'receivers:\n', ['count', 2000, '  otpl/', ': {}\n']],
  ['all', 'a: ', ['between', 500, '[', 'x', ']']],
  ['all', 'a: ', ['between', 500, '{a: ', 'x', '}']],
  ['all', ['times', 500, '? '], 'x'],
  ['all', 'a: "', ['times', 5000, '${env:X:-y}'], '"'],
  ['all', 'a: &a [', ['times', 2000, 'x,'], ']\nb: [', ['times', 200, '*a,'], ']\n'],
  [
    'all',
    'exporters: {debug: {}}\nreceivers: {otlp: {protocols: {grpc: {}}}}\nservice: {pipelines: {',
    ['count', 1000, 'logs/', ': {receivers: [otlp], exporters: [debug]}, '],
    '}}',
  ],
  ['all', 'processors: {redaction: {blocked_values: [', ['count', 500, '"(a|b', ')+", '], ']}}'],
  ['all', 'processors: {redaction: {blocked_values: ["', ['between', 50, '(a', '', '{0,9})'], '"]}}'],
  ['all', 'processors: {attributes: {actions: [', ['count', 1000, '{key: k', ', action: delete}, '], ']}}'],
  ['all', 'a: |\n', ['times', 20_000, '  x\n']],
  ['all', 'a: "', ['times', 100_000, '\\u0041'], '"'],
  ['times', 1000, '---\na: 1\n'],
]

const usual = { signal: 'logs', encoding: 'gzip', pieces: 1, nothings: 0 } as const

/** The seeds. */
export const seeds: readonly Input[] = [
  ...protobuf.map((body): Input => ({ ...usual, way: 'HTTP', language: 'protobuf', victim: 'every item', body })),
  ...protobuf.map((body): Input => ({ ...usual, way: 'gRPC', language: 'protobuf', victim: 'gateway', body })),
  ...json.map((body): Input => ({ ...usual, way: 'HTTP', language: 'json', victim: 'gateway', body })),
  ...yaml.map((body): Input => ({
    ...usual,
    way: 'config',
    language: 'yaml',
    victim: 'admin with a token',
    encoding: 'identity',
    body,
  })),
  ...(['gzip', 'deflate', 'zstd', 'x-snappy-framed'] as const).map((encoding): Input => ({
    ...usual,
    way: 'HTTP',
    language: 'protobuf',
    victim: 'gateway',
    encoding,
    nothings: 20_000,
    body: item(''),
  })),
]
