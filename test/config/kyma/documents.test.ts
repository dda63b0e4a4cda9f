import { expect, test } from 'vitest'
import { components } from '../../support/components.ts'
import { loadConfig } from '../../../config/load.ts'
import {
  authenticators,
  document,
  errors,
  load,
  logs,
  made,
  metrics,
  output,
  takers,
  traces,
  warnings,
} from './toys.ts'

const everything = [
  logs(`input: {runtime: {enabled: false}, otlp: {namespaces: {exclude: [kyma-system, dev]}}}\n${output()}`),
  traces(output('protocol: http, compression: zstd', 'https://tempo:4318')),
  metrics(`input: {otlp: {namespaces: {include: [shop]}}}\n${output('', 'prometheus:4317')}`),
].join('---\n')

test('the three documents are a configuration, with the figures of the gateway', () => {
  expect(made(everything)).toEqual({
    receivers: { otlp: { protocols: { grpc: { endpoint: 'localhost:4317' }, http: { endpoint: 'localhost:4318' } } } },
    processors: {
      memory_limiter: { check_interval: '1s', limit_percentage: 75, spike_limit_percentage: 15 },
      'namespace_filter/logpipeline-l': { exclude: ['kyma-system', 'dev'], system: true },
      batch: { send_batch_size: 512, send_batch_max_size: 512, timeout: '10s' },
      'namespace_filter/metricpipeline-m': { include: ['shop'], system: true },
      'batch/metrics': { send_batch_size: 1024, send_batch_max_size: 1024, timeout: '10s' },
    },
    exporters: {
      'otlp_grpc/logpipeline-l': {
        endpoint: 'backend:4317',
        tls: { insecure: true },
        sending_queue: { queue_size: 256 },
        retry_on_failure: { initial_interval: '5s', max_interval: '30s' },
      },
      'otlp_http/tracepipeline-t': {
        endpoint: 'https://tempo:4318',
        compression: 'zstd',
        tls: {},
        sending_queue: { queue_size: 256 },
        retry_on_failure: { initial_interval: '5s', max_interval: '30s' },
      },
      'otlp_grpc/metricpipeline-m': {
        endpoint: 'prometheus:4317',
        tls: {},
        sending_queue: { queue_size: 256 },
        retry_on_failure: { initial_interval: '5s', max_interval: '30s' },
      },
    },
    service: {
      extensions: [],
      pipelines: {
        'logs/l': {
          receivers: ['otlp'],
          processors: ['memory_limiter', 'namespace_filter/logpipeline-l', 'batch'],
          exporters: ['otlp_grpc/logpipeline-l'],
        },
        'traces/t': {
          receivers: ['otlp'],
          processors: ['memory_limiter', 'batch'],
          exporters: ['otlp_http/tracepipeline-t'],
        },
        'metrics/m': {
          receivers: ['otlp'],
          processors: ['memory_limiter', 'namespace_filter/metricpipeline-m', 'batch/metrics'],
          exporters: ['otlp_grpc/metricpipeline-m'],
        },
      },
    },
  })
})

test('the components of this build take it', () => {
  const { configured } = loadConfig({ components, env: {}, sources: [`yaml:${everything}`] })
  expect([...configured.exporters.keys()]).toHaveLength(3)
  expect(configured.exporters.get('otlp_grpc/logpipeline-l')?.config).toMatchObject({ tls: { insecure: true } })
})

test.each<[string, readonly string[]]>([
  ['several files', everything.split('---\n')],
  [
    'a list, as a cluster prints it',
    [
      `apiVersion: v1\nkind: List\nitems:\n${everything
        .split('---\n')
        .map(one => `- ${one.trim().replaceAll('\n', '\n  ')}`)
        .join('\n')}`,
    ],
  ],
])('%s are the same as one file', (_, texts) => {
  expect(made(texts)).toEqual(made(everything))
})

test('on a pod of the gateway it listens on the address of the pod', () => {
  expect(made(everything, { env: { MY_POD_IP: '10.0.0.7' } }).receivers).toEqual({
    otlp: { protocols: { grpc: { endpoint: '10.0.0.7:4317' }, http: { endpoint: '10.0.0.7:4318' } } },
  })
})

test('what comes later is laid over it: a configuration in the usual form, and --set', () => {
  const over = 'exporters: {otlp_grpc/logpipeline-l: {timeout: 9s}}'
  const { exporters, receivers } = made([everything, over], {
    sets: ['receivers.otlp.protocols.grpc.endpoint=0.0.0.0:4317'],
  })
  expect(exporters['otlp_grpc/logpipeline-l']).toMatchObject({ timeout: '9s', endpoint: 'backend:4317' })
  expect(receivers).toMatchObject({ otlp: { protocols: { grpc: { endpoint: '0.0.0.0:4317' } } } })
})

test('the queue is divided among the pipelines of a signal, none of which may stop another', () => {
  const { exporters } = made([traces(output(), 'a'), traces(output(), 'b'), traces(output(), 'c'), metrics(output())])
  const queue = (id: string) => exporters[id]['sending_queue']
  for (const name of ['a', 'b', 'c']) {
    expect(queue(`otlp_grpc/tracepipeline-${name}`)).toEqual({ queue_size: 85, when_full: 'drop' })
  }
  expect(queue('otlp_grpc/metricpipeline-m')).toEqual({ queue_size: 256 })
})

