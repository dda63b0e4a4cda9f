import { expect, test } from 'vitest'
import { components } from '../support/components.ts'
import { errorsOf, warningsOf } from './toys.ts'

const hint = '(give one of them another `endpoint`)'

/** Errors of a configuration of two receivers and some more. */
const told = (otlp: string, other: string, more = '', used = 'exporters: [debug]'): string[] =>
  errorsOf(
    `receivers:
  otlp: ${otlp}
  otlp/b: ${other}
exporters: {debug: , prometheus: {endpoint: "0.0.0.0:9999"}}
${more === '' ? '' : `extensions: ${more}\n`}service:
  ${more === '' ? '' : 'extensions: [health_check, zpages]\n  '}pipelines: {metrics: {receivers: [otlp, otlp/b], ${used}}}`,
    { components },
  )

test.each<[what: string, errors: string[], expected: unknown[]]>([
  ['two addresses', told('{protocols: {grpc: }}', "{protocols: {grpc: {endpoint: 'localhost:4320'}}}"), []],
  [
    'the same default twice',
    told('{protocols: {grpc: , http: }}', '{protocols: {grpc: }}'),
    [
      `3:30 receivers::otlp/b::protocols::grpc::endpoint: receivers::otlp::protocols::grpc::endpoint listens on 127.0.0.1:4317 already ${hint}`,
    ],
  ],
  [
    'one that is written as another',
    told('{protocols: {http: }}', "{protocols: {grpc: {endpoint: '127.0.0.1:4318'}}}"),
    [
      `3:41 receivers::otlp/b::protocols::grpc::endpoint: receivers::otlp::protocols::http::endpoint listens on 127.0.0.1:4318 already ${hint}`,
    ],
  ],
  [
    'a receiver and an exporter',
    told("{protocols: {grpc: {endpoint: ':9999'}}}", '{protocols: {http: }}', '', 'exporters: [prometheus]'),
    [
      `4:45 exporters::prometheus::endpoint: receivers::otlp::protocols::grpc::endpoint listens on 0.0.0.0:9999 already ${hint}`,
    ],
  ],
  ['an exporter that does not run', told("{protocols: {grpc: {endpoint: ':9999'}}}", '{protocols: {http: }}'), []],
  [
    'two sockets of one path',
    told(
      '{protocols: {grpc: {endpoint: /run/a.sock, transport: unix}}}',
      '{protocols: {http: {endpoint: "unix:///run/a.sock"}}}',
    ),
    [
      `3:41 receivers::otlp/b::protocols::http::endpoint: receivers::otlp::protocols::grpc::endpoint listens on unix:/run/a.sock already ${hint}`,
    ],
  ],
  [
    'both ports of one receiver',
    told("{protocols: {grpc: {endpoint: ':5000'}, http: {endpoint: '0.0.0.0:5000'}}}", '{protocols: {http: }}'),
    [
      `2:66 receivers::otlp::protocols::http::endpoint: receivers::otlp::protocols::grpc::endpoint listens on 0.0.0.0:5000 already ${hint}`,
    ],
  ],
  ...[
    ['0.0.0.0', '127.0.0.1'],
    ['127.0.0.1', '0.0.0.0'],
    ['[::]', '0.0.0.0'],
    ['[::]', '[::1]'],
    ['0.0.0.0', 'localhost'],
  ].map(([one, other]): [string, string[], unknown[]] => [
    `${one} and ${other}, of which one has the other in it`,
    told(`{protocols: {grpc: {endpoint: '${one}:7000'}}}`, `{protocols: {grpc: {endpoint: '${other}:7000'}}}`),
    [expect.stringContaining(':7000 already')],
  ]),
  ...[
    ['127.0.0.1', '127.0.0.2'],
    ['0.0.0.0', '[::1]'],
    ['a.example', 'b.example'],
  ].map(([one, other]): [string, string[], string[]] => [
    `${one} and ${other}, which may be two`,
    told(`{protocols: {grpc: {endpoint: '${one}:7000'}}}`, `{protocols: {grpc: {endpoint: '${other}:7000'}}}`),
    [],
  ]),
  [
    "the port of Kymo's own metrics",
    told("{protocols: {grpc: {endpoint: ':8888'}}}", '{protocols: {http: }}'),
    [
      `2:39 receivers::otlp::protocols::grpc::endpoint: the server of metrics and administration listens on 127.0.0.1:8888 already ${hint}`,
    ],
  ],
  [
    'any port, and what a component does not use',
    told(
      "{protocols: {grpc: {endpoint: ':0'}}}",
      "{protocols: {grpc: {endpoint: ':0'}}}",
      "{health_check: {use_v2: true, http: {endpoint: 'localhost:13133'}}, zpages: }",
    ),
    [],
  ],
])('%s', (_, errors, expected) => {
  expect(errors).toEqual(expected)
})

