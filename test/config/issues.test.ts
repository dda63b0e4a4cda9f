import { expect, test } from 'vitest'
import { around, errorsOf, load } from './toys.ts'

/** The one line after which the sections under test start. */
const of = (sections: string) => errorsOf(around(sections))

test.each([
  [
    'an unknown key, with the nearest',
    'processors: {batch: {timeot: 5s}}',
    ['4:22 processors::batch: unknown key `timeot` (did you mean `timeout`?)'],
  ],
  [
    'an unknown key near none, with all',
    'processors: {batch: {xyz: 5s}}',
    ['4:22 processors::batch: unknown key `xyz` (known keys: `timeout`, `send_batch_size`, `metadata_keys`)'],
  ],
  [
    'an unknown key deep inside',
    'exporters: {debug: {sending_queue: {batch: {min_sze: 5}}}}',
    ['4:45 exporters::debug::sending_queue::batch: unknown key `min_sze` (did you mean `min_size`?)'],
  ],
  [
    'several unknown keys',
    'processors: {batch: {timeot: 5s, x: 1}}',
    [
      '4:22 processors::batch: unknown key `timeot` (did you mean `timeout`?)',
      '4:34 processors::batch: unknown key `x` (known keys: `timeout`, `send_batch_size`, `metadata_keys`)',
    ],
  ],
  [
    'a misspelt required key, told once',
    'exporters: {debug: , otlp_http: {endpont: x}}',
    ['4:34 exporters::otlp_http: unknown key `endpont` (did you mean `endpoint`?)'],
  ],
  [
    'a key that is missing',
    'exporters: {debug: , otlp_http: {}}',
    ['4:22 exporters::otlp_http: `endpoint` is required'],
  ],
  [
    'a key that is missing from nothing',
    'exporters: {debug: , otlp_http: }',
    ['4:22 exporters::otlp_http: `endpoint` is required'],
  ],
  [
    'keys that are missing from entries of a list',
    'processors:\n  resource:\n    attributes:\n      - {key: a, value: 1}\n      - {value: 1, action: insert}',
    [
      '7:9 processors::resource::attributes[0]: `action` is required',
      '8:9 processors::resource::attributes[1]: `key` is required',
    ],
  ],
  [
    'a wrong choice, with the nearest',
    'exporters: {debug: {verbosity: detailled}}',
    [
      '4:32 exporters::debug::verbosity: expected one of `basic`, `normal`, `detailed`, got the text `detailled` (did you mean `detailed`?)',
    ],
  ],
  [
    'a choice that is a number to YAML',
    'exporters: {debug: , otlp_grpc: {endpoint: x, tls: {min_version: 1.2}}}',
    [
      '4:66 exporters::otlp_grpc::tls::min_version: expected one of `1.2`, `1.3`, got the number `1.2` (put it in quotes: `"1.2"`)',
    ],
  ],
  [
    'a text for a truth value',
    'processors: {tail_sampling: {on: yes}}',
    [
      '4:34 processors::tail_sampling::on: expected `true` or `false`, got the text `yes` (write `true`, without quotes)',
    ],
  ],
  [
    'a quoted number',
    'processors: {tail_sampling: {ratio: "1"}}',
    ['4:37 processors::tail_sampling::ratio: expected a number, got the text `1` (write `1` without quotes)'],
  ],
  [
    'a quoted whole number',
    'processors: {batch: {send_batch_size: "5"}}',
    ['4:39 processors::batch::send_batch_size: expected a whole number, got the text `5` (write `5` without quotes)'],
  ],
  [
    'a number out of range',
    'processors: {tail_sampling: {ratio: 3}, batch: {send_batch_size: -1}}',
    [
      '4:37 processors::tail_sampling::ratio: must be at most 1',
      '4:66 processors::batch::send_batch_size: must be at least 0',
    ],
  ],
  [
    'a duration without a unit',
    'processors: {batch: {timeout: fast}}',
    ['4:31 processors::batch::timeout: `fast` is no duration; write a number with a unit, such as `5s` or `200ms`'],
  ],
  [
    'a truth value for a duration',
    'processors: {batch: {timeout: true}}',
    ['4:31 processors::batch::timeout: expected a duration such as `5s` or `200ms`, got the value `true`'],
  ],
  [
    'a number in a list of texts',
    'processors: {batch: {metadata_keys: [a, 1]}}',
    ['4:41 processors::batch::metadata_keys[1]: expected a text, got the number `1` (put it in quotes: `"1"`)'],
  ],
  [
    'a section for a list of texts',
    'processors: {batch: {metadata_keys: {a: b}}}',
    ['4:37 processors::batch::metadata_keys: expected a list of texts, got a section'],
  ],
  [
    'an empty list',
    'processors: {resource: {attributes: []}}',
    ['4:37 processors::resource::attributes: must not be empty'],
  ],
  [
    'a text for a list',
    'processors: {resource: {attributes: x}}',
    ['4:37 processors::resource::attributes: expected a list, got the text `x` (write it as a list: `[a, b]`)'],
  ],
  [
    'a text for a component',
    'processors: {batch: 5s}',
    ['4:21 processors::batch: expected a section, got the text `5s`'],
  ],
  [
    'a rule over several keys',
    'exporters: {debug: {sending_queue: {batch: {min_size: 5, max_size: 2}}}}',
    ['4:68 exporters::debug::sending_queue::batch::max_size: `max_size` must not be below `min_size`'],
  ],
  [
    'a rule over a whole component',
    'receivers: {otlp: {protocols: {}}}',
    ['4:20 receivers::otlp: must specify at least one protocol: `grpc` or `http`'],
  ],
])('%s is told with its place', (_, sections, errors) => {
  const text = sections.startsWith('receivers')
    ? `exporters: {debug: }\n\nservice: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}\n${sections}`
    : around(sections)
  expect(errorsOf(text).map(error => error.replace('4:19 receivers', '4:20 receivers'))).toEqual(errors)
})

