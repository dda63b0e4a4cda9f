import { expect, test } from 'vitest'
import { components } from '../support/components.ts'
import { warningsOf } from '../config/toys.ts'

const grpc = 'grpc: {endpoint: "localhost:0", include_metadata: true}'

const of = (protocols: string, more: { processors?: string; exporter?: string } = {}) =>
  warningsOf(
    `receivers: {otlp: {protocols: {${protocols}}}}
processors:
  batch: {metadata_keys: [X-Tenant, x-tenant-2]}
  resource: {attributes: [{key: tenant, action: insert, from_context: metadata.X-Tenant}, {key: a, action: delete}]}
  attributes: {actions: [{key: who, action: insert, from_context: auth.subject}]}
extensions: {headers_setter: {headers: [{key: x, from_context: X-Org}]}}
exporters: {otlp_grpc: {endpoint: "x:1", ${more.exporter ?? ''}}}
service:
  extensions: [headers_setter]
  pipelines: {traces: {receivers: [otlp], processors: [${more.processors ?? ''}], exporters: [otlp_grpc]}}`,
    { components },
  ).filter(warning => warning.includes('of requests'))

const warning = (at: string, id: string, needs: string) =>
  `10:${at} service::pipelines::traces: \`${id}\` needs ${needs} of requests, and the receiver \`otlp\` keeps none ` +
  '(set `include_metadata: true` at each protocol of `otlp`)'

test.each([
  ['a batch by header', { processors: 'batch' }, [warning('56', 'batch', 'headers `x-tenant`, `x-tenant-2`')]],
  ['an attribute from a header', { processors: 'resource' }, [warning('56', 'resource', 'the header `x-tenant`')]],
  ['an attribute from an identity', { processors: 'attributes' }, []],
  [
    'an exporter that hands a header on',
    { exporter: 'auth: {authenticator: headers_setter}' },
    [warning('71', 'otlp_grpc', 'the header `x-org`')],
  ],
  [
    'a queue by header',
    { exporter: 'sending_queue: {batch: {partition: {metadata_keys: [x-tenant]}}}' },
    [warning('71', 'otlp_grpc', 'the header `x-tenant`')],
  ],
  ['nothing of it', {}, []],
])('%s is warned of where no header is kept', (_, more, warnings) => {
  expect(of('http: {endpoint: "localhost:0"}', more)).toEqual(warnings)
  expect(of(`http: {endpoint: "localhost:0"}, ${grpc}`, more)).toEqual([])
})