/** Warnings of a pipeline from a receiver to an exporter. */
const warned = (endpoint: string, exporter: string, more = ''): string[] =>
  warningsOf(
    `receivers: {otlp: {protocols: {grpc: {endpoint: '${endpoint}'}}}, otlp/b: {protocols: {http: }}}
exporters: {debug: , ${exporter}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_grpc]}, logs: {receivers: [otlp/b], exporters: [debug]}${more}}}`,
    { components },
  )
const loop = (exporter: string): string =>
  `2:22 exporters::${exporter}: it sends to where receivers::otlp::protocols::grpc::endpoint listens, in the same pipeline (traces) ` +
  '(what is sent comes in again, and is sent again without end)'

test.each<[what: string, warnings: string[], expected: string[]]>([
  ['elsewhere', warned('localhost:4317', 'otlp_grpc: {endpoint: "tempo:4317"}'), []],
  ['to another port', warned('localhost:4317', 'otlp_grpc: {endpoint: "localhost:4320"}'), []],
  ['to the receiver of another pipeline', warned('localhost:4317', 'otlp_grpc: {endpoint: "localhost:4318"}'), []],
  ['to another address', warned('127.0.0.1:4317', 'otlp_grpc: {endpoint: "127.0.0.3:4317"}'), []],
  ['to its own', warned('0.0.0.0:4317', 'otlp_grpc: {endpoint: "http://localhost:4317"}'), [loop('otlp_grpc')]],
  ['to its own by another name', warned(':4317', 'otlp_grpc: {endpoint: "127.0.0.1:4317"}'), [loop('otlp_grpc')]],
])('an exporter that sends %s', (_, warnings, expected) => {
  expect(warnings).toEqual(expected)
})

/** The same for otlp_http, which is called as otlp_grpc is above, from the HTTP port of the receiver. */
const overHttp = (keys: string): string[] =>
  warningsOf(
    `receivers: {otlp: {protocols: {http: {endpoint: '0.0.0.0:4318'}}}}
exporters: {otlp_http: {${keys}}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}}`,
    { components },
  )

test.each<[keys: string, isLoop: boolean]>([
  ['endpoint: "http://localhost:4318"', true],
  ['traces_endpoint: "http://localhost:4318/v1/traces"', true],
  ['endpoint: "http://tempo:4318", traces_endpoint: "http://127.0.0.1:4318/x"', true],
  ['endpoint: "http://localhost:4318", traces_endpoint: "http://tempo:4318/x"', false],
  ['endpoint: "http://tempo:4318", logs_endpoint: "http://localhost:4318/v1/logs"', false],
])('an exporter over HTTP with %s, to its own receiver: %s', (keys, isLoop) => {
  expect(overHttp(keys)).toEqual(
    isLoop
      ? [expect.stringContaining('exporters::otlp_http: it sends to where receivers::otlp::protocols::http::endpoint')]
      : [],
  )
})