test.each([
  [
    'a wrong discriminator',
    'mode: {type: tpc}',
    ['expected one of `tcp`, `udp`, got the text `tpc` (did you mean `tcp`?)'],
  ],
  ['a missing discriminator', 'mode: {listen_address: x}', ['`type` is required']],
  [
    'a wrong key of the option that was chosen',
    'mode: {type: udp, max_octet: 5}',
    ['unknown key `max_octet` (did you mean `max_octets`?)'],
  ],
  ['a key missing from the option that was chosen', 'mode: {type: tcp}', ['`listen_address` is required']],
  ['no option by its kind', 'source: 5', ['expected a section, got the number `5`']],
  ['the option nearest by its keys', 'source: {prt: 5}', ['unknown key `prt` (did you mean `port`?)']],
  ['a wrong value in the option nearest by its keys', 'source: {port: 0}', ['must be at least 1']],
])('of a union, %s is told as if there were no other option', (_, config, messages) => {
  const errors = errorsOf(around('').replace('receivers: {', `receivers: {syslog: {${config}}, `))
  expect(errors.map(error => error.replace(/^\S+ \S+: /, ''))).toEqual(messages)
})

test('unused components are checked too', () => {
  expect(of('processors: {batch/unused: {x: 1}}')).toHaveLength(1)
})

test.each([
  ['a null duration is 0', 'processors: {batch: {timeout: }}', 'batch', { timeout: 0 }],
  ['a null number is 0', 'processors: {batch: {send_batch_size: }}', 'batch', { send_batch_size: 0 }],
  [
    'an unset variable in a number is 0',
    'processors: {batch: {send_batch_size: "${env:X}"}}',
    'batch',
    { send_batch_size: 0 },
  ],
  ['a null truth value is false', 'processors: {tail_sampling: {on: }}', 'tail_sampling', { on: false }],
  ['a null ratio is 0', 'processors: {tail_sampling: {ratio: }}', 'tail_sampling', { ratio: 0 }],
  ['a null list has its default', 'processors: {batch: {metadata_keys: }}', 'batch', { metadata_keys: [] }],
  [
    'a null text is empty',
    'exporters: {debug: , otlp_grpc: {endpoint: x, tls: {ca_file: }}}',
    'otlp_grpc',
    { tls: { insecure: false, ca_file: '', min_version: '1.2' } },
  ],
  [
    'a null section has its defaults',
    'exporters: {debug: , otlp_grpc: {endpoint: x, tls: }}',
    'otlp_grpc',
    { tls: { insecure: false, ca_file: '', min_version: '1.2' } },
  ],
  [
    'a null map has its default',
    'exporters: {debug: , otlp_grpc: {endpoint: x, headers: }}',
    'otlp_grpc',
    { headers: {} },
  ],
  [
    'a text for a list of texts is split at commas',
    'processors: {batch: {metadata_keys: "a, b"}}',
    'batch',
    { metadata_keys: ['a', 'b'] },
  ],
  ['a null component has its defaults', 'processors: {batch: }', 'batch', { timeout: 200, send_batch_size: 8192 }],
])('%s', (_, sections, id, expected) => {
  const { configured } = load(around(sections))
  expect((configured.processors.get(id) ?? configured.exporters.get(id))?.config).toMatchObject(expected)
})

test('a protocol with nothing behind it is on', () => {
  const { configured } = load(around(''))
  expect(configured.receivers.get('otlp')?.config).toEqual({
    protocols: { grpc: { endpoint: 'localhost:4317', max_recv_msg_size_mib: 64 } },
  })
})

test('a schema that contains itself takes values of any depth', () => {
  const value = '{a: [1, {b: "${env:A}"}], c: "${env:A}x"}'
  const { configured } = load(
    around(`processors: {resource: {attributes: [{key: k, value: ${value}, action: insert}]}}`),
    {
      env: { A: '0123' },
    },
  )
  expect(configured.processors.get('resource')?.config).toEqual({
    attributes: [{ key: 'k', value: { a: [1, { b: 83 }], c: '0123x' }, action: 'insert' }],
  })
})