test.each<[string, string, object]>([
  ['a plain connection by its scheme', output('', 'http://b:1'), { endpoint: 'b:1', tls: { insecure: true } }],
  ['TLS by its scheme', output('', 'https://b:1'), { endpoint: 'https://b:1', tls: {} }],
  ['HTTP keeps its scheme', output('protocol: http', 'http://b:1'), { endpoint: 'http://b:1', tls: {} }],
  [
    'a path is one of a signal',
    output('protocol: http, path: /otlp/v1/traces', 'http://b:1/'),
    { traces_endpoint: 'http://b:1/otlp/v1/traces', tls: {} },
  ],
  [
    'certificates',
    output('tls: {insecureSkipVerify: true, ca: {value: CA}, cert: {value: CERT}, key: {value: KEY}}', 'b:1'),
    { endpoint: 'b:1', tls: { insecure_skip_verify: true, ca_pem: 'CA', cert_pem: 'CERT', key_pem: 'KEY' } },
  ],
  [
    'headers, with what stands in front of their values',
    output('headers: [{name: a, value: x}, {name: Authorization, value: y, prefix: Bearer}]', 'b:1'),
    { endpoint: 'b:1', tls: {}, headers: { a: 'x', Authorization: 'Bearer y' } },
  ],
  [
    'dollars, which mean nothing in these documents',
    output('headers: [{name: a, value: "p$$w$x$"}]', 'b:1'),
    { endpoint: 'b:1', tls: {}, headers: { a: 'p$$w$x$' } },
  ],
  [
    'variables, in place of a Secret',
    output('headers: [{name: a, value: "${env:TOKEN}", prefix: Bearer}]', '${env:HOST}:4317'),
    { endpoint: 'h:4317', tls: {}, headers: { a: 'Bearer t' } },
  ],
])('an output with %s', (_, spec, exporter) => {
  const { exporters } = made(traces(spec), { env: { TOKEN: 't', HOST: 'h' } })
  expect(Object.values(exporters)[0]).toMatchObject(exporter)
})

test('credentials are those of an extension', () => {
  const basic = 'authentication: {basic: {user: {value: u}, password: {value: p}}}'
  const oauth2 =
    'authentication: {oauth2: {tokenURL: {value: "https://t"}, clientID: {value: i}, clientSecret: {value: s}, scopes: [a], params: {k: v}}}'
  const { extensions, exporters, service } = made([traces(output(basic, 'b:1')), metrics(output(oauth2, 'b:1'))], {
    components: [...takers, ...authenticators],
  })
  expect(extensions).toEqual({
    'basicauth/tracepipeline-t': { client_auth: { username: 'u', password: 'p' } },
    'oauth2client/metricpipeline-m': {
      token_url: 'https://t',
      client_id: 'i',
      client_secret: 's',
      scopes: ['a'],
      endpoint_params: { k: 'v' },
    },
  })
  expect(service.extensions).toEqual(['basicauth/tracepipeline-t', 'oauth2client/metricpipeline-m'])
  expect(exporters['otlp_grpc/tracepipeline-t']).toMatchObject({ auth: { authenticator: 'basicauth/tracepipeline-t' } })
})

test('the older version is read by its own names', () => {
  const old = (kind: string, spec: string) =>
    document(kind, 'x', spec, 'apiVersion: telemetry.kyma-project.io/v1alpha1')
  const text = old(
    'LogPipeline',
    `input:
  application: {enabled: false, keepOriginalBody: true, namespaces: {system: true}}
  otlp: {disabled: false, namespaces: {include: [a]}}
${output()}`,
  )
  expect(made(text)).toEqual(
    made(logs(`input: {runtime: {enabled: false}, otlp: {namespaces: {include: [a]}}}\n${output()}`, 'x')),
  )
  expect(warnings(text)).toEqual([
    '1:1 LogPipeline/x: the version `v1alpha1` is deprecated (write `telemetry.kyma-project.io/v1beta1`)',
  ])
  expect(errors(old('MetricPipeline', `input: {otlp: {disabled: true}}\n${output()}`))).toEqual([
    '6:11 MetricPipeline/x::spec::input::otlp: it is off, and there is no other input outside of a cluster (set `enabled: true`, or leave this pipeline out)',
  ])
  expect(
    errors(
      old('LogPipeline', 'output: {http: {host: {value: a}, tls: {disabled: true, skipCertificateValidation: true}}}'),
    ),
  ).toHaveLength(1)
})

test.each<[string, string, string[]]>([
  [
    'the log files of containers, which are read unless one says not to',
    logs(output()),
    [
      '4:9 LogPipeline/l::spec::input::runtime: the log files of containers need Kubernetes, which this build does not read: left out (it is on by default; outside of a cluster say `runtime: {enabled: false}`)',
    ],
  ],
  [
    'inputs of metrics that are on, each once',
    metrics(`input:
  runtime: {enabled: true, resources: {pod: {enabled: false}}}
  prometheus: {enabled: true, diagnosticMetrics: {enabled: true}}
  istio: {enabled: true, envoyMetrics: {enabled: true}}
${output()}`),
    [
      '7:15 MetricPipeline/m::spec::input::runtime: metrics of pods and nodes need Kubernetes, which this build does not read: left out (outside of a cluster say `runtime: {enabled: false}`)',
      '8:18 MetricPipeline/m::spec::input::prometheus: what annotated pods and services serve to Prometheus need Kubernetes, which this build does not read: left out (outside of a cluster say `prometheus: {enabled: false}`)',
      '9:13 MetricPipeline/m::spec::input::istio: metrics of Istio proxies need Kubernetes, which this build does not read: left out (outside of a cluster say `istio: {enabled: false}`)',
    ],
  ],
  ['nothing where they are off', metrics(`input: {runtime: {enabled: false}, istio: {}}\n${output()}`), []],
])('inputs that need a cluster are told of: %s', (_, text, expected) => {
  expect(warnings(text)).toEqual(expected)
})

test('that there is no enrichment is told once', () => {
  expect(
    load(everything)
      .warnings.map(({ message }) => message)
      .filter(text => text.includes('enrichment')),
  ).toHaveLength(1)
})
